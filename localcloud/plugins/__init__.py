"""Pulumi's `aws` and `docker` providers, served by the local cloud's own process.

A provider instance is a gRPC server on a port of its own, one for each time that an engine starts the plugin's
executable. Everything else (clients, type tables, ledger) is shared and warm.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from botocore.exceptions import ClientError
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from localcloud.causes import caused_by
from localcloud.plugins.docker_config import DockerConfig
from localcloud.plugins.ledger import Ledger, type_of
from localcloud.plugins.protocol import Servicer
from localcloud.plugins.provider import Provider, Refused
from localcloud.plugins.resource import REGISTRY, Cloud, Images, ServerLike, gone
from localcloud.plugins.types import load_types

VERSIONS = {"aws": "7.51.1", "docker": "5.2.0"}
_THREADS = 32  # more than the engine's default parallelism; a handler that waits (a steady service) holds one
_MESSAGE_LIMIT = 1 << 29


class SweepIncomplete(Exception):
    """Some resources of a stack could not be deleted; `left` pairs each URN with the reason."""

    def __init__(self, left: list[tuple[str, str]]):
        super().__init__("; ".join(f"{urn}: {reason}" for urn, reason in left))
        self.left = left


class Session:
    """One provider instance, for one engine."""

    def __init__(self, provider: Provider, engine: str):
        self._log = _EngineLog(engine)
        provider.cloud = replace(provider.cloud, log=self._log)
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


class Plugins:
    """The providers of a local cloud."""

    def __init__(self, server: ServerLike, images: Images | None, home: Path):
        load_types()
        home.mkdir(parents=True, exist_ok=True)
        self._server, self._images = server, images
        self._ledger = Ledger(home / "ledger.sqlite")

    def open(self, request: Mapping[str, Any]) -> Session:
        """A fresh instance for {"package", "engine", "cwd", "environment"}: of the engine's, `docker_config.VARIABLES`.

        Raises ValueError for a package that is none of ours.
        """
        package = request.get("package")
        if package not in VERSIONS:
            raise ValueError(f"no provider for package {package!r}; there are: {', '.join(VERSIONS)}")
        provider = self.provider(str(package), str(request.get("cwd") or "."))
        provider.cloud = replace(provider.cloud, docker=DockerConfig(dict(request.get("environment") or {})))
        return Session(provider, str(request.get("engine") or ""))

    def provider(self, package: str, directory: str = ".") -> Provider:
        """A provider of its own session, not served."""
        types = {token: kind for token, kind in REGISTRY.items() if token.startswith(f"{package}:")}
        cloud = Cloud(self._server, self._images, self._server.region, directory=directory)
        return Provider(package, types, self._ledger, cloud)

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

    def sweep(self, project: str, stack: str) -> list[str]:
        """Delete what is left of a stack, the newest first, until nothing more goes; the URNs that went."""
        removed: list[str] = []
        while True:
            left: list[tuple[str, str]] = []
            before = len(removed)
            for entry in self._ledger.of_stack(f"{project}/{stack}"):
                kind = REGISTRY[type_of(entry.urn)]
                cloud = Cloud(self._server, self._images, entry.region)
                try:
                    if entry.identity:
                        with caused_by(entry.cause):
                            kind.delete(cloud, entry.identifier, entry.outputs)
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

    def missing(self, project: str, stack: str) -> list[str]:
        """URNs of what was made for a stack and does not exist any more, in the order in which it was made."""
        found = []
        for entry in reversed(self._ledger.of_stack(f"{project}/{stack}")):
            kind = REGISTRY[type_of(entry.urn)]
            cloud = Cloud(self._server, self._images, entry.region)
            try:
                if entry.identity and kind.read(cloud, entry.identifier, entry.outputs) is None:
                    found.append(entry.urn)
            except ClientError as error:
                if gone(error):
                    found.append(entry.urn)
            except Refused:
                continue  # nothing can be said of it
        return found

    def close(self) -> None:
        """Close the ledger's file."""
        self._ledger.close()


class _EngineLog:
    """Messages to the person, shown by the engine while it works."""

    def __init__(self, engine: str):
        self._channel = grpc.insecure_channel(engine) if engine else None
        self._stub = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None

    def __call__(self, message: str, urn: str = "") -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True)
        with contextlib.suppress(grpc.RpcError):  # the engine is going: there is nobody left to tell
            self._stub.Log(request, timeout=5)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()


def install_plugins(home: Path, pulumi_home: Path, python: str = sys.executable) -> list[Path]:
    """Write the executables that an engine with this PULUMI_HOME finds; the paths. Safe to repeat."""
    launcher, endpoint = Path(__file__).with_name("launcher.py"), (home / "endpoint.json").absolute()
    written = []
    for package, version in VERSIONS.items():
        folder = pulumi_home / "plugins" / f"resource-{package}-v{version}"
        folder.mkdir(parents=True, exist_ok=True)
        # The shell starts it, because a `#!` line cannot name an interpreter whose path has a space.
        command = shlex.join([python, "-I", "-S", str(launcher), str(endpoint), package])
        # Two commands may do this at once: each has a draft of its own.
        executable, draft = folder / f"pulumi-resource-{package}", folder / f".{package}.{os.getpid()}.new"
        draft.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        draft.chmod(0o755)
        draft.replace(executable)
        written.append(executable)
    return written
