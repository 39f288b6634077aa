"""Images that are built again, and in what they differ from those before."""

from __future__ import annotations

from dataclasses import dataclass

from herd.infra.images.contents import Contents, Difference, differences

MOST_REASONS = 12


@dataclass(frozen=True)
class Rebuild:
    """An image that is deployed and will be built again. `differs` is empty where what the deployed one was built from
    is not known; `unknown` then says so.
    """

    workload: str
    image: str
    differs: tuple[Difference, ...] = ()
    unknown: str = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Lines; there is one at least."""
        return tuple(map(str, self.differs)) or (self.unknown or "what it is built from changed",)

    @property
    def lines(self) -> list[str]:
        """For people: as many as one reads."""
        more = len(self.reasons) - MOST_REASONS
        return [*self.reasons[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])]

    def __str__(self) -> str:
        return f"{self.workload}: {'; '.join(self.lines)}"


def rebuild_of(workload: str, image: str, folder: str, before: Contents, after: Contents) -> Rebuild:
    """Of an image by what it was and will be built from. `folder`: of the workload. `image`: its folder's name."""
    return Rebuild(workload, image, tuple(differences(before, after, folder, image)))
