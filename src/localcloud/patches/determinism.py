"""Chance and time in moto: free by default, given while a declaring request is carried out.

A journal can only bring back the same identifiers and dates if moto draws the same random numbers and reads the same
clock the second time. `deterministic` does that for the thread that calls it and for nobody else: what the agent or an
execution's threads draw meanwhile comes from the operating system, so that what they make is never named twice.

A region of a service is made when somebody first looks at it, maybe by a mere read; what is random in it (the default
VPC's id) follows from the account's `settle`d seed alone.
"""

from __future__ import annotations

import datetime as real_datetime
import importlib.abc
import importlib.machinery
import os
import random as real_random
import sys
import threading
import time as real_time
import types
import uuid as real_uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any

from moto.core import base_backend
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.moto_random import MotoRandom

from localcloud.patches import loading

FREE = real_random.SystemRandom()

UNTOUCHED = ("moto.moto_api._internal", "moto.core.base_backend")
"""Where moto's own source of chance is defined; where ids are drawn whenever somebody first looks at a service."""


class _Thread(threading.local):
    source: real_random.Random = FREE
    moment: float | None = None
    count: int | None = None


_thread = _Thread()
_settled: dict[str, tuple[str, float]] = {}


@contextmanager
def deterministic(seed: str, moment: float, count: int | None = None) -> Iterator[None]:
    """On this thread moto draws what follows from `seed`, and its clock stands at `moment` (seconds since 1970).

    What is counted gets the number `count`.
    """
    before = _thread.source, _thread.moment, _thread.count
    _thread.source, _thread.moment, _thread.count = real_random.Random(seed), moment, count
    try:
        yield
    finally:
        _thread.source, _thread.moment, _thread.count = before


@contextmanager
def _free() -> Iterator[None]:
    before = _thread.source, _thread.moment, _thread.count
    _thread.source, _thread.moment, _thread.count = FREE, None, None
    try:
        yield
    finally:
        _thread.source, _thread.moment, _thread.count = before


def count() -> int | None:
    """The number that was given for what this thread makes."""
    return _thread.count


def settle(account: str, seed: str, moment: float) -> None:
    """What moto makes up by itself for this account follows from `seed` and dates from `moment`."""
    _settled[account] = seed, moment


@contextmanager
def born(account: str, what: str) -> Iterator[None]:
    """Inside moto makes up something of an account by itself, whoever happens to need it first."""
    settled = _settled.get(account)
    if settled is None:
        with _free():
            yield
    else:
        with deterministic(f"{settled[0]}/{what}", settled[1]):
            yield


def apply() -> None:
    """Let every part of moto, whenever it is loaded, draw and read the time through this module."""
    # moto_api/_internal: one object that all parts of moto import by name; seeding it would seed all threads at once.
    mock_random.__class__ = _Chance
    for name, module in list(sys.modules.items()):
        if name.startswith("moto."):
            _redirect(name, vars(module))
    sys.meta_path.insert(0, _Finder())
    loading.catch_up()
    _patch_birth()


class _Chance(MotoRandom):  # type: ignore[misc]
    """Draws from the thread's own source. `randbytes`, `choice` and the rest come down to these two."""

    def random(self) -> float:
        return _thread.source.random()

    def getrandbits(self, k: int) -> int:
        return _thread.source.getrandbits(k)

    def seed(self, *_: Any, **__: Any) -> None:
        """Only `deterministic` seeds."""


class _ClockedType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _Datetime(real_datetime.datetime, metaclass=_ClockedType):
    """`datetime` with the thread's clock. What it makes are plain datetimes."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return real_datetime.datetime(*args, **kwargs)

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        if _thread.moment is None:
            return real_datetime.datetime.now(tz)
        return real_datetime.datetime.fromtimestamp(_thread.moment, tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(real_datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(real_datetime.date, metaclass=_ClockedType):
    """`date` with the thread's clock."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return real_datetime.date(*args, **kwargs)

    @classmethod
    def today(cls) -> Any:
        return _Datetime.now().date()


def _time() -> float:
    return real_time.time() if _thread.moment is None else _thread.moment


def _urandom(size: int) -> bytes:
    return _thread.source.randbytes(size)


class _Module(types.ModuleType):
    """A module of the standard library with some names replaced."""

    def __init__(self, behind: types.ModuleType, **replaced: Any):
        super().__init__(behind.__name__)
        self.__dict__.update(replaced)
        self.__dict__["_behind"] = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_behind"], name)


_REDIRECTED: dict[int, Any] = {
    id(original): replacement
    for original, replacement in (
        (real_datetime, _Module(real_datetime, datetime=_Datetime, date=_Date)),
        (real_datetime.datetime, _Datetime),
        (real_datetime.date, _Date),
        (real_time, _Module(real_time, time=_time)),
        (real_time.time, _time),
        (real_random, mock_random),
        (real_uuid, _Module(real_uuid, uuid1=mock_random.uuid1, uuid4=mock_random.uuid4)),
        (real_uuid.uuid4, mock_random.uuid4),
        (os, _Module(os, urandom=_urandom)),
    )
}
"""What a module of moto may have imported -> what it gets instead."""


def _redirect(module_name: str, names: dict[str, Any]) -> None:
    if module_name.startswith(UNTOUCHED):
        return
    for name, value in list(names.items()):
        replacement = _REDIRECTED.get(id(value))
        if replacement is not None:
            names[name] = replacement


class _Finder(importlib.abc.MetaPathFinder):
    """Redirects a part of moto as soon as it has been loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("moto."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        # What is drawn while a module is loaded must not be taken from the request that happens to need it first.
        with _free():
            super().exec_module(module)
        _redirect(module.__name__, vars(module))
        loading.loaded(module.__name__)


def _patch_birth() -> None:
    # core/base_backend.py: a region's backend is made at the first look at it, with random ids inside.
    backend = base_backend.AccountSpecificBackend
    stock = backend.__getitem__

    def getitem(self: Any, region: str) -> Any:
        if region in self.keys():
            return stock(self, region)
        with born(self.account_id, f"{self.service_name}/{region}"):
            return stock(self, region)

    backend.__getitem__ = getitem
