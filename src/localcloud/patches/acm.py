"""ACM: certificates are issued at once."""

from __future__ import annotations

from moto import settings


def apply() -> None:
    """Wait for nobody to prove a name."""
    # moto/settings.py: a certificate waits 60 s for its validation, which nothing here does. Below zero, because the
    # first look may come in the same instant.
    settings.ACM_VALIDATION_WAIT = -1
