"""What a checkout keeps below `.herd/`: how large it is, and what of it `herd clean` may remove.

Three kinds: what is made again when it is needed, what somebody's own runs have left, and what an environment that is
up lives on. The first goes, the second goes if a person says so, the third is only shown.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from herd.checkout.find import Checkout
from herd.deploy import local_stack


class Kind(Enum):
    """What becomes of a part."""

    made_again = "made again when it is needed"
    data = "yours: asked for"
    in_use = "in use"
    shared = "of all projects: stays"


@dataclass(frozen=True)
class Part:
    """Something that is kept: `what` it is, for people, and the paths that it consists of."""

    what: str
    kind: Kind
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes on the disk; a file with several names counts once."""
        seen: set[tuple[int, int]] = set()
        return sum(_size(path, seen) for path in self.paths)


def parts(checkout: Checkout) -> list[Part]:
    """All that is kept and is not empty."""
    listed = [*_of_checkout(checkout), Part("packages and tools in the cache", Kind.shared, (checkout.cache,))]
    return [part for part in listed if part.size]


def _of_checkout(checkout: Checkout) -> Iterator[Part]:
    state = checkout.state
    up = local_stack.environments(checkout)
    for folder in sorted((state / "build").glob("*")):
        kind = Kind.in_use if folder.name in up else Kind.made_again
        yield Part(f"what images of {folder.name} are built from", kind, (folder,))
    yield Part("what `herd verify` compares with", Kind.made_again, (state / "verify",))
    for name, command in (("try", "herd try"), ("test", "herd test")):
        for folder in sorted((state / name).glob("[!.]*")):
            yield Part(f"what `{command} {folder.name}` left", Kind.data, (folder,))
        hidden = (state / name / ".home", state / name / ".large")
        yield Part(f"the home folder of `{command}`, and copies of large files", Kind.made_again, hidden)
    aside = [*(state / "cloud").glob("set-aside-*"), *(state / "pulumi").glob("set-aside-*")]
    for folder in sorted(aside):
        yield Part(f"{folder.parent.name}/{folder.name}, a copy that was set aside", Kind.data, (folder,))
    cloud = tuple(path for path in (state / "cloud").glob("*") if path not in aside)
    environments = f" of {', '.join(up)}" if up else ""
    yield Part(f"the local cloud{environments}: objects, logs, journal", Kind.in_use, cloud)
    pulumi = tuple(path for path in (state / "pulumi").glob("*") if path not in aside)
    yield Part("Pulumi's state and plugins", Kind.in_use, (*pulumi, checkout.pulumi_home))


def remove(part: Part) -> int:
    """Remove a part; how many bytes it had. Hold the locks of the checkout's environments."""
    size = part.size
    for path in part.paths:
        # A folder that is a link is not ours: what it leads to stays.
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
    return size


def summary(checkout: Checkout) -> str:
    """A line for people: what is still there and how large it is; "" if nothing is worth a word."""
    kept = list(_of_checkout(checkout))
    whole = sum(part.size for part in kept)
    mine = sum(part.size for part in kept if part.kind is Kind.data)
    if whole < WORTH_A_WORD_BYTES:
        return ""
    yours = f", {in_words(mine)} of it from your own runs" if mine else ""
    return f"kept below .herd: {in_words(whole)}{yours}; `herd clean` shows it and removes what can go"


WORTH_A_WORD_BYTES = 1_000_000


def in_words(size: int) -> str:
    """A size for people: 3 kB, 25 MB, 1.4 GB."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}" if size < 10 * bytes_ else f"{size / bytes_:.0f} {unit}"
    return f"{-(-size // 1000)} kB"


def _size(path: Path, seen: set[tuple[int, int]]) -> int:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    if (status.st_dev, status.st_ino) in seen:
        return 0
    seen.add((status.st_dev, status.st_ino))
    if not path.is_dir() or path.is_symlink():
        return status.st_blocks * 512
    try:
        entries = [Path(entry.path) for entry in os.scandir(path)]
    except (FileNotFoundError, PermissionError):
        return 0
    return sum(_size(entry, seen) for entry in entries)
