"""Patches of parts of moto that most clouds never need: they are applied when such a part is loaded, not before."""

from __future__ import annotations

import sys
from collections.abc import Callable

_waiting: dict[str, list[Callable[[], None]]] = {}


def when_loaded(module: str, apply: Callable[[], None]) -> None:
    """Apply a patch as soon as a module of moto is there: now, or when it is imported for the first time."""
    if module in sys.modules:
        apply()
    else:
        _waiting.setdefault(module, []).append(apply)


def catch_up() -> None:
    """Apply what waits for modules that were imported before anybody noticed."""
    for module in [name for name in _waiting if name in sys.modules]:
        loaded(module)


def loaded(module: str) -> None:
    """A module has just been imported."""
    for apply in _waiting.pop(module, ()):
        apply()
