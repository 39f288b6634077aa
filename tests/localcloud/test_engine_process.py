"""Containers as processes: what they see, what they say, how they end, and that nothing of them stays."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness.processes import runs
from localcloud.engines import CannotStart, Container, Exit
from localcloud.engines.lines import MAX_LINE_BYTES
from localcloud.engines.memory import memory_of_tree
from localcloud.engines.process import ProcessEngine
from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageStore
from tests.localcloud.running import LONG_SECONDS, Running, eventually

DOCKERFILE = """
FROM python:3
LABEL localcloud.venv./opt/venv="my.lock"
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/lib:/nowhere GREETING=hello HOME=/root TZ=Mars/Base
WORKDIR /app
COPY code/ /app/
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/sh", "/app/entry.sh"]
CMD ["from", "CMD"]
"""


class Venvs(VenvRealiser):
    """An environment with an interpreter and nothing else; the real ones have tests of their own."""

    def realise(self, lock_file: Path, on_progress: object = None) -> Path:
        folder = self.folder(lock_file.read_text())
        if not folder.exists():
            (folder / "bin").mkdir(parents=True)
            (folder / "bin/python").symlink_to(sys.executable)
        return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    root = tmp_path_factory.mktemp("engine")
    context = root / "context"
    (context / "code/lib").mkdir(parents=True)
    (context / "code/entry.sh").write_text('echo "entry:$*"\n')
    (context / "code/tool").write_text(
        "#!/opt/venv/bin/python -I\nimport sys\nprint('tool', sys.argv[1:], sys.flags.isolated)\n"
    )
    (context / "code/tool").chmod(0o755)
    (context / "code/lib/shared.py").write_text("value = 42\n")
    (context / "my.lock").write_text("")
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "Bare").write_text("FROM scratch\nCOPY code/entry.sh /")
    store = ImageStore(root / "home", Venvs(root / "cache", Path("uv")))
    store.tag("host/app:1", store.build(context, context / "Dockerfile", print).digest)
    store.tag("host/bare:1", store.build(context, context / "Bare", print).digest)
    return store


@pytest.fixture
def engine(images: ImageStore, tmp_path: Path) -> Iterator[ProcessEngine]:
    (tmp_path / "scratch").mkdir()
    engine = ProcessEngine(images, tmp_path / "scratch")
    yield engine
    engine.close()


def environment_of(run: Running) -> dict[str, str]:
    run.ended()
    return dict(line.split("=", 1) for line in run.lines)


COMMANDS: list[tuple[str, dict[str, object], str]] = [
    ("the image's own", {}, "entry:from CMD"),
    ("another command", {"command": ("a", "b c")}, "entry:a b c"),
    ("another entry point drops CMD", {"entrypoint": ("echo", "x")}, "x"),
    ("both", {"entrypoint": ("echo",), "command": ("y",)}, "y"),
    ("an empty command", {"command": ()}, "entry:"),
    ("a program of the image, by its path", {"entrypoint": ("/app/tool", "a")}, "tool ['a'] 1"),
    ("relative to WORKDIR", {"entrypoint": ("./tool", "a")}, "tool ['a'] 1"),
    (
        "an interpreter on the image's PATH",
        {"entrypoint": ("python", "-c", "import shared; print(shared.value)")},
        "42",
    ),
]


@pytest.mark.parametrize(("settings", "line"), [case[1:] for case in COMMANDS], ids=[case[0] for case in COMMANDS])
def test_commands(engine: ProcessEngine, settings: dict[str, object], line: str) -> None:
    run = Running(engine, **settings)
    assert run.ended() == Exit(0)
    assert run.lines == [line]


def test_arguments_that_are_image_paths_are_mapped(engine: ProcessEngine, images: ImageStore) -> None:
    root = images.resolve("host/app:1").rootfs
    run = Running(engine, "echo", "/app/lib", "--dir=/app/lib", "/nowhere", "/", "text /app/lib", "/app/lib/../tool")
    run.ended()
    assert run.lines == [f"{root}/app/lib --dir={root}/app/lib /nowhere / text /app/lib {root}/app/tool"]


def test_the_environment(engine: ProcessEngine, images: ImageStore, tmp_path: Path) -> None:
    root = images.resolve("host/app:1").rootfs
    seen = environment_of(Running(engine, "env", environment={"GREETING": "hi", "EXTRA": "a=b", "HOME": "/elsewhere"}))
    assert (seen["GREETING"], seen["EXTRA"], seen["TZ"]) == ("hi", "a=b", "Mars/Base")
    assert seen["PATH"].split(":")[:2] == [f"{root}/opt/venv/bin", "/usr/local/bin"]
    assert seen["PYTHONPATH"] == f"{root}/app/lib:/nowhere"
    assert Path(seen["HOME"]).parent.parent == tmp_path / "scratch", "never the image's, never the person's"
    assert Path(seen["TMPDIR"]).parent == Path(seen["HOME"]).parent


def test_nothing_of_the_person_is_seen(engine: ProcessEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / ".aws").mkdir(parents=True)
    for name in ("credentials", "config"):
        (home / ".aws" / name).write_text("[default]\naws_access_key_id = CANARY\n")
    person = {
        "HOME": str(home),
        "AWS_PROFILE": "default",
        "AWS_ACCESS_KEY_ID": "CANARY",
        "PYTHONPATH": "/person",
        "X": "CANARY",
    }
    for name, value in person.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/company.pem")
    seen = environment_of(Running(engine, "env", image="host/bare:1"))
    assert "CANARY" not in str(seen) and str(home) not in str(seen)
    assert not set(person) & (set(seen) - {"HOME"})
    assert seen["SSL_CERT_FILE"] == "/etc/company.pem", "how to trust the network is the one thing that is passed on"
    code = (
        "import os; print([os.path.exists(p) for p in (os.path.expanduser('~/.aws'), os.environ['AWS_CONFIG_FILE'])])"
    )
    run = Running(engine, "python", "-c", code)
    run.ended()
    assert run.lines == ["[False, False]"]


def test_home_and_temp_are_fresh_and_removed(engine: ProcessEngine, tmp_path: Path) -> None:
    run = Running(
        engine,
        "sh",
        "-c",
        'ls -A "$HOME" "$TMPDIR" | wc -w; pwd; echo x > "$HOME/x"; mkdir "$TMPDIR/y"; cat /dev/stdin',
    )
    run.ended()
    assert run.lines[0].strip() == "2", "nothing but the two names that ls prints"
    assert run.lines[1].endswith("/rootfs/app")
    eventually(lambda: not list((tmp_path / "scratch").iterdir()))


ENDS = [
    ("zero", "true", Exit(0)),
    ("a code", "exit 7", Exit(7)),
    ("a signal", "kill -TERM $$", Exit(143)),
    ("killed", "kill -KILL $$", Exit(137)),
    ("a command that is not there", "nonsense-command", Exit(127)),
]


@pytest.mark.parametrize(("script", "expected"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_exit_codes(engine: ProcessEngine, script: str, expected: Exit) -> None:
    assert Running(engine, "sh", "-c", script).ended() == expected


REFUSED: list[tuple[str, Mapping[str, object], str]] = [
    ("not on PATH", {"entrypoint": ("nope",)}, 'exec: "nope": executable file not found in $PATH'),
    ("not in the image", {"entrypoint": ("/opt/nope",)}, 'exec: "/opt/nope": no such file in the image'),
    ("of this machine", {"entrypoint": (sys.executable,)}, "no such file in the image"),
    ("not executable", {"entrypoint": ("/app/entry.sh",)}, "permission denied"),
    ("not there", {"entrypoint": ("./nope",)}, 'exec: "./nope": no such file or directory'),
    ("a folder", {"entrypoint": ("/app/lib",)}, "permission denied"),
    ("no command", {"image": "host/bare:1"}, "no command specified"),
    ("an unknown image", {"image": "host/app:2"}, "host/app:2: not found"),
    ("an argument that cannot be passed", {"command": ("a\0b",)}, "null byte"),
]


@pytest.mark.parametrize(("settings", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_start(engine: ProcessEngine, tmp_path: Path, settings: Mapping[str, object], message: str) -> None:
    with pytest.raises(CannotStart) as caught:
        Running(engine, **settings)
    assert message in str(caught.value)
    assert not list((tmp_path / "scratch").iterdir()), "nothing stays of it"


def test_output_arrives_line_by_line_while_it_runs(engine: ProcessEngine) -> None:
    run = Running(engine, "sh", "-c", "echo one; echo two >&2; sleep 60")
    run.until("two")
    assert run.lines == ["one", "two"]
    assert run.exits == []
    run.handle.stop()
    assert run.ended() == Exit(143)


def test_odd_output(engine: ProcessEngine) -> None:
    run = Running(engine, "printf", r"a\r\n\n\377\376x\n\303\251\nlast")
    run.ended()
    assert run.lines == ["a", "", "\ufffd\ufffdx", "é", "last"]


def test_long_lines_are_cut_between_characters(engine: ProcessEngine) -> None:
    code = f"import sys; sys.stdout.write('x' + 'é' * {MAX_LINE_BYTES} + '\\nend')"
    run = Running(engine, "python", "-X", "utf8", "-c", code)
    run.ended()
    assert run.lines[-1] == "end"
    assert "".join(run.lines[:-1]) == "x" + "é" * MAX_LINE_BYTES
    assert len(run.lines) == 4
    assert all(len(line.encode()) <= MAX_LINE_BYTES for line in run.lines)


def test_a_callback_that_fails_loses_one_line(engine: ProcessEngine, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    def take(line: str) -> None:
        if line == "bad":
            raise ValueError("no")
        lines.append(line)

    container = Container(name="m", image="host/app:1", entrypoint=("printf", "a\\nbad\\nb\\n"))
    assert engine.start(container, take, lambda exit: None).wait(LONG_SECONDS) == Exit(0)
    assert lines == ["a", "b"]
    assert "a line of output was lost" in caplog.text


def test_a_stop_tells_the_first_process_alone_as_a_containers_init_does(engine: ProcessEngine) -> None:
    child = "trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.05; done"
    script = f'trap "echo first; sleep 0.5; exit 3" TERM; ({child}) & while :; do sleep 0.05; done'
    run = Running(engine, "sh", "-c", script)
    run.until("ready")
    run.handle.stop()
    assert run.ended() == Exit(3)
    assert run.lines == ["ready", "first"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find what left its group")
def test_a_kill_reaches_what_has_a_session_and_an_environment_of_its_own(engine: ProcessEngine) -> None:
    script = "trap '' TERM; env -i setsid sleep 300 & echo $!; echo ready; while :; do sleep 0.05; done"
    run = Running(engine, "sh", "-c", script, stop_timeout_seconds=1)
    run.until("ready")
    run.handle.stop()
    assert run.ended() == Exit(137)
    eventually(lambda: not runs(int(run.lines[0])))


def test_stop_takes_the_whole_group_and_then_kills(engine: ProcessEngine) -> None:
    script = (
        'trap "echo term" TERM; (trap "" TERM; echo child; while :; do sleep 0.05; done) & while :; do sleep 0.05; done'
    )
    run = Running(engine, "sh", "-c", script, stop_timeout_seconds=2)
    run.until("child")
    started = time.monotonic()
    run.handle.stop()
    run.handle.stop()
    assert run.ended() == Exit(137)
    assert 1.9 < time.monotonic() - started < 20
    assert run.lines.count("term") == 1, "a second stop changes nothing"
    run.handle.stop()


ORPHANS = [
    ("in the background", "sleep 300 & echo $!"),
    ("in a session of its own", "setsid sleep 300 & echo $!"),
    ("holding the output open", "sh -c 'trap \"\" TERM HUP; sleep 300' & echo $!"),
]


@pytest.mark.parametrize("script", [case[1] for case in ORPHANS], ids=[case[0] for case in ORPHANS])
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find what left its group")
def test_grandchildren_go_with_the_first_process(engine: ProcessEngine, script: str) -> None:
    run = Running(engine, "sh", "-c", script)
    started = time.monotonic()
    assert run.ended() == Exit(0)
    assert time.monotonic() - started < 30, "long before the other one would have ended"
    eventually(lambda: not runs(int(run.lines[0])))


HOG = "import time; data = b'x' * (300 << 20); print('got it', flush=True); time.sleep(60)"


def test_the_memory_limit_is_kept(engine: ProcessEngine) -> None:
    run = Running(engine, "python", "-c", HOG, memory_mb=150)
    assert run.ended() == Exit(137, "OutOfMemoryError: Container killed due to memory usage")


def test_the_memory_limit_holds_over_all_processes(engine: ProcessEngine) -> None:
    start = f"subprocess.Popen([sys.executable, '-c', {HOG!r}])"
    spawn = f"import subprocess, sys, time; [{start} for _ in 'ab']; time.sleep(60)"
    run = Running(engine, "python", "-c", spawn, memory_mb=450)
    assert run.ended().code == 137


def test_memory_that_is_shared_counts_once(engine: ProcessEngine, tmp_path: Path) -> None:
    fork = (
        "import os, sys, time; data = b'x' * (100 << 20); [os.fork() for _ in 'ab']; print('forked', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.1)"
    )
    run = Running(engine, "python", "-c", fork, str(tmp_path / "enough"), memory_mb=250)
    eventually(lambda: run.lines.count("forked") == 4)
    assert memory_of_tree(run.handle.pid, above=sys.maxsize) > 250 << 20, "the sum of resident sizes is over the limit"
    assert memory_of_tree(run.handle.pid, above=250 << 20) < 250 << 20
    time.sleep(1)  # several looks of the engine's own
    (tmp_path / "enough").touch()
    assert run.ended() == Exit(0)


def test_what_is_not_exercised_is_logged_once_an_image(engine: ProcessEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            Running(engine, "true").ended()
    assert caplog.text.count("not exercised without Docker: FROM python:3") == 1


def test_close_leaves_nothing(images: ImageStore, tmp_path: Path) -> None:
    engine = ProcessEngine(images, tmp_path)
    runs = [Running(engine, "sh", "-c", 'trap "" TERM; echo up; sleep 300 & wait') for _ in range(3)]
    for run in runs:
        run.until("up")
    engine.close()
    assert [run.ended() for run in runs] == [Exit(137)] * 3
    eventually(lambda: not list(tmp_path.iterdir()))


@pytest.mark.parametrize("supervisor_dies_first", [False, True], ids=["alone", "after its supervisor was replaced"])
def test_containers_die_with_a_killed_cloud(images: ImageStore, tmp_path: Path, supervisor_dies_first: bool) -> None:
    """`kill -9` of the process with the engine: what it started is gone, children and scratch folders too."""
    home = images.resolve("host/app:1").folder.parent.parent
    (tmp_path / "scratch").mkdir()
    code = f"""
import os, psutil, signal, sys, time
from pathlib import Path
from localcloud.engines import Container
from localcloud.engines.process import ProcessEngine
from localcloud.images.realise import VenvRealiser
from localcloud.images.store import ImageStore
home, cache, scratch = map(Path, sys.argv[1:])
engine = ProcessEngine(ImageStore(home, VenvRealiser(cache, Path("uv"))), scratch)
say = lambda line: print(line, flush=True)
c = Container(name="m", image="host/app:1", entrypoint=("sh", "-c", "echo $$; sleep 300 & echo $!; wait"))
engine.start(c, say, print)
if {supervisor_dies_first}:
    [supervisor] = [p for p in psutil.Process().children() if "supervisor.py" in str(p.cmdline())]
    supervisor.kill()
    supervisor.wait()
    engine.start(c, say, print)
time.sleep(300)
"""
    folders = [home, home.parent / "cache", tmp_path / "scratch"]
    cloud = subprocess.Popen([sys.executable, "-c", code, *folders], stdout=subprocess.PIPE, text=True)
    with cloud:
        assert cloud.stdout is not None
        pids = [int(cloud.stdout.readline()) for _ in range(4 if supervisor_dies_first else 2)]
        assert all(map(runs, pids))
        os.kill(cloud.pid, signal.SIGKILL)
    eventually(lambda: not any(map(runs, pids)))
    eventually(lambda: not list((tmp_path / "scratch").iterdir()))


def test_starting_is_quick(engine: ProcessEngine) -> None:
    times = []
    for _ in range(20):
        started = time.perf_counter()
        run = Running(engine, "true")
        times.append(time.perf_counter() - started)
        run.ended()
    assert min(times) < 0.02, "some two milliseconds on an idle machine; the best of many is for a busy one"


def test_many_at_once(engine: ProcessEngine) -> None:
    runs = [Running(engine, "sh", "-c", f"echo {number}; exit {number}") for number in range(40)]
    assert [run.ended().code for run in runs] == list(range(40))
    assert [run.lines for run in runs] == [[str(number)] for number in range(40)]
