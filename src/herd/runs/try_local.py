"""`herd try`: runs a workload from its folder on disk, by the runner of this checkout, on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from herd import PACKAGE, console
from herd.checkout import team_files
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput, unknown
from herd.foreign import Printed
from herd.infra.spec.models import ServiceSpec
from herd.runner.contract import variables
from herd.runner.contract.task import TaskSettings
from herd.runs import runs, secret_store, try_outputs, try_r
from herd.targets import local_cloud
from herd.targets.local import LocalTarget
from herd.toolchain import atomic, uv

if TYPE_CHECKING:
    from herd.infra.offer import Offer
    from herd.infra.spec.load import AnySpec

LAST_WORDS_SECONDS = 5
"""How long to wait for remaining output of a program that has ended."""

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def spec_of(target: LocalTarget, name: str) -> AnySpec:
    """The settings of a workload on disk. Raises WrongInput if any file is wrong, or there is no such workload."""
    specs = team_files.load(target.checkout, target.name, name)
    if name not in specs.workloads:
        raise WrongInput(unknown(name, list(specs.workloads), "workload"))
    return specs.workloads[name]


def items(spec: AnySpec, wanted: str | None) -> list[str | None]:
    """The items of a fan-out to run; `[None]` for a workload without. Raises WrongInput for an unknown item."""
    known = list(getattr(spec, "fan_out", ()))
    if wanted is not None and wanted not in known:
        raise WrongInput(unknown(wanted, known, f"item in fan_out of {spec.name}"))
    return [wanted] if wanted is not None else (list(known) or [None])


@dataclass(frozen=True)
class Prepared:
    """How the runner is started for a workload on this machine, and the folder that it works in; in which container."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    container: try_r.InContainer | None = None


def prepare(
    target: LocalTarget,
    spec: AnySpec,
    params: dict[str, Any],
    item: str | None,
    inputs: Path | None,
    settings: TaskSettings | None = None,
    more: Mapping[str, str] | None = None,
    place: str = "try",
    as_deployed: bool = False,
    lock: Path | None = None,
) -> Prepared:
    """Build its environment and say how it is run there. `settings`: in place of its task definition's own; `more`:
    further variables; `place`: the folder of .herd that it works in; `as_deployed`: in its image, where tasks run as
    containers; `lock`: other packages than those of its files.

    Raises HerdError where an input or a package cannot be had.
    """
    checkout = target.checkout
    reads = spec.reads if settings is None else settings.reads
    if inputs is not None and not inputs.is_dir():
        raise WrongInput(f"--inputs {inputs}: there is no such folder; it is to have a folder for each input")
    before = try_outputs.of(target, [read.name for read in reads], inputs) if place == "try" else {}
    for name in before:
        console.note(f"input {name} is what the last `herd try {name}` has written: nothing of it is published yet")
    if before:
        inputs = try_outputs.beside(checkout, spec.name, before, inputs)
    data_bucket = _data_bucket(target, spec, inputs, [read.name for read in reads])
    if settings is None:
        settings = task(
            spec, target.name, data_bucket, team_files.offer(checkout, target.name), addresses(target, spec)
        )
    folder = checkout.folder(place, spec.name, *([item] if item else []))
    command, own = _way(target, spec, as_deployed, lock)
    environment = {
        **own,
        # Not the person's home folder, whose files and settings a task would not have.
        "HOME": str(checkout.folder("try", ".home")),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TERM": os.environ.get("TERM", "dumb"),
        **(_aws(checkout) if data_bucket else {}),
        **spec.env,
        **secret_store.variables(target, spec),
        variables.TASK: settings.to_json(),
        variables.RUN_ID: runs.new_id("try"),
        variables.TRIGGER: "try",
        variables.PARAMS: json.dumps(params),
        variables.TRY_DIR: str(folder),
        variables.WORKLOAD_DIR: str(checkout.root / spec.folder),
        variables.LIB_DIR: str(_used(checkout, spec)),
        **({variables.ITEM: item} if item else {}),
        # It works in another folder than the one that the person stands in.
        **({variables.TRY_INPUTS: str(inputs.resolve())} if inputs else {}),
        **(more or {}),
    }
    if isinstance(command, try_r.InContainer):
        around = command.around(
            environment, [folder, *([inputs.resolve()] if inputs else []), *try_outputs.targets(inputs)]
        )
        return Prepared(*around, folder, command)
    return Prepared(command, environment, folder)


def run(
    target: LocalTarget,
    spec: AnySpec,
    params: dict[str, Any],
    item: str | None,
    inputs: Path | None,
    raw: bool = False,
    tests: TaskSettings | None = None,
    pins: Mapping[str, str | None] | None = None,
    lock: Path | None = None,
) -> int:
    """Run it once, and remember whether it went well; arguments and result as of `_run`."""
    if tests is None:
        try_outputs.forget(target.checkout, spec.name, item)
    status = _run(target, spec, params, item, inputs, raw, tests, pins, lock)
    if tests is None and status == 0:
        try_outputs.remember(target.checkout, spec.name, item)
    return status


def _run(
    target: LocalTarget,
    spec: AnySpec,
    params: dict[str, Any],
    item: str | None,
    inputs: Path | None,
    raw: bool,
    tests: TaskSettings | None,
    pins: Mapping[str, str | None] | None,
    lock: Path | None,
) -> int:
    """Run it once, or its tests, by the settings `tests`; its exit status. Escape sequences in its output are shown as
    text, unless `raw`. `pins`: input -> the run whose version of it is read, in place of the current one; `lock`: other
    packages than those of its files.
    """
    more: dict[str, str] = {} if tests is None else {variables.TRY_TESTS: "1"}
    if isinstance(spec, ServiceSpec) and tests is None:
        number = _free_port(spec.port)
        more = {variables.PORT: str(number), "HOST": "127.0.0.1"}
        console.note(f"{spec.name} will listen on http://127.0.0.1:{number}; Ctrl-C ends it")
    if pins:
        more[variables.PINS] = json.dumps(dict(pins))
    place = "try" if tests is None else "test"
    prepared = prepare(target, spec, params, item, inputs, tests, more, place, as_deployed=tests is not None, lock=lock)
    command, environment, folder = prepared.command, prepared.environment, prepared.folder
    if raw:
        return wait(subprocess.Popen(command, env=environment, cwd=folder))
    # One pipe where both are the same terminal, so that lines stay in the order in which they were printed.
    merged = sys.stdout.isatty() and sys.stderr.isatty()
    error = subprocess.STDOUT if merged else subprocess.PIPE
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=error)
    with console.printed() as outputs:
        pipes = zip((process.stdout, process.stderr), outputs, strict=True)
        readers = [Thread(target=_hand_on, args=(pipe, to), daemon=True) for pipe, to in pipes if pipe is not None]
        for reader in readers:
            reader.start()
        status = wait(process)
        for reader in readers:
            # With a time limit: processes that it left running may hold the pipe open.
            reader.join(LAST_WORDS_SECONDS)
    return status


def _used(checkout: Checkout, spec: AnySpec) -> Path:
    """A folder with a link to each folder of lib/ that `uses` names: what an image has, and no more."""
    folder = checkout.folder("try", ".lib", spec.name)
    wanted = {name: checkout.root / "lib" / name for name in spec.uses}
    for link in folder.iterdir():
        if link.name not in wanted or link.readlink() != wanted[link.name]:
            link.unlink(missing_ok=True)
    for name, place in wanted.items():
        with suppress(FileExistsError):  # another `herd try` of it
            (folder / name).symlink_to(place)
    return folder


def _way(
    target: LocalTarget, spec: AnySpec, as_deployed: bool, lock: Path | None
) -> tuple[list[str] | try_r.InContainer, dict[str, str]]:
    """What runs it, and the variables that make its packages be seen."""
    checkout = target.checkout
    variables_of_r: dict[str, str] = {}
    if as_deployed and target.engine == local_cloud.DOCKER:
        return try_r.in_image(checkout, target.name, spec, "tasks run in Docker here"), {}
    if is_r := try_r.is_r(checkout, spec):
        way = try_r.way(checkout, target.name, spec)
        if isinstance(way, try_r.InContainer):
            return way, {}
        variables_of_r = dict(way)
    runner = environment_of(checkout, PACKAGE / "runner" / "requirements.lock")
    command = [str(runner / "bin" / "python"), "-I", str(PACKAGE / "runner")]
    if is_r:
        return command, variables_of_r
    venv = environment_of(checkout, lock or lock_of(checkout, spec))
    return command, {"PATH": f"{venv / 'bin'}:{SYSTEM_PATH}"}


def _hand_on(pipe: IO[bytes], to: Printed) -> None:
    with pipe:
        while data := os.read(pipe.fileno(), 65_536):
            to.feed(data)


def task(
    spec: AnySpec,
    environment: str,
    data_bucket: str | None,
    offer: Offer,
    servers: Mapping[str, tuple[str, int]] | None = None,
) -> TaskSettings:
    """The settings of its task definition, without retries and memory limit. A service is mounted at the root, because
    no load balancer strips a prefix. `servers`: the addresses of those that the environment's program has made.
    """
    from herd.infra.workloads.task import located, task_settings

    settings = located(task_settings(spec, offer, environment, data_bucket), servers or {})
    return replace(settings, retries=0, memory_gb=None)


def addresses(target: LocalTarget, spec: AnySpec) -> Mapping[str, tuple[str, int]]:
    """Of the program's own servers, as the last deployment of any workload that connects to them says."""
    if not spec.connects or target.deployed is None:
        return {}
    known: dict[str, tuple[str, int]] = {}
    for entry in target.deployed.workloads.values():
        known |= entry.addresses
    return known


def environment_of(checkout: Checkout, lock: Path) -> Path:
    """The virtual environment of a lock file, built if absent; its folder is cached by the lock file's SHA-256."""
    known_file = checkout.folder("try") / ".environments.json"
    known: dict[str, str] = {}
    with suppress(OSError, ValueError):
        known = json.loads(known_file.read_text())
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    venv = Path(known.get(digest, "/nonexistent"))
    if (venv / "bin" / "python").exists():
        return venv
    command = [
        str(checkout.python),
        "-m",
        "localcloud",
        "realise",
        "--lock",
        str(lock),
        "--cache",
        str(checkout.cache),
        "--uv",
        str(uv.ensure(checkout.cache)),
    ]
    # The runner's lies where Herd is installed, which may be elsewhere.
    shown = lock.relative_to(checkout.root) if lock.is_relative_to(checkout.root) else lock
    with console.step(f"installing the packages of {shown}", quiet=True):
        done = subprocess.run(command, cwd=checkout.root, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise HerdError(done.stderr.strip())
    path = Path(done.stdout.strip().splitlines()[-1])
    scratch = known_file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps({**known, digest: str(path)}))
    scratch.replace(known_file)
    return path


def lock_of(checkout: Checkout, spec: AnySpec) -> Path:
    """The packages that its image would have, as a file. Raises WrongInput where they are not locked."""
    from herd.infra.images.build_context import Stager, StagingError
    from herd.packages.python_lock import LOCK

    try:
        lock = Stager(checkout.root, "try").lock(spec)
    except StagingError as error:
        raise WrongInput(str(error)) from None
    if lock is None:
        raise WrongInput(f"images/{spec.image} has no packages to install; {LOCK} may be empty")
    for path in (checkout.root / folder / LOCK for folder in (spec.folder, Path("images") / spec.image)):
        if path.is_file() and path.read_bytes() == lock:
            return path
    path = checkout.folder("try", ".locks") / f"{spec.name}.lock"
    if not path.exists() or path.read_bytes() != lock:
        atomic.write(path, lock)
    return path


def _data_bucket(target: LocalTarget, spec: AnySpec, inputs: Path | None, reads: list[str]) -> str | None:
    """The data bucket with its inputs; None if it needs none. Raises HerdError if the environment is not up."""
    datasets = team_files.offer(target.checkout, target.name).datasets
    needed = [name for name in reads if name not in datasets and not (inputs and (inputs / name).is_dir())]
    if target.deployed and local_cloud.running(target.checkout):
        return target.deployed.data_bucket
    if needed and not isinstance(spec, ServiceSpec):
        raise HerdError(
            f"{spec.name} reads {', '.join(needed)}, and the environment {target.name} is not up: "
            f"`herd up` makes it; or `herd try {needed[0]}` first, whose outputs are then read, or give its inputs as "
            "folders in `--inputs DIR`"
        )
    return None


def _aws(checkout: Checkout) -> dict[str, str]:
    aws = checkout.cloud / "aws"
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
        "AWS_CONFIG_FILE": str(aws / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost,.localhost",
    }


def _free_port(wanted: int) -> int:
    """`wanted` if it is free, else any free port."""
    from localcloud import ports

    with closing(socket.socket()) as probe, suppress(OSError):
        probe.bind(("127.0.0.1", wanted))
        return wanted
    try:
        return ports.free()
    except OSError as error:
        raise HerdError(str(error)) from None


def wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit status. Ctrl-C reaches the process too, so this one ignores it and waits."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - status if status < 0 else status
