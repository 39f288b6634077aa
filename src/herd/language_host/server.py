"""The language host itself: a gRPC server that the engine asks to run Python programs and policy packs."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2

from herd.language_host.wire import without_sdk

with without_sdk():
    from pulumi import _version
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, language_pb2, language_pb2_grpc, plugin_pb2

PROGRAM = Path(__file__).with_name("program.py")
ALREADY_SHOWN = 32  # as in program.py, which cannot be imported here: it belongs to the program's interpreter
NO_MESSAGE_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
POLICY_PACKS = {"analyzer": "pulumi.policy", "policy": "pulumi.policy"}
"""Kinds of plugin that are a module over the folder, rather than a program in it."""
OWN_PACK = Path(__file__).parents[1] / "policy"
"""Speaks the protocol itself: started as the program that it is, it loads nothing of Pulumi's SDK."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The service that the engine calls. It requires no plugins and packages, so that the engine downloads nothing."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        self.engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=str(_version.version))

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: Any, context: Any) -> Any:
        return language_pb2.AboutResponse(executable=interpreter(request.info), version=sys.version.split()[0])

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        from importlib import metadata  # a seventh of the start; only `pulumi about` asks

        packages = sorted((distribution.name, distribution.version) for distribution in metadata.distributions())
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in packages]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        text = "Packages come from the project's lock file: run `make up`. Nothing was installed.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=text.encode())

    def Cancel(self, request: Any, context: Any) -> Any:
        self.stop_children()
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program to its end; each line that it prints becomes a message of the update."""
        program = os.path.normpath(os.path.join(request.info.program_directory, request.info.entry_point or "."))
        settings = {
            "monitor": request.monitor_address,
            "engine": self.engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "root_directory": request.info.root_directory,
        }
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [interpreter(request.info), "-u", "-P", str(PROGRAM), json.dumps(settings), program, *request.args]
        child = self._start(command, cwd=request.pwd, env=environment, stderr=subprocess.STDOUT)
        self._forward_lines(child)
        status = self._wait(child)
        if status == ALREADY_SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program exited with status {status}" if status else "")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a plugin written in Python (a policy pack, say) and stream what it prints: its first line is its port."""
        folder = request.info.program_directory
        module = POLICY_PACKS.get(request.kind) if Path(folder).resolve() != OWN_PACK.resolve() else None
        target = ["-m", module, request.args[0], folder] if module else [folder, *request.args]
        environment = {**os.environ, **dict(entry.split("=", 1) for entry in request.env)}
        command = [interpreter(request.info), "-u", *target]
        child = self._start(command, cwd=request.pwd or None, env=environment, stderr=subprocess.PIPE)
        context.add_callback(child.terminate)
        yield from _stream(child)
        yield language_pb2.RunPluginResponse(exitcode=self._wait(child))

    def stop_children(self) -> None:
        """Ask every running program to end."""
        for child in list(self._children):
            child.terminate()

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        child: subprocess.Popen[bytes] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options
        )
        self._children.add(child)
        return child

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        status = child.wait()
        self._children.discard(child)
        return status

    def _forward_lines(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with grpc.insecure_channel(self.engine, options=NO_MESSAGE_LIMIT) as channel, child.stdout as lines:
            log = engine_pb2_grpc.EngineStub(channel).Log
            for line in lines:
                text = line.decode(errors="replace").rstrip("\n")
                log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text))


def interpreter(info: Any) -> str:
    """The Python of a program: of the `virtualenv` in Pulumi.yaml's runtime options, else the one that this host has.

    A relative path is looked up from Pulumi.yaml's folder, then from `main:`'s.
    """
    wanted = info.options.fields["virtualenv"].string_value if "virtualenv" in info.options.fields else ""
    for folder in (info.root_directory, info.program_directory) if wanted else ():
        python = os.path.normpath(os.path.join(folder, wanted, "bin", "python"))
        if os.path.exists(python):
            return python
    return sys.executable


def _stream(child: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What the child writes to both of its pipes, in order of arrival, until both are closed."""
    chunks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def pump(pipe: IO[bytes], field: str) -> None:
        while chunk := os.read(pipe.fileno(), 65536):
            chunks.put(
                language_pb2.RunPluginResponse(stdout=chunk)
                if field == "stdout"
                else language_pb2.RunPluginResponse(stderr=chunk)
            )
        chunks.put(None)

    assert child.stdout is not None and child.stderr is not None
    for pipe, field in ((child.stdout, "stdout"), (child.stderr, "stderr")):
        threading.Thread(target=pump, args=(pipe, field), daemon=True).start()
    open_pipes = 2
    while open_pipes:
        chunk = chunks.get()
        if chunk is None:
            open_pipes -= 1
        else:
            yield chunk


def serve(engine: str) -> None:
    """Serve until the engine ends the host by a signal, or ends itself."""
    host = LanguageHost(engine)
    server = grpc.server(ThreadPoolExecutor(8), options=NO_MESSAGE_LIMIT)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop(*_: object) -> None:
        host.stop_children()
        server.stop(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    threading.Thread(target=_stop_with_parent, args=(os.getppid(), stop), daemon=True).start()
    print(port, flush=True)
    server.wait_for_termination()


def _stop_with_parent(parent: int, stop: Any) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    stop()
