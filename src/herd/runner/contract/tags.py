"""The tags of objects by which a bucket's lifecycle rules know what expires; their value is "true"."""

from __future__ import annotations

from typing import Final

SUPERSEDED: Final = "herd:superseded"
REJECTED: Final = "herd:rejected"
PUBLISHED: Final = "herd:published"
"""Takes the place of the mark that a file had until then."""

EXPIRING: Final = (SUPERSEDED, REJECTED)
"""Set by the runner on what is no longer, or never was, the current version."""

CACHED: Final = "herd:cache"
"""Set by the runner on all that `cache` keeps: it expires some time after it was uploaded, whoever needs it."""
