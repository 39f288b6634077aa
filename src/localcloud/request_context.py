"""What the journal notes of requests beside what they say: for which resource they are made. No call passes it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_cause: ContextVar[str] = ContextVar("cause", default="")


@contextmanager
def caused_by(cause: str) -> Iterator[None]:
    """Requests that this thread makes inside belong together: they all make, change or remove one thing.

    `cause` names that thing and no other, ever; "" says nothing.
    """
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def current() -> str:
    """The cause of what this thread does now; "" if nobody said."""
    return _cause.get()
