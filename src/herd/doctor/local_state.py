"""Checks of a checkout's state after a kill, a full disk or another program, and repairs where they are safe.

A repair is safe if it loses no data and disturbs no other command. What would lose the local cloud's state is left to
the person.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.checkout import git, private_files
from herd.checkout.find import Checkout
from herd.deploy import unmanaged
from herd.engine.lock import read_locks
from herd.errors import HerdError
from herd.runs import alarms
from herd.targets import local_cloud, pulumi_env
from herd.targets.local import LocalTarget
from herd.targets.target import DEFAULT

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """The result of one check. `what`: its subject; `state`: in words; `advice`: what to do if it is not `good`.

    `repair`: repairs it and returns what it did. `note`: good, but shown with a mark.
    """

    what: str
    good: bool
    state: str
    advice: str = ""
    repair: Callable[[], str] | None = None
    note: bool = False


def stack_settings(checkout: Checkout) -> Finding:
    """Whether the tracked settings of the default environment exist."""
    path = checkout.root / f"Pulumi.{DEFAULT}.yaml"
    if path.exists():
        return Finding("stack settings", True, path.name)
    tracked = git.output(checkout.root, "show", f"HEAD:{path.name}")

    def restore() -> str:
        assert tracked is not None
        path.write_bytes(tracked)
        return f"{path.name} is as last committed"

    advice = f"`git checkout -- {path.name}`" if tracked else "write one, like Pulumi.dev.yaml of Herd itself"
    return Finding("stack settings", False, f"{path.name} is missing", advice, restore if tracked else None)


def cloud(checkout: Checkout) -> Finding:
    """Whether the local cloud's process answers, and whether `endpoint.json` is its own."""
    what = "local cloud"
    if running := local_cloud.running(checkout):
        status = running.ask({"do": "status"})
        return Finding(what, True, f"{running.endpoint}, process {running.pid}, {status.get('memory_mb', '?')} MB")
    file = checkout.cloud / "endpoint.json"
    if holder := _holder(checkout.cloud / "lock"):
        advice = (
            "wait a moment; if it stays so, `herd up` ends it, even a suspended one, and restarts it with its state"
        )
        return Finding(what, False, f"process {holder} does not answer", advice)
    if not file.exists():
        return Finding(what, True, "not running; `herd up` starts it")

    def clear() -> str:
        file.unlink(missing_ok=True)
        return "endpoint.json is removed; `herd up` starts it with its state"

    if _answers_for_another(file):
        state = "endpoint.json is that of another checkout, of which this one is a copy"
        advice = f"`herd doctor --fix`; for an environment of its own also remove {checkout.state}"
        return Finding(what, False, state, advice, clear)
    pid = _read(file).get("pid", "?")
    return Finding(what, False, f"was killed: endpoint.json names process {pid}, which has ended", "`herd up`", clear)


def port(checkout: Checkout) -> Finding:
    """Whether the local cloud's port, which is in all addresses, is free while it does not run."""
    file = checkout.cloud / "port"
    if local_cloud.running(checkout) or _holder(checkout.cloud / "lock") or not file.exists():
        return Finding("port", True, "the local cloud's own" if file.exists() else "chosen at the first start")
    number = local_cloud.port(checkout)
    if number is None:
        advice = (
            f"put the port of what is deployed into it, as `grep -rho 'localhost:[0-9]*' {checkout.pulumi}` shows it; "
            "if nothing is, remove it"
        )
        return Finding("port", False, f"{file} holds no number", advice)
    if _is_free(number):
        return Finding("port", True, f"{number} is free")
    from localcloud.config import holder_of

    state = f"{number} is taken by {holder_of(number)}"
    if any(_stacks(checkout)):
        advice = (
            "end that program, then `herd up`; what is deployed has this port in its addresses. If it cannot be ended: "
            f"remove {checkout.state}, and `herd up` makes everything again at another port"
        )
        return Finding("port", False, state, advice)

    def choose() -> str:
        file.unlink()
        return "nothing is deployed, so the next start chooses another"

    return Finding("port", False, state, "end that program, or `herd doctor --fix`: nothing is deployed", choose)


def credentials(checkout: Checkout) -> Finding:
    """Whether the person's key for the local cloud can be read."""
    from localcloud.config import LocalCloudError
    from localcloud.credentials import kept_root

    try:
        key = kept_root(checkout.cloud / "aws" / "credentials")
    except (LocalCloudError, OSError) as error:
        return Finding("credentials", False, "cannot be read", str(error))
    return Finding("credentials", True, "the local cloud's own" if key else "made at the first start")


def kept_state(checkout: Checkout) -> Finding:
    """Whether the state of a stopped local cloud can be read."""
    what = "kept state"
    if local_cloud.running(checkout) or not local_cloud.has_state(checkout):
        return Finding(what, True, "in use" if local_cloud.has_state(checkout) else "none")
    done = local_cloud.run_offline(checkout, "check")
    if not done.returncode:
        return Finding(what, True, "can be read")
    problems = (done.stdout or done.stderr).strip()
    return Finding(what, False, "cannot be used", f"{problems}\n    {local_cloud.WAY_OUT}")


def processes(checkout: Checkout) -> Finding:
    """Processes of tasks that a killed local cloud has left running."""
    what = "processes"
    left = [] if local_cloud.running(checkout) or _holder(checkout.cloud / "lock") else list(_tasks(checkout))
    if not left:
        return Finding(what, True, "none left behind")

    def end() -> str:
        import psutil

        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(left, GRACE_SECONDS)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return f"{len(left)} ended"

    numbers = ", ".join(str(process.pid) for process in left)
    return Finding(what, False, f"tasks of a local cloud that ended: {numbers}", "`herd doctor --fix` ends them", end)


def locks(checkout: Checkout) -> Finding:
    """Whether locks of engines are left that were killed, or that run on another machine."""
    held = [lock for name in _lock_names(checkout) for lock in read_locks(LocalTarget(checkout, name))]
    dead = [lock for lock in held if lock.is_dead]
    foreign = [lock for lock in held if lock not in dead and lock.host != socket.gethostname()]
    if foreign and not dead:
        holders = "; ".join(map(str, foreign))
        files = shlex.join(str(lock.file) for lock in foreign)
        advice = f"if that engine does not run any more (or this machine had another name then): rm {files}"
        return Finding("locks", False, f"held from another machine, which cannot be checked: {holders}", advice)
    if not dead:
        return Finding("locks", True, f"held by {held[0]}" if held else "none")

    def release() -> str:
        for lock in dead:
            lock.file.unlink(missing_ok=True)
        return "released"

    holders = "; ".join(str(lock) if lock.pid else str(lock.file) for lock in dead)
    return Finding("locks", False, f"left by an engine that was killed: {holders}", "`herd up` releases it", release)


def pending(checkout: Checkout) -> Finding:
    """Whether Pulumi's state can be read, and has pending operations of a killed update."""
    resources = []
    if trouble := pulumi_env.lost_passphrase(checkout):
        return Finding("Pulumi's state", False, "cannot be decrypted", trouble)
    for name in _stacks(checkout):
        try:
            resources += [f"{name}: {urn.rsplit('::', 1)[-1]}" for urn in LocalTarget(checkout, name).pending]
        except HerdError as error:
            return Finding("Pulumi's state", False, f"that of {name} cannot be read", str(error))
    if not resources:
        return Finding("Pulumi's state", True, "whole" if any(_stacks(checkout)) else "none")
    state = f"an update was killed during {', '.join(resources)}"
    return Finding("Pulumi's state", False, state, "`herd up` refreshes them and continues")


def unmanaged_resources(checkout: Checkout) -> Finding:
    """Resources in the local cloud that Pulumi's state does not know: retained, or removed from it by hand."""
    what = "unmanaged"
    running = local_cloud.running(checkout)
    if running is None:
        return Finding(what, True, "known while the local cloud runs" if local_cloud.has_state(checkout) else "none")
    resources = unmanaged.all_of(running)
    if not resources:
        return Finding(what, True, "none")
    listed = ", ".join(f"{one} of {one.stack.rpartition('/')[2]}" for one in resources)
    state = (
        f"retained, or removed from Pulumi's state: {listed}; `pulumi import` adopts one, `aws` or "
        "`herd down --retained` removes it"
    )
    return Finding(what, True, state, note=True)


def subscriptions(checkout: Checkout) -> Finding:
    """Whether somebody has unsubscribed an address that an environment's watch is to tell."""
    what = "subscriptions"
    if local_cloud.running(checkout) is None:
        return Finding(what, True, "known while the local cloud runs" if local_cloud.has_state(checkout) else "none")
    targets = [LocalTarget(checkout, name) for name in _stacks(checkout)]
    gone = [f"{address} of {one.name}" for one in targets if one.deployed for address in alarms.vanished(one)]
    if not gone:
        return Finding(what, True, "as declared")
    return Finding(what, False, f"unsubscribed, so told nothing: {', '.join(gone)}", alarms.REPAIR)


def half_built(checkout: Checkout) -> Finding:
    """Images, virtual environments and tools whose build was interrupted. They are never used, and take disk space."""
    paths = [path for path, lock in _drafts(checkout) if not _is_held(lock)]
    if not paths:
        return Finding("half-built", True, "nothing")

    def remove() -> str:
        for path, lock in _drafts(checkout):
            if not _is_held(lock):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return "removed; made again when needed"

    listed = ", ".join(str(path) for path in paths)
    return Finding("half-built", False, listed, "`herd doctor --fix` removes it; it is made again when needed", remove)


def permissions(checkout: Checkout) -> Finding:
    """Whether files with secrets are readable by their owner only."""
    files = list(private_files.exposed(checkout))
    if not files:
        return Finding("permissions", True, "secrets are readable by you only")

    def close() -> str:
        for path in files:
            private_files.close(path)
        return "closed to others"

    listed = ", ".join(str(path.relative_to(checkout.root)) for path in files)
    return Finding("permissions", False, f"open to others: {listed}", "chmod go= these files", close)


def _drafts(checkout: Checkout) -> Iterator[tuple[Path, Path]]:
    """Paths that exist only during a build, each with the file that the build holds locked."""
    images = checkout.cloud / "images" / "images"
    for path in images.glob("*.partial"):
        yield path, images / "images.lock"
    for path in (checkout.cache / "venvs").glob("*/"):
        if not (path / ".realised").exists():
            yield path, path.with_name(f"{path.name}.lock")
    for path in (checkout.cache / "checkouts").glob("*.new"):
        yield path, path.with_suffix(".lock")
    for path, lock in (
        (checkout.state / "venv.new", checkout.state / "packages.lock"),
        (checkout.cache / "tools" / "uv.new", checkout.cache / "tools" / "uv.lock"),
    ):
        if path.exists():
            yield path, lock
    for path in (checkout.cache / "pulumi").glob("*/pulumi.new"):
        yield path, path.with_name("lock")


def _is_held(lock: Path) -> bool:
    """Whether a process holds this flock."""
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _holder(lock: Path) -> str:
    """The id of the process that holds the lock of the local cloud's folder, as text; "" if it is free."""
    return (lock.read_text(errors="replace").strip() or "of unknown number") if _is_held(lock) else ""


def _tasks(checkout: Checkout) -> Iterator[Any]:
    """Processes that were started from the files of an image of this checkout's local cloud."""
    import psutil

    images = f"{checkout.cloud / 'images'}{os.sep}"
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words and words[0].startswith(images):
            yield process


def _stacks(checkout: Checkout) -> Iterator[str]:
    for file in sorted((checkout.pulumi / ".pulumi" / "stacks" / checkout.project).glob("*.json")):
        yield file.stem


def _lock_names(checkout: Checkout) -> list[str]:
    folder = checkout.pulumi / ".pulumi" / "locks" / "organization" / checkout.project
    return sorted(path.name for path in folder.glob("*/"))


def _answers_for_another(endpoint: Path) -> bool:
    address = _read(endpoint)
    try:
        answer = local_cloud.LocalCloud(
            int(address["port"]), int(address["pid"]), str(address["instance"]), Path(address["control"])
        ).ask({"do": "ping"}, timeout=5)
    except (OSError, KeyError, ValueError, HerdError):
        return False
    return answer.get("home") != str(endpoint.parent)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
