"""What an object works out once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


def once(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """A method that runs once for the same arguments, for as long as its object lives.

    `functools.cache` keeps its results at the class: each object stays, and the connections of its boto3 clients with
    it, in whatever asks again and again.
    """
    name = f"_once_{method.__name__}"

    @functools.wraps(method)
    def call(self: T, /, *args: P.args, **kwargs: P.kwargs) -> R:
        results = vars(self).setdefault(name, {})
        key = (args, *sorted(kwargs.items()))
        if key not in results:
            results[key] = method(self, *args, **kwargs)
        return results[key]  # type: ignore[no-any-return]

    return call
