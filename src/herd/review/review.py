"""The result of a preview, which every format of a review is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from herd.engine.plan import Plan
from herd.review import words
from herd.review.document import Document, document
from herd.review.rebuilds import Rebuild
from herd.review.words import Words

if TYPE_CHECKING:
    from herd.checkout import pauses, review_dates


@dataclass(frozen=True)
class Review:
    """The plan, names of services with public access, review dates that are near or past, what is paused, and why
    images are built again. `against`: the files that it was compared with, where it was not what is deployed.
    """

    plan: Plan
    public_services: frozenset[str]
    due: tuple[review_dates.Review, ...]
    paused: tuple[pauses.Pause, ...] = ()
    rebuilds: tuple[Rebuild, ...] = ()
    against: str = ""

    def words(self, now: datetime) -> Words:
        """What changes, and what it endangers. `now` decides when a schedule starts next."""
        return words.of(self.plan, now, self.public_services, self.rebuilds)

    def document(self, now: datetime) -> Document:
        """All of it, to be rendered."""
        return document(self.plan, self.words(now), self.due, self.paused, self.against)
