"""What engines keep of a container, in one suite over both: as the table says that the documentation shows."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud import ports
from localcloud.docker.client import DockerClient, DockerError
from localcloud.engines import (
    CannotStart,
    Engine,
    Exit,
    HealthCheck,
    Isolation,
    Limit,
    Mount,
    TaskNetwork,
    kept,
)
from localcloud.engines.docker.api import Daemon, DaemonError
from localcloud.engines.docker.engine import LABEL, DockerEngine
from localcloud.engines.docker.network import SPARE
from localcloud.engines.lines import MAX_LINE_BYTES
from localcloud.engines.process import ProcessEngine
from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageStore
from tests.localcloud.running import Running, eventually

DOCKERFILE = """
ARG BASE=python:3
FROM ${BASE}
ENV GREETING=hello
WORKDIR /app
COPY code/ /app/
ENTRYPOINT ["/bin/sh", "/app/entry.sh"]
CMD ["from", "CMD"]
"""


@dataclass(frozen=True)
class Place:
    """An engine with its name in `kept`, an image that it can start, and what to look at for what it has left."""

    name: str
    engine: Engine
    image: str
    left: Callable[[], list[str]]
    close: Callable[[], None]


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    (folder / "code").mkdir()
    (folder / "code/entry.sh").write_text('echo "entry:$*"\n')
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


@pytest.fixture(scope="session")
def docker_image(docker_client: DockerClient, python_base: str, context: Path) -> Iterator[str]:
    name = f"herd-test-engines:{uuid.uuid4().hex[:12]}"
    docker_client.run("build", "--build-arg", f"BASE={python_base}", "--tag", name, str(context))
    yield name
    docker_client.run("image", "rm", "--force", name)


def of_processes(context: Path, folder: Path) -> Place:
    class Venvs(VenvRealiser):
        """There are none."""

    store = ImageStore(folder / "home", Venvs(folder / "cache", Path("uv")))
    store.tag("host/app:1", store.build(context, context / "Dockerfile", lambda line: None).digest)
    (folder / "scratch").mkdir()
    engine = ProcessEngine(store, folder / "scratch")
    return Place(
        kept.PROCESS, engine, "host/app:1", lambda: [str(one) for one in (folder / "scratch").iterdir()], engine.close
    )


@dataclass(frozen=True)
class Named:
    name: str


class InDaemon:
    """Images by the daemon's own names."""

    def resolve(self, reference: str) -> Named:
        return Named(reference)

    def make_ready(self, image: Named) -> None:
        raise DockerError(f"{image.name} is nowhere")


def in_docker(docker: DockerClient, image: str) -> Place:
    daemon, identity = Daemon(docker.host.removeprefix("unix://")), uuid.uuid4().hex[:12]
    engine = DockerEngine(daemon, identity, InDaemon())
    return Place(kept.DOCKER, engine, image, lambda: things_of(daemon, identity), engine.close)


def things_of(daemon: Daemon, identity: str) -> list[str]:
    """What has the label, but the network that leads outside, which is there as long as the engine, and one of a task
    that is to come.
    """
    filters = {"label": [f"{LABEL}={identity}"]}
    containers = daemon.call("GET", "/containers/json", all=True, filters=filters)
    volumes = daemon.call("GET", "/volumes", filters=filters)["Volumes"] or []
    spare = next((one["Id"] for one in containers if one["Labels"]["localcloud.task"] == SPARE), None)
    return [one["Id"] for one in containers if one["Id"] != spare] + [one["Name"] for one in volumes]


@pytest.fixture(scope="module", params=["process", "docker"])
def place(request: pytest.FixtureRequest, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "process":
        place = of_processes(context, tmp_path_factory.mktemp("process"))
    else:
        place = in_docker(request.getfixturevalue("docker_client"), request.getfixturevalue("docker_image"))
    yield place
    place.close()
    assert place.left() == []


@pytest.fixture(scope="module")
def docker(docker_client: DockerClient, docker_image: str) -> Iterator[Place]:
    place = in_docker(docker_client, docker_image)
    yield place
    place.close()
    assert place.left() == []


def started(place: Place, *words: str, **settings: object) -> Running:
    """A container of the place's image."""
    return Running(place.engine, *words, **{"image": place.image, **settings})  # type: ignore[arg-type]


COMMANDS: dict[str, tuple[Mapping[str, object], str]] = {
    "the image's own": ({}, "entry:from CMD"),
    "another command": ({"command": ("a", "b c")}, "entry:a b c"),
    "another entry point drops CMD": ({"entrypoint": ("echo", "x")}, "x"),
    "both": ({"entrypoint": ("echo",), "command": ("y",)}, "y"),
    "environment on top of the image's": (
        {"entrypoint": ("sh", "-c", 'echo "$GREETING $EXTRA"'), "environment": {"EXTRA": "a=b"}},
        "hello a=b",
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(place: Place, case: str) -> None:
    settings, line = COMMANDS[case]
    run = started(place, **settings)
    assert (run.ended(), run.lines) == (Exit(0), [line])


ENDS = {
    "zero": ("true", 0),
    "a code": ("exit 7", 7),
    "a signal": ("sh -c 'kill -TERM $$'", 143),
    "a command that is not there": ("nonsense-command", 127),
}


@pytest.mark.parametrize("case", ENDS)
def test_exit_codes(place: Place, case: str) -> None:
    script, code = ENDS[case]
    assert started(place, "sh", "-c", script).ended() == Exit(code)


REFUSED: dict[str, tuple[Mapping[str, object], str]] = {
    "not on PATH": ({"entrypoint": ("nope",)}, 'exec: "nope": executable file not found in $PATH'),
    "not there": ({"entrypoint": ("./nope",)}, "no such file or directory"),
    "not executable": ({"entrypoint": ("/app/entry.sh",)}, "permission denied"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_start(place: Place, case: str) -> None:
    settings, message = REFUSED[case]
    with pytest.raises(CannotStart, match=message.replace("$", r"\$")):
        started(place, **settings)
    eventually(lambda: place.left() == [])


def test_output_arrives_line_by_line_and_a_stop_ends_it(place: Place) -> None:
    run = started(place, "sh", "-c", "trap 'echo term; exit 3' TERM; echo one; while :; do sleep 0.05; done")
    run.until("one")
    assert run.exits == []
    run.handle.stop()
    run.handle.stop()
    assert run.ended() == Exit(3)
    assert run.lines == ["one", "term"]
    eventually(lambda: place.left() == [])


def test_odd_output(place: Place) -> None:
    run = started(place, "printf", r"a\r\n\n\377\376x\n\303\251\nlast")
    run.ended()
    assert run.lines == ["a", "", "\ufffd\ufffdx", "é", "last"]


def test_long_lines_are_cut_between_characters(place: Place) -> None:
    code = f"import sys; sys.stdout.write('x' + 'é' * {MAX_LINE_BYTES} + '\\nend')"
    run = started(place, "python3", "-X", "utf8", "-c", code)
    run.ended()
    assert run.lines[-1] == "end"
    assert "".join(run.lines[:-1]) == "x" + "é" * MAX_LINE_BYTES
    assert all(len(line.encode()) <= MAX_LINE_BYTES for line in run.lines)


def test_what_does_not_end_in_its_time_is_killed_with_its_children(place: Place) -> None:
    script = "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo up; while :; do sleep 0.05; done"
    run = started(place, "sh", "-c", script, stop_timeout_seconds=1)
    run.until("up")
    asked = time.monotonic()
    run.handle.stop()
    assert run.ended().code == 137
    assert time.monotonic() - asked > 0.9
    eventually(lambda: place.left() == [])


HOG = "data = b'x' * (300 << 20); print('got it', flush=True); import time; time.sleep(60)"


def test_the_memory_limit_is_kept(place: Place) -> None:
    run = started(place, "python3", "-c", HOG, memory_mb=150)
    assert run.ended() == Exit(137, "OutOfMemoryError: Container killed due to memory usage")


def test_nothing_outlives_its_first_process(place: Place) -> None:
    run = started(place, "sh", "-c", "setsid sleep 300 & echo started")
    assert run.ended() == Exit(0)
    eventually(lambda: place.left() == [])


# --- what Docker alone keeps ---

PROBE = """
import os, resource, socket
def write(path):
    try:
        open(path, "w").close(); return "yes"
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print("user", os.getuid(), os.getgid())
print("root", write("/app/x"))
print("volume", write("/tmp/x"), oct(os.stat("/tmp").st_mode)[-4:])
print("capabilities", int(status["CapBnd"], 16))
print("privileges", status["NoNewPrivs"])
print("files", resource.getrlimit(resource.RLIMIT_NOFILE))
"""

KEEPS: dict[str, tuple[Isolation, str]] = {
    "user": (Isolation(user="10001:10002"), "user 10001 10002"),
    "read-only root file system": (Isolation(read_only_root=True), "root Read-only file system"),
    "volumes": (Isolation(read_only_root=True, mounts=(Mount(volume="scratch", path="/app"),)), "root yes"),
    "read-only volumes": (
        Isolation(mounts=(Mount(volume="scratch", path="/tmp", read_only=True),)),
        "volume Read-only file system 1777",
    ),
    "capabilities": (Isolation(capabilities_dropped=("ALL",)), "capabilities 0"),
    "`no-new-privileges`": (Isolation(no_new_privileges=True), "privileges 1"),
    "`ulimits`": (Isolation(limits=(Limit(name="nofile", soft=123, hard=456),)), "files (123, 456)"),
}
"""By the table's names: what a container finds where the setting is kept."""

ROW = {"read-only volumes": "volumes"}


@pytest.mark.parametrize("setting", KEEPS)
def test_an_engine_keeps_what_the_table_says(place: Place, setting: str) -> None:
    isolation, line = KEEPS[setting]
    run = started(place, "python3", "-c", PROBE, isolation=isolation)
    assert run.ended() == Exit(0), run.lines
    [row] = [one for one in kept.SETTINGS if ROW.get(setting, setting) in (one.what, one.short)]
    assert (line in run.lines) == row.is_kept(place.name), run.lines


def test_what_docker_alone_keeps_has_a_case_here() -> None:
    alone = {one.short or one.what for one in kept.SETTINGS if one.is_kept(kept.DOCKER) > one.is_kept(kept.PROCESS)}
    assert alone <= {*KEEPS, *ELSEWHERE}


ELSEWHERE = {
    "CPU": "test_docker_keeps_the_share_of_processors",
    "a network for each task": "test_replicas_bind_one_port_and_are_reached_on_loopback_alone",
}


def test_the_working_folder_is_the_definitions(place: Place) -> None:
    run = started(place, "pwd", isolation=Isolation(working_folder="/usr"))
    assert (run.ended(), run.lines) == (Exit(0), ["/usr"])


def test_docker_keeps_the_share_of_processors(docker: Place) -> None:
    code = (
        "import time; began = time.monotonic()\nwhile time.process_time() < 0.5: pass\nprint(time.monotonic() - began)"
    )
    run = started(docker, "python3", "-c", code, isolation=Isolation(cpus=0.25))
    assert run.ended() == Exit(0)
    assert float(run.lines[0]) > 1.2, "half a second of work at a quarter of a processor"


def test_a_volume_for_everybody_is_one_for_the_tasks_user(docker: Place) -> None:
    isolation = Isolation(user="10001", read_only_root=True, mounts=(Mount(volume="scratch", path="/tmp"),))
    run = started(docker, "python3", "-c", PROBE, isolation=isolation)
    assert run.ended() == Exit(0) and "volume yes 1777" in run.lines


def test_docker_gives_it_an_init_process(docker: Place) -> None:
    run = started(docker, "cat", "/proc/1/comm", isolation=Isolation(init=True))
    assert run.ended() == Exit(0) and run.lines != ["cat"]


HEALTHS: dict[str, tuple[HealthCheck, list[str]]] = {
    "well, then not": (
        HealthCheck(test=("CMD-SHELL", 'test -e "${TMPDIR:-/tmp}/well"'), interval_seconds=1, retries=2),
        ["HEALTHY", "UNHEALTHY"],
    ),
    "a command without a shell": (
        HealthCheck(test=("CMD", "sh", "-c", "exit 3"), interval_seconds=1, retries=1), ["UNHEALTHY"]
    ),
    "a program that is not there": (HealthCheck(test=("CMD", "nope"), interval_seconds=1, retries=1), ["UNHEALTHY"]),
    "a check that takes too long": (
        HealthCheck(test=("CMD", "sleep", "60"), interval_seconds=1, retries=1, timeout_seconds=1), ["UNHEALTHY"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HEALTHS)
def test_a_containers_health_is_asked(place: Place, case: str) -> None:
    check, expected = HEALTHS[case]
    found: list[str] = []
    isolation = Isolation(health_check=check, on_health=found.append)
    script = 'w="${TMPDIR:-/tmp}/well"; touch "$w"; sleep 3; rm "$w"; sleep 60'
    run = started(place, "sh", "-c", script, isolation=isolation, stop_timeout_seconds=1)
    eventually(lambda: found == expected)
    run.handle.stop()
    run.ended()
    eventually(lambda: place.left() == [])


SERVE = "import http.server as h; print('up', flush=True); h.test(h.SimpleHTTPRequestHandler, port=8000)"


def test_replicas_bind_one_port_and_are_reached_on_loopback_alone(docker: Place) -> None:
    tasks = [TaskNetwork(identity=uuid.uuid4().hex, ports=((8000, ports.free()),)) for _ in range(2)]
    replicas = [started(docker, "python3", "-c", SERVE, task=task, stop_timeout_seconds=1) for task in tasks]
    for task, replica in zip(tasks, replicas, strict=True):
        replica.until("up")
        [(_, port)] = task.ports
        eventually(lambda port=port: status_of(port) == 200)  # type: ignore[misc]
        assert not answers("127.0.0.2", port), "another address of this machine"
    for task, replica in zip(tasks, replicas, strict=True):
        replica.handle.stop()
        replica.ended()
        docker.engine.end_task(task.identity)
    eventually(lambda: docker.left() == [])


def status_of(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return int(answer.status)
    except (OSError, http.client.HTTPException):
        return None


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_containers_of_one_task_share_loopback_and_volumes(docker: Place) -> None:
    task = TaskNetwork(identity=uuid.uuid4().hex)
    isolation = Isolation(mounts=(Mount(volume="scratch", path="/tmp"),))
    serving = "import http.server as h, os; os.chdir('/tmp'); open('x', 'w').write('hi'); print('up', flush=True); "
    serving += "h.test(h.SimpleHTTPRequestHandler, port=8000, bind='127.0.0.1')"
    server = started(docker, "python3", "-c", serving, task=task, isolation=isolation, stop_timeout_seconds=1)
    server.until("up")
    asking = (
        "import urllib.request as u, time\n"
        "for _ in range(100):\n"
        "    try: print(u.urlopen('http://127.0.0.1:8000/x').read().decode()); break\n"
        "    except OSError: time.sleep(0.1)\n"
        "print(open('/tmp/x').read())"
    )
    beside = started(docker, "python3", "-c", asking, task=task, isolation=isolation)
    assert (beside.ended(), beside.lines) == (Exit(0), ["hi", "hi"])
    alone = TaskNetwork(identity=uuid.uuid4().hex)
    other = started(docker, "python3", "-c", asking.replace("range(100)", "range(5)"), task=alone)
    assert other.ended().code == 1, "no other task is on that loopback"
    server.handle.stop()
    server.ended()
    for each in (task, alone):
        docker.engine.end_task(each.identity)
    eventually(lambda: docker.left() == [])


def test_what_a_task_may_reach_is_on_its_own_loopback(docker_client: DockerClient, docker_image: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        thread = threading.Thread(target=_echo, args=(listener, 2), daemon=True)
        thread.start()
        places = {("127.0.0.1", port): port, ("169.254.170.2", 80): port}
        engine = DockerEngine(
            Daemon(docker_client.host.removeprefix("unix://")), uuid.uuid4().hex[:12], InDaemon(), lambda: places
        )
        try:
            code = "import socket, sys\nfor place in sys.argv[1:]:\n"
            code += " a, _, p = place.rpartition(':'); s = socket.create_connection((a, int(p)), 10)\n"
            code += (
                " s.sendall(b'x' * (1 << 20)); s.shutdown(1); print(sum(map(len, iter(lambda: s.recv(65536), b''))))"
            )
            place = Place(kept.DOCKER, engine, docker_image, list, engine.close)
            run = started(place, "python3", "-c", code, f"127.0.0.1:{port}", "169.254.170.2:80")
            assert (run.ended(), run.lines) == (Exit(0), [str(1 << 20)] * 2)
        finally:
            engine.close()


def _echo(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            data = b""
            while chunk := connection.recv(1 << 16):
                data += chunk
            connection.sendall(data)


def test_a_secret_is_in_no_list_of_processes(docker: Place) -> None:
    secret = f"canary-{uuid.uuid4().hex}"
    run = started(docker, "sh", "-c", "echo up; sleep 60", environment={"SECRET": secret}, stop_timeout_seconds=1)
    run.until("up")
    assert secret not in subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    run.handle.stop()
    run.ended()


def test_close_leaves_nothing(docker_client: DockerClient, docker_image: str) -> None:
    place = in_docker(docker_client, docker_image)
    isolation = Isolation(mounts=(Mount(volume="scratch", path="/tmp"),))
    stubborn = [
        started(place, "sh", "-c", 'trap "" TERM; echo up; sleep 300 & wait', isolation=isolation) for _ in "ab"
    ]
    for run in stubborn:
        run.until("up")
    place.close()
    assert [run.ended() for run in stubborn] == [Exit(137)] * 2
    assert place.left() == []


KILLED = """
import sys, time
from localcloud.engines import Container, Isolation, Mount
from localcloud.engines.docker.api import Daemon
from localcloud.engines.docker.engine import DockerEngine
host, identity, image = sys.argv[1:]
class InDaemon:
    def resolve(self, reference):
        return type("Named", (), {"name": reference})
engine = DockerEngine(Daemon(host), identity, InDaemon())
kept = Isolation(mounts=(Mount(volume="scratch", path="/tmp"),))
say = lambda line: print(line, flush=True)
engine.start(Container(name="m", image=image, entrypoint=("sh", "-c", "echo up; sleep 300"), isolation=kept), say, say)
time.sleep(300)
"""


@pytest.mark.parametrize("reaper_dies_first", [False, True], ids=["reaped", "removed by the next start"])
def test_nothing_of_a_killed_cloud_stays(
    docker_client: DockerClient, docker_image: str, docker: Place, reaper_dies_first: bool
) -> None:
    daemon, identity = Daemon(docker_client.host.removeprefix("unix://")), uuid.uuid4().hex[:12]
    other = started(docker, "sh", "-c", "echo up; sleep 60", stop_timeout_seconds=1)
    other.until("up")
    command = [sys.executable, "-c", KILLED, daemon.socket_path, identity, docker_image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cloud:
        assert cloud.stdout is not None
        assert cloud.stdout.readline() == "up\n"
        if reaper_dies_first:
            listed = subprocess.run(
                ["ps", "-o", "pid=,args=", "--ppid", str(cloud.pid)], capture_output=True, text=True
            )
            [reaper] = [line.split()[0] for line in listed.stdout.splitlines() if "reaper" in line]
            os.kill(int(reaper), signal.SIGKILL)
        cloud.kill()
    if reaper_dies_first:
        assert len(things_of(daemon, identity)) == 3
        DockerEngine(daemon, identity, InDaemon()).close()
    eventually(lambda: things_of(daemon, identity) == [])
    eventually(lambda: not list(Path(tempfile.gettempdir()).glob(f"localcloud-{identity}-*")))
    assert other.exits == [], "what is another cloud's runs on"
    other.handle.stop()
    other.ended()


def test_an_image_that_is_nowhere_is_not_started(docker: Place) -> None:
    with pytest.raises(CannotStart, match="CannotPullContainerError: no-such-image:1 is nowhere"):
        started(docker, image="no-such-image:1")
    eventually(lambda: docker.left() == [])


def test_a_daemon_that_is_not_there_is_named() -> None:
    with pytest.raises(DaemonError, match="the Docker daemon at /nowhere/docker.sock does not answer"):
        DockerEngine(Daemon("/nowhere/docker.sock"), "x", InDaemon())
