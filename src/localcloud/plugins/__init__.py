"""Pulumi's `aws` and `docker` providers, served by the local cloud's own process.

A provider instance is a gRPC server on a port of its own, one for each time that an engine starts the plugin's
executable. Everything else (clients, type tables, ledger) is shared and warm.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from botocore.exceptions import ClientError

from localcloud.images import Images
from localcloud.plugins.docker_config import DockerConfig
from localcloud.plugins.ledger import Entry, Ledger, type_of
from localcloud.plugins.protocol import Servicer
from localcloud.plugins.provider import Provider, identity_now
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import REGISTRY, Cloud, NoNotices, Notices, Resource, ServerLike, gone
from localcloud.plugins.states import Backend
from localcloud.plugins.types import load_types
from localcloud.plugins.wire import engine_pb2, engine_pb2_grpc, provider_pb2_grpc
from localcloud.provider_executables import VERSIONS
from localcloud.request_context import caused_by

NOWHERE = Backend()
"""A state that nobody can read: nothing is adopted."""

_THREADS = 32  # more than the engine's default parallelism; a handler that waits (a steady service) holds one
_MESSAGE_LIMIT = 1 << 29


class SweepIncomplete(Exception):
    """Some resources of a stack could not be deleted; `left` pairs each URN with the reason."""

    def __init__(self, left: list[tuple[str, str]]):
        super().__init__("; ".join(f"{urn}: {reason}" for urn, reason in left))
        self.left = left


class Session:
    """One provider instance, for one engine."""

    def __init__(self, provider: Provider, engine: str, on_close: Callable[[], object] = lambda: None):
        self._log, self._on_close = _EngineLog(engine), on_close
        provider.cloud = replace(provider.cloud, log=self._log, note=self._log.note, warn=self._log.warn)
        self._pool = ThreadPoolExecutor(_THREADS, f"{provider.package}-plugin")
        options = [
            ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
            ("grpc.max_send_message_length", _MESSAGE_LIMIT),
        ]
        self._server = grpc.server(self._pool, options=options)
        servicer = Servicer(provider, VERSIONS[provider.package])
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, self._server)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        """The engine has gone. What is being created is finished and stays in the ledger."""
        self._server.stop(0)
        self._pool.shutdown(wait=False)
        self._log.close()
        self._on_close()


class Plugins:
    """The providers of a local cloud."""

    def __init__(self, server: ServerLike, images: Images | None, home: Path, notices: Notices | None = None):
        load_types()
        home.mkdir(parents=True, exist_ok=True)
        self._server, self._images = server, images
        self._home = home
        self._notices = notices or NoNotices()
        self._ledger = Ledger(home / "ledger.sqlite")
        self._open: dict[int, Provider] = {}

    def open(self, request: Mapping[str, Any]) -> Session:
        """A fresh instance for {"package", "engine", "cwd", "environment"}: of the engine's, `docker_config.VARIABLES`.

        Raises ValueError for a package that is none of ours.
        """
        package = request.get("package")
        if package not in VERSIONS:
            raise ValueError(f"no provider for package {package!r}; there are: {', '.join(VERSIONS)}")
        provider = self.provider(str(package), str(request.get("cwd") or "."), Backend.of(request))
        provider.cloud = replace(provider.cloud, docker=DockerConfig(dict(request.get("environment") or {})))
        self._open[id(provider)] = provider
        return Session(provider, str(request.get("engine") or ""), lambda: self._open.pop(id(provider), None))

    def provider(self, package: str, directory: str = ".", backend: Backend = NOWHERE) -> Provider:
        """A provider of its own session, not served."""
        types = {token: kind for token, kind in REGISTRY.items() if token.startswith(f"{package}:")}
        cloud = Cloud(self._server, self._images, self._server.region, directory=directory, notices=self._notices)
        # Relative to the cloud's own files: a checkout that is moved takes both along.
        place = os.path.relpath(backend.folder, self._home) if backend.folder else ""
        return Provider(package, types, self._ledger, cloud, backend, place, deleted_by_all=self._deleted)

    def _deleted(self) -> set[tuple[str, str]]:
        """What the engines at work have deleted: their state holds it until they write it."""
        return {each for provider in list(self._open.values()) for each in provider.deleted.copy()}

    def stacks(self) -> dict[str, int]:
        """`project/stack` → number of resources that exist."""
        return self._ledger.stacks()

    def unfinished(self) -> set[str]:
        """Causes of what was being created when the process was killed: nobody has been told of it."""
        return self._ledger.unfinished()

    def living(self) -> set[str]:
        """Causes of what exists."""
        return self._ledger.living()

    def knows(self, cause: int) -> bool:
        """Has there been an entry of this cause, or a later one? If not, the disk has lost it: no other gets it."""
        return self._ledger.has_reached(cause)

    def sweep(self, project: str, stack: str, released: bool = False) -> list[str]:
        """Delete what interrupted updates have left of a stack, the newest first, until nothing more goes; the URNs
        that went. With `released` also everything else that is known of it here, whatever a state says.
        """
        removed: list[str] = []
        of_stack = f"{project}/{stack}"
        unreadable = self._settle(of_stack)
        while True:
            left: list[tuple[str, str]] = []
            before = len(removed)
            at_work = {number for provider in list(self._open.values()) for number in provider.own}
            for entry in self._ledger.of_stack(of_stack):
                left_over = entry.is_leftover and entry.backend not in unreadable or not entry.identity
                if entry.number in at_work or not (left_over or released):
                    continue
                if not released and self._is_in_state_by_its_id(entry):
                    continue
                try:
                    if entry.identity and not self._ledger.is_shared(entry):
                        with caused_by(entry.cause):
                            self._kind(entry).delete(self._cloud(entry), entry.identifier, entry.outputs)
                except (ClientError, Refused) as error:
                    if not (isinstance(error, ClientError) and gone(error)):
                        left.append((entry.urn, str(error)))
                        continue
                self._ledger.drop(entry)
                removed.append(entry.urn)
            if not left:
                return removed
            if len(removed) == before:
                raise SweepIncomplete(left)

    def _is_in_state_by_its_id(self, entry: Entry) -> bool:
        """Is it by its id what the last state holds, which no refresh has brought up to date since it was made?"""
        namesakes = self._ledger.namesakes(entry.urn, entry.identifier, entry.identity, entry.region)
        return any(
            identity_now(self._kind(entry), self._cloud(entry), entry.identifier, held.outputs) == entry.identity
            for held in namesakes
            if held.standing == "held" and held.stack == entry.stack
        )

    def missing(self, project: str, stack: str) -> list[str]:
        """URNs of what was made for a stack and does not exist any more, in the order in which it was made."""
        urns = []
        for entry in reversed(self._ledger.of_stack(f"{project}/{stack}")):
            if entry.identity and entry.standing != "released" and not self._exists(entry):
                urns.append(entry.urn)
        return urns

    def unowned(self, stack: str = "") -> list[Entry]:
        """What exists and was retained or removed from a state by hand: of one `project/stack`, or of all."""
        entries = []
        for each in [stack] if stack else sorted(self.stacks()):
            self._settle(each)
            for entry in self._ledger.of_stack(each):
                if entry.standing in ("new", "held"):
                    continue
                if self._exists(entry):
                    entries.append(entry)
                else:
                    self._ledger.drop(entry)
        return entries

    def take_up(self, project: str, stack: str) -> list[str]:
        """The stack's whole state is lost: let its next update adopt what it declares of what there is; their URNs."""
        return [entry.urn for entry in self._ledger.take_up(f"{project}/{stack}")]

    def _settle(self, stack: str) -> set[str]:
        """Hold a stack's entries against its last state; the backends whose state is there and cannot be read."""
        unreadable = set()
        for place in {entry.backend for entry in self._ledger.of_stack(stack)} - {""}:
            backend = self._backend(place)
            state = backend.state(stack)
            if state is not None:
                past = functools.partial(backend.past, stack)
                self._ledger.settle(stack, place, state, past, self._server.region, self._deleted)
            elif backend.file(stack) is not None:
                unreadable.add(place)
        return unreadable

    def _backend(self, place: str) -> Backend:
        return Backend(folder=self._home / place if place else None)

    def _exists(self, entry: Entry) -> bool:
        try:
            return self._kind(entry).read(self._cloud(entry), entry.identifier, entry.outputs) is not None
        except ClientError as error:
            return not gone(error)
        except Refused:
            return True  # nothing can be said of it

    def _kind(self, entry: Entry) -> Resource:
        return REGISTRY[type_of(entry.urn)]

    def _cloud(self, entry: Entry) -> Cloud:
        return Cloud(self._server, self._images, entry.region)

    def close(self) -> None:
        """Close the ledger's file."""
        self._ledger.close()


class _EngineLog:
    """Messages to the person, shown by the engine while it works."""

    def __init__(self, engine: str):
        self._channel = grpc.insecure_channel(engine) if engine else None
        self._stub = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None

    def __call__(self, message: str) -> None:
        """Shown while the engine works, and not kept."""
        self._say(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, ephemeral=True))

    def note(self, message: str) -> None:
        """Shown when it has ended, as what one should know and nobody need mend."""
        self._say(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message))

    def warn(self, message: str) -> None:
        """Shown when it has ended."""
        self._say(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message))

    def _say(self, request: engine_pb2.LogRequest) -> None:
        if self._stub is None:
            return
        with contextlib.suppress(grpc.RpcError):  # the engine is going: there is nobody left to tell
            self._stub.Log(request, timeout=5)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
