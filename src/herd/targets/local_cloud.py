"""The local cloud's process: start and stop it, send it requests, run maintenance on its files."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from herd import console
from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.targets import environment_lock
from herd.toolchain import machine, uv

START_SECONDS = 60.0
STOP_SECONDS = 60.0
PING_SECONDS = 20.0
SUSPENDED_SECONDS = 2.0
"""After so long without an answer, check whether the process is suspended (Ctrl-Z, a debugger, SIGSTOP)."""
SILENT_SECONDS = 3.0
"""A process that is past its start and does not answer gets so long before it is ended and started again."""
LOG_LINES = 15
OWN_WORDS = "localcloud: "
"""Prefix of the line on stderr that says why the local cloud cannot start."""

WAY_OUT = (
    "Put a copy back; or go on without what is lost (a copy of everything stays in .herd/cloud): "
    "`herd doctor --set-aside`"
)
"""Advice where a part of the state on disk is damaged or missing."""


PROCESS, DOCKER = ENGINES = ("process", "docker")
"""What runs tasks on this machine: processes of the person's own, or containers of its Docker daemon."""

TASKS_RUN_AS = {PROCESS: "processes of this machine", DOCKER: "containers of Docker"}
"""How messages say it."""


class Lost(HerdError):
    """The local cloud cannot start, because a part of its state on disk is damaged or missing."""


_outliving_us: list[subprocess.Popen[bytes]] = []
"""Processes that run on after this command on purpose. Kept, because Python warns of a Popen that is dropped."""


@dataclass(frozen=True)
class LocalCloud:
    """A local cloud that answers. `instance` changes when all of its state was lost; `losses` counts how often a part
    of it was lost or may have been.
    """

    port: int
    pid: int
    instance: str
    control: Path
    losses: int = 0
    code: str = ""
    """Hash of the code that it runs (`localcloud.version`); "" for one of an earlier Herd."""
    inbox: str = ""
    """Address of the page that shows the mail that it has sent; "" for one of an earlier Herd."""
    engine: str = PROCESS
    """What runs its tasks: one of `ENGINES`."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_unused(self) -> bool:
        """Whether nobody has made anything in it, ever: asked anew each time."""
        return self.ask({"do": "ping"}).get("unused") is True

    def ask(self, request: dict[str, Any], timeout: float = 60.0) -> dict[str, Any]:
        """Send one request to its control socket. Raises OSError if it does not listen, HerdError for a refusal."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        if not line:
            raise HerdError(f"the local cloud did not answer {request.get('do')!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise HerdError(f"the local cloud: {answer['error']}")
        return answer


@dataclass(frozen=True)
class Credentials:
    """The person's key for the local cloud; random, of this checkout, worthless anywhere else."""

    key: str
    secret: str
    region: str


def running(checkout: Checkout) -> LocalCloud | None:
    """The local cloud of this checkout if it answers, else None. Takes about a millisecond."""
    try:
        address = json.loads((checkout.cloud / "endpoint.json").read_text())
        cloud = LocalCloud(
            int(address["port"]), int(address["pid"]), str(address["instance"]), Path(address["control"])
        )
        # A copied checkout has the original's endpoint.json: that local cloud answers, but belongs to the original.
        answer = _ping(cloud)
        if answer["home"] != str(checkout.cloud):
            return None
        code, inbox = str(answer.get("code", "")), str(answer.get("inbox", ""))
        engine = str(answer.get("engine", PROCESS))
        return replace(cloud, losses=int(answer.get("losses", 0)), code=code, inbox=inbox, engine=engine)
    except (OSError, ValueError, KeyError, TypeError, HerdError):
        return None


def _ping(cloud: LocalCloud) -> dict[str, Any]:
    """Raises OSError at once for a process that is suspended; a busy one is waited for."""
    try:
        return cloud.ask({"do": "ping"}, timeout=SUSPENDED_SECONDS)
    except TimeoutError:
        if _is_suspended(cloud.pid):
            raise
        return cloud.ask({"do": "ping"}, timeout=PING_SECONDS)


def _is_suspended(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


def require(checkout: Checkout) -> LocalCloud:
    """The local cloud, started again with its state if it does not run. Raises HerdError if it has no state."""
    if cloud := running(checkout):
        return cloud
    if not has_state(checkout):
        raise HerdError("the local cloud is not running; `herd up` starts it")
    with console.step("starting the local cloud"):
        return start(checkout)


def has_state(checkout: Checkout) -> bool:
    """Whether there is state of a local cloud on disk, readable or not, running or not."""
    return any((checkout.cloud / part).exists() for part in ("journal", "runtime", "plugins"))


@contextmanager
def start_lock(checkout: Checkout) -> Iterator[None]:
    """Hold the lock for starting and stopping the local cloud."""
    with machine.exclusive(checkout.folder() / "cloud.lock", lambda: None):
        yield


def engine(checkout: Checkout) -> str:
    """What runs the checkout's tasks: one of `ENGINES`, the first where nobody has chosen."""
    try:
        name = (checkout.cloud / "engine").read_text().strip()
    except OSError:
        return PROCESS
    return name if name in ENGINES else PROCESS


def start(checkout: Checkout, anywhere: bool = False, chosen: str | None = None) -> LocalCloud:
    """The local cloud, started if it does not run. Raises HerdError with the end of its log if it does not start.

    With `chosen` it runs tasks by that engine, from now on; one that runs by another must hold no environment.

    It is restarted if it runs other code than the checkout has now, because program and plugins must match. With
    `anywhere` it may start at another port if its own is taken, which is good enough for `herd down`.
    """
    with start_lock(checkout):
        cloud = running(checkout) or _wait_or_end(checkout)
        if cloud and chosen not in (None, cloud.engine):
            stop(checkout)
            cloud = None
        if cloud and not _is_outdated(checkout, cloud):
            return cloud
        if cloud and (others := _others_at_work(checkout)):
            console.note(f"the local cloud runs the code of an earlier Herd, and stays up because {others} uses it")
            return cloud
        if cloud:
            console.note("the local cloud runs the code of an earlier Herd: restarting it with its state")
            stop(checkout)
        own = port(checkout)
        return _launch(checkout, 0 if anywhere and own and is_taken(own) else None, chosen)


def _is_outdated(checkout: Checkout, cloud: LocalCloud) -> bool:
    from localcloud.version import code_of

    current = code_of()
    return bool(current) and cloud.code != current


def _others_at_work(checkout: Checkout) -> str:
    """Other commands that hold the lock of an environment, as text; "" if there are none."""
    holders = environment_lock.holders(checkout).values()
    return ", ".join(str(holder) for holder in holders if holder.pid != os.getpid())


def _wait_or_end(checkout: Checkout) -> LocalCloud | None:
    """Handle a process that runs and does not answer: wait while it may be starting, else end it; its state is kept.

    Returns the local cloud if it answers in time, None if there is no such process or it was ended.
    """
    process = _unresponsive(checkout)
    if process is None:
        return None
    if _is_suspended(process.pid):
        why = "was suspended"
        until = 0.0
    else:
        why = "did not answer"
        # A process whose address file exists and cannot be read is past its start.
        start = START_SECONDS if _address(checkout) is not None else 0.0
        until = time.monotonic() + max(SILENT_SECONDS, start - (time.time() - process.create_time()))
    while _alive(process.pid) and time.monotonic() < until:
        if cloud := running(checkout):
            return cloud
        time.sleep(0.05)
    if _end(process):
        console.note(f"the local cloud (process {process.pid}) {why}; restarting it with its state")
    return None


def _address(checkout: Checkout) -> dict[str, Any] | None:
    """The content of endpoint.json; {} if there is none yet, None if it cannot be read."""
    try:
        content = json.loads((checkout.cloud / "endpoint.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _unresponsive(checkout: Checkout) -> psutil.Process | None:
    """The process of this checkout's local cloud by its lock file and command line; None if there is none."""
    try:
        process = psutil.Process(int((checkout.cloud / "lock").read_text()))
        words = process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return process if "localcloud" in words and str(checkout.cloud) in words else None


def _end(process: psutil.Process) -> bool:
    """End a local cloud's process, by SIGKILL if SIGTERM does not; False if it had ended already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()  # a suspended process does not handle SIGTERM
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
        return True
    return False


def _launch(checkout: Checkout, at_port: int | None = None, chosen: str | None = None) -> LocalCloud:
    home = checkout.folder("cloud")
    log = home / "cloud.log"
    command = [
        str(checkout.python),
        "-m",
        "localcloud",
        "serve",
        "--home",
        str(home),
        "--cache",
        str(checkout.cache),
        "--uv",
        str(uv.ensure(checkout.cache)),
        "--detach",
        *(["--port", str(at_port)] if at_port is not None else []),
        *(["--engine", chosen] if chosen is not None else []),
    ]
    with log.open("ab") as stream:
        start_of_log = stream.tell()
        os.chmod(log, 0o600)
        # A session of its own: Ctrl-C in this terminal, or closing it, must not end the environment.
        process = subprocess.Popen(
            command,
            cwd=checkout.root,
            env=_without_aws(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,  # until it is ready: a full disk would take no log
            start_new_session=True,
        )
    _outliving_us.append(process)
    assert process.stderr is not None
    with process.stderr as errors:
        os.set_blocking(errors.fileno(), False)
        said = b""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if cloud := running(checkout):
                return cloud
            said += errors.read() or b""
            if process.poll() is not None:
                break
            time.sleep(0.05)
        if process.poll() is None:
            process.terminate()
            what = f"did not answer within {START_SECONDS:.0f} s"
        else:
            what = f"ended with status {process.returncode}"
        said += errors.read() or b""
    raise _start_error(what, said.decode(errors="replace"), log, start_of_log)


def _start_error(what: str, said: str, log: Path, start_of_log: int) -> HerdError:
    """The error for a start that failed: its own message (`said`) where it printed one, else the end of its log."""
    _, own, words = said.rpartition(OWN_WORDS)
    if own:
        sentence, lost, _ = words.strip().partition(". Put a copy back, or ")
        sentence = f"the local cloud cannot start: {sentence}"
        return Lost(f"{sentence}. {WAY_OUT}") if lost else HerdError(sentence)
    with log.open("rb") as stream:
        stream.seek(start_of_log)
        lines = [*stream.read().decode(errors="replace").splitlines(), *said.splitlines()][-LOG_LINES:]
    return HerdError("\n".join([f"the local cloud {what}; the end of {log}:", *(f"    {line}" for line in lines)]))


def _without_aws() -> dict[str, str]:
    """This process's environment without the person's AWS settings, which the local cloud must not see."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def stop(checkout: Checkout) -> bool:
    """Stop it and wait until its process has gone; False if it was not running. Raises HerdError if it does not end."""
    cloud = running(checkout)
    if cloud is None:
        silent = _unresponsive(checkout)
        return silent is not None and _end(silent)
    with contextlib.suppress(HerdError):
        # It may end before it has answered.
        cloud.ask({"do": "stop"}, timeout=STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not _alive(cloud.pid):
            return True
        time.sleep(0.02)
    raise HerdError(
        f"the local cloud (process {cloud.pid}) did not end within {STOP_SECONDS:.0f} s; "
        f"see {checkout.cloud / 'cloud.log'}"
    )


def port(checkout: Checkout) -> int | None:
    """The port that the local cloud keeps over all starts; None before the first, and if its file is unreadable."""
    try:
        number = int((checkout.cloud / "port").read_text())
    except (OSError, ValueError):
        return None
    return number if 0 < number < 1 << 16 else None


def is_taken(port: int) -> bool:
    """Does anything listen on the port?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def forget(checkout: Checkout) -> None:
    """Remove the state of a stopped local cloud; its port and credentials stay. Raises HerdError if it fails."""
    done = run_offline(checkout, "forget")
    if done.returncode < 0:
        raise HerdError("removing the local cloud's state was interrupted; the same command again continues it")
    if done.returncode:
        raise HerdError(done.stderr.strip())


def set_aside(checkout: Checkout) -> str:
    """Keep a copy of the state and remove what is damaged, so that the local cloud starts; a line for the person.

    Raises HerdError if it fails.
    """
    with start_lock(checkout):
        if running(checkout):
            return "the local cloud runs: nothing is lost"
        done = run_offline(checkout, "set-aside")
    if done.returncode:
        raise HerdError(done.stderr.strip().removeprefix(OWN_WORDS))
    where = done.stdout.strip()
    return where if where == "nothing is lost" else f"a copy of all that the local cloud held is in {where}"


def run_offline(checkout: Checkout, command: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m localcloud COMMAND` on the files of a stopped local cloud: `check`, `forget`, `set-aside`."""
    words = [str(checkout.python), "-m", "localcloud", command, "--home", str(checkout.cloud)]
    return subprocess.run(words, cwd=checkout.root, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def _alive(pid: int) -> bool:
    """Whether the process runs. A zombie, which stays listed until its parent reaps it, does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return True
    for process in [one for one in _outliving_us if one.pid == pid]:
        process.wait()  # its last threads end within milliseconds
        _outliving_us.remove(process)
    return False


def credentials(checkout: Checkout) -> Credentials:
    """The person's key, from the file that the local cloud keeps. Raises HerdError if it is not there."""
    parser = ConfigParser(interpolation=None)
    for file in (checkout.cloud / "aws" / "credentials", checkout.cloud / "aws" / "config"):
        try:
            parser.read_string(file.read_text())
        except FileNotFoundError:
            raise HerdError(f"{file} is missing; `herd stop` and `herd up` make it") from None
        except OSError as error:
            raise HerdError(f"{file} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, ConfigParserError):
            raise HerdError(_unusable(file)) from None
    try:
        values = parser["default"]
        return Credentials(values["aws_access_key_id"], values["aws_secret_access_key"], values["region"])
    except KeyError:
        raise HerdError(_unusable(checkout.cloud / "aws" / "credentials")) from None


def _unusable(file: Path) -> str:
    return (
        f"{file} holds no key of the local cloud; put a copy back, or remove it, and `herd stop` and `herd up` make "
        "another key (nothing else depends on it)"
    )
