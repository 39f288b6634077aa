"""A whole local cloud in one process: server, images, agent, gateway, plugins and control socket, started in order.

`LocalCloud.start` returns when the port answers and `endpoint.json` says so; `stop` ends the tasks first, then
everything else.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psutil

from localcloud import atomic, mail
from localcloud.agent.clock import Clock, SystemClock
from localcloud.config import LOOPBACK, Config, Endpoint, LocalCloudError
from localcloud.control import Answer, Control, Request, clear_after_kill
from localcloud.credentials import FunctionEnvironment, Keyring, TaskEnvironment, assumed, load_root
from localcloud.mail import answers
from localcloud.unreadable import Unreadable, using
from localcloud.version import VERSION, code_of

log = logging.getLogger(__name__)

SIGNAL_SECONDS = 1.0


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """While modules are loaded: they are no garbage, and to look through all of them for some, again and again, takes a
    fifth of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if gc.get_count()[0] > gc.get_threshold()[0]:
                gc.freeze()  # else the next object would have all of them looked through
            gc.enable()


class LocalCloud:
    """One account on this machine. `port` replaces the port that `config.home` has kept, `tasks_at_once` the number
    of tasks of jobs that this machine bears, `clock` the computer's, `engine` the one that runs tasks from now on.
    """

    def __init__(
        self,
        config: Config,
        port: int | None = None,
        tasks_at_once: int | None = None,
        clock: Clock | None = None,
        engine: str | None = None,
    ):
        self.config = config
        self._tasks_at_once = tasks_at_once
        self._clock = clock or SystemClock()
        self._wanted_port = port
        self._code = code_of()
        self._chosen_engine = engine
        self._engine = ""
        self._parts = ExitStack()
        self._stop_asked = threading.Event()
        self.endpoint: Endpoint | None = None
        self.server: Any = None
        self.agent: Any = None
        self.images: Any = None
        self.plugins: Any = None
        self._state: Any = None

    def start(self) -> Endpoint:
        """Raises LocalCloudError (the home is served already, the port is taken, a file cannot be used).

        Nothing is left running then, and nothing of the kept state is removed.
        """
        began = time.monotonic()
        try:
            with ExitStack() as undo, using(self.config.home):
                self.endpoint = self._start(undo)
                self._parts = undo.pop_all()
        except Unreadable as error:
            if not error.reason.is_loss:
                raise
            from localcloud.state import way_out

            raise LocalCloudError(f"{error}. {way_out(self.config.home)}") from error
        log.info("ready at %s after %.2f s", self.endpoint.url, time.monotonic() - began)
        return self.endpoint

    def stop(self) -> None:
        log.info("stopping")
        self._parts.close()
        log.info("stopped")

    def ask_to_stop(self) -> None:
        """Makes `wait_until_asked` return. Safe in a signal handler."""
        self._stop_asked.set()

    def wait_until_asked(self) -> None:
        # Not for ever at a time: a signal that comes just before a thread blocks is only seen when it wakes.
        while not self._stop_asked.wait(SIGNAL_SECONDS):
            if not self.config.exists:
                log.warning("%s has been removed: there is nothing left to serve", self.config.home)
                return

    def _start(self, parts: ExitStack) -> Endpoint:
        config = self.config
        config.prepare()
        parts.enter_context(config.exclusively())
        clear_after_kill(config.control_note)
        listener = config.bind(self._wanted_port)
        parts.callback(listener.close)
        self._engine = self._chosen_engine or config.engine
        port = int(listener.getsockname()[1])
        root = load_root(config, port)
        keyring = Keyring(root)

        # Imported here: a second of moto is not to be waited for before a taken port or home is reported.
        with _nothing_collected():
            from localcloud import api_models

            api_models.share()
            from moto.backends import get_backend

            from localcloud.agent.agent import Agent, FunctionParts
            from localcloud.agent.slots import Capacity
            from localcloud.agent.traffic import Traffic
            from localcloud.engines.kept import Notices
            from localcloud.engines.process import ProcessEngine
            from localcloud.gateway import Gateway
            from localcloud.iam.guard import Guard
            from localcloud.images.realise import VenvRealiser
            from localcloud.images.store import ImageStore
            from localcloud.patches.hooks import KEPT_PACKAGES
            from localcloud.plugins import Plugins
            from localcloud.server import Server
            from localcloud.state import OBJECTS, State

        state = self._state = State(config, self._clock)
        parts.callback(state.close)
        registry_key = hashlib.sha256(f"image registry {root.secret_key}".encode()).digest()
        packages = config.home / KEPT_PACKAGES
        server = Server(config.account, config.region, f"http://{LOOPBACK}:{port}", registry_key, packages)
        parts.callback(server.close)
        images: Any = ImageStore(config.home / "images", VenvRealiser(config.cache, config.uv))
        # Functions are processes with either engine.
        processes = ProcessEngine(images)
        parts.callback(processes.close)
        engine: Any = processes
        if self._engine == "docker":
            from localcloud import containers

            images, engine = containers.docker(config, port, self._databases, parts)
        if self._engine != config.engine:
            atomic.write(config.engine_file, f"{self._engine}\n")  # not before it is known that it works
        notices = Notices(config.home / "plugins" / "notices.json", self._engine)
        self.plugins = Plugins(server, images, config.home / "plugins", notices)
        parts.callback(self.plugins.close)
        server.guard, keyring.sessions = Guard(), assumed(config.account)
        # Before anybody can make a task, an execution or a request.
        state.restore(server, self.plugins)
        traffic = Traffic(self._clock)
        gateway = Gateway(
            listener,
            server,
            keyring,
            lambda: list(get_backend("elbv2")[config.account].values()),
            lambda: [zone for part in get_backend("route53")[config.account].values() for zone in part.zones.values()],
            lambda: [
                one
                for part in get_backend("cloudfront")[config.account].values()
                for one in part.distributions.values()
            ],
            traffic,
            config.home / OBJECTS,
        )
        parts.callback(gateway.stop)
        capacity = Capacity.of_this_machine(self._tasks_at_once)
        environment = TaskEnvironment(keyring, config, port, engine.has_own_network)
        functions = FunctionParts(processes, FunctionEnvironment(environment), config.home / "functions")
        databases = config.home / "databases"
        agent = Agent(
            server, engine, images, environment, self._clock, state.memory, capacity, functions, traffic, databases
        )  # fmt: skip
        # Tasks end while the gateway still answers, so that they can save what they have.
        parts.callback(agent.stop)
        parts.callback(state.abort_running)
        control = Control(
            {
                "ping": self._ping,
                "plugin": self._plugin,
                "sweep": self._sweep,
                "take-up": self._take_up,
                "unowned": self._unowned,
                "missing": self._missing,
                "status": self._status,
                "inbox": self._inbox,
                "message": self._message,
                "stop": self._stop,
            },
            config.control_note,
        )
        parts.callback(control.close)
        self.server, self.agent, self.images = server, agent, images
        agent.start()
        gateway.start()
        control.start()
        endpoint = Endpoint(
            port=port,
            pid=os.getpid(),
            instance=state.identity,
            control=str(control.path),
            version=VERSION,
            started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        endpoint.write(config.endpoint_file)
        parts.callback(config.endpoint_file.unlink, missing_ok=True)
        return endpoint

    def _databases(self) -> dict[tuple[str, int], int]:
        """Where databases answer: address and port, and the port of this machine."""
        from localcloud import backends

        with self.server.lock:
            instances = list(backends.database_instances(self.config.account))
        places = [getattr(one, "answers_at", None) for one in instances]
        return {(place[0], place[1]): place[1] for place in places if place}

    def _ping(self, request: Request, owned: ExitStack) -> Answer:
        assert self.endpoint
        home = str(self.config.home)  # who has a copy of these files must not take this cloud for its own
        return {"instance": self.endpoint.instance, "pid": self.endpoint.pid, "version": VERSION, "home": home,
                "losses": self._state.losses, "unused": self._state.unused, "code": self._code, "engine": self._engine,
                "inbox": f"http://{mail.INBOX_HOST}:{self.endpoint.port}/"}  # fmt: skip

    def _plugin(self, request: Request, owned: ExitStack) -> Answer:
        session = self.plugins.open(request)
        owned.callback(self._state.compact)  # an update leaves many changes that later ones have replaced
        owned.callback(session.close)
        return {"port": session.port}

    def _sweep(self, request: Request, owned: ExitStack) -> Answer:
        released = request.get("released") is True
        removed = self.plugins.sweep(str(request["project"]), str(request["stack"]), released)
        # With what a stack had, most of the journal's reason is gone; a cloud that others keep up may never stop.
        self._state.compact()
        return {"removed": removed}

    def _missing(self, request: Request, owned: ExitStack) -> Answer:
        return {"missing": self.plugins.missing(str(request["project"]), str(request["stack"]))}

    def _take_up(self, request: Request, owned: ExitStack) -> Answer:
        return {"taken": self.plugins.take_up(str(request["project"]), str(request["stack"]))}

    def _unowned(self, request: Request, owned: ExitStack) -> Answer:
        """Of one stack, or of all: what no state names, though it exists."""
        stack = f"{request['project']}/{request['stack']}" if "stack" in request else ""
        entries = [
            {"stack": entry.stack, "urn": entry.urn, "id": entry.identifier, "identity": entry.identity}
            for entry in self.plugins.unowned(stack)
        ]
        return {"unowned": entries}

    def _status(self, request: Request, owned: ExitStack) -> Answer:
        with self.server.lock:
            clusters = self.server.client("ecs").list_clusters()["clusterArns"]
            tasks = sum(len(self.server.client("ecs").list_tasks(cluster=arn)["taskArns"]) for arn in clusters)
        memory = psutil.Process().memory_info().rss
        return {"memory_mb": round(memory / 2**20), "tasks": tasks, "stacks": self.plugins.stacks()}

    def _inbox(self, request: Request, owned: ExitStack) -> Answer:
        return answers.listing(mail.mailbox(self.config.account), request)

    def _message(self, request: Request, owned: ExitStack) -> Answer:
        return answers.message(mail.mailbox(self.config.account), request)

    def _stop(self, request: Request, owned: ExitStack) -> Answer:
        owned.callback(self.ask_to_stop)  # once the answer has been sent and the connection closed
        return {"stopping": True}
