"""AWS's API as botocore knows it, read once in a process.

Each session of botocore, and moto for each service, would look for all services and read the same megabytes again; so
would each of the threads whose requests come at once.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.loaders import JSONFileLoader

Create = Callable[..., Any]


class _Files(JSONFileLoader):  # type: ignore[misc]  # it has no types
    """Reads into plain dictionaries, which keep their order as botocore's ordered ones do, in half the time."""

    def _load_file(self, full_path: str, open_method: Any) -> Any:
        try:
            with open_method(full_path, "rb") as file:
                return json.loads(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None


def once(create_loader: Create) -> Create:
    """A `create_loader` that makes one loader for each search path, and that one for all threads: of those that want
    one model the first reads it, and the others wait.
    """

    @functools.cache
    def create(*search_path: str | None) -> Any:
        loader = create_loader(*search_path)
        loader.file_loader = _Files()
        reading = threading.RLock()
        for name in ("list_available_services", "load_service_model", "load_data_with_path"):
            setattr(loader, name, _one_at_a_time(getattr(loader, name), reading))
        return loader

    return create


def _one_at_a_time(method: Create, reading: threading.RLock) -> Create:
    @functools.wraps(method)
    def read(*arguments: Any, **named: Any) -> Any:
        with reading:
            return method(*arguments, **named)

    return read


def share() -> None:
    """Let every session of this process have what one has read. moto's part is in patches/core."""
    if not hasattr(botocore.session.create_loader, "cache_info"):
        botocore.session.create_loader = once(botocore.session.create_loader)
