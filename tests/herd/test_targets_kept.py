"""What an object works out once ends with it."""

from __future__ import annotations

import gc
import weakref

from herd.targets.kept import once


class Clients:
    def __init__(self) -> None:
        self.made: list[str] = []

    @once
    def client(self, service: str) -> list[str]:
        self.made.append(service)
        return [service]


def test_a_method_runs_once_for_the_same_arguments_of_one_object() -> None:
    one, other = Clients(), Clients()
    assert one.client("s3") is one.client("s3")
    assert other.client("s3") is not one.client("s3")
    assert one.client("ecs") == ["ecs"] and one.made == ["s3", "ecs"]


def test_what_was_worked_out_goes_with_its_object() -> None:
    clients = Clients()
    clients.client("s3")
    gone = weakref.ref(clients)
    del clients
    gc.collect()
    assert gone() is None
