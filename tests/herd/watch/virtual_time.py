"""One clock for everything in this process that asks for the time of day: moto, the local cloud, runner and watch."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import herd.runner
import herd.watch
from localcloud.patches import determinism

OURS = ("herd.runner", "herd.watch", "localcloud")


class VirtualClock:
    """Stands still until it is moved. A `localcloud.agent.clock.Clock`."""

    def __init__(self, moment: datetime):
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def move_to(self, moment: datetime) -> None:
        """It never goes back."""
        assert moment >= self.moment, (moment, self.moment)
        self.moment = moment

    def advance(self, **amount: float) -> None:
        self.move_to(self.moment + timedelta(**amount))


class _Kind(type):
    """What a module takes for `datetime` is still what everybody else's are instances of."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


def _datetime_of(clock: VirtualClock) -> type[datetime]:
    class Virtual(datetime, metaclass=_Kind):
        def __new__(cls, *args: Any, **more: Any) -> Any:
            return datetime(*args, **more)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            moment = clock.now()
            return moment.astimezone(tz) if tz else moment.replace(tzinfo=None)

        @classmethod
        def utcnow(cls) -> Any:
            return clock.now().replace(tzinfo=None)

    return Virtual


@contextmanager
def all_by(clock: VirtualClock) -> Iterator[None]:
    """The time of day is the clock's, wherever it is asked for. Durations (`time.monotonic`) stay real: threads wait by
    them.
    """
    virtual = _datetime_of(clock)
    of_moto = {
        "real_datetime": SimpleNamespace(datetime=virtual, date=date, UTC=UTC),
        "real_time": SimpleNamespace(time=lambda: clock.now().timestamp()),
    }
    for package in (herd.runner, herd.watch):  # what is imported later would find the real one
        _import_all(package)
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(determinism, **of_moto))
        for module in [module for name, module in list(sys.modules.items()) if name.startswith(OURS)]:
            source = inspect.getsource(module) if module is not determinism else ""
            if "datetime.now(" in source and vars(module).get("datetime") is datetime:
                stack.enter_context(patch.object(module, "datetime", virtual))
            if "time.time()" in source and vars(module).get("time") is time:
                stack.enter_context(patch.object(module, "time", _time_of(clock)))
        yield


def _time_of(clock: VirtualClock) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(time), "time": lambda: clock.now().timestamp()})


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
