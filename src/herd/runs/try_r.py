"""`herd try` for R: with this machine's R and the packages of the image's lock, else in the image itself, by Docker."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from herd import PACKAGE, console
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.foreign import shown
from herd.infra.images import r_image
from herd.infra.images.build_context import Stager, StagingError
from herd.packages import renv
from herd.toolchain import atomic, machine

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
LAST_LINES = 20
ASK_SECONDS = 30
SCRATCH = "/tmp"


@dataclass(frozen=True)
class InContainer:
    """The image of a workload, built, and how it is started with the checkout's files at their own paths."""

    docker: str
    image: str
    root: Path

    def around(self, variables: Mapping[str, str], writable: list[Path]) -> tuple[list[str], dict[str, str]]:
        """The command, and the variables that Docker's own client gets: values stand on no command line."""
        handed = {**variables, "HOME": SCRATCH}
        mounts = [f"type=bind,src={self.root},dst={self.root},readonly"]
        mounts += [f"type=bind,src={path},dst={path}" for path in dict.fromkeys(writable)]
        command = [self.docker, "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"]
        for mount in mounts:
            command += ["--mount", mount]
        for name in sorted(handed):
            command += ["--env", name if name not in ("PATH", "HOME") else f"{name}={handed[name]}"]
        return [*command, self.image], {**handed, "PATH": os.environ.get("PATH", SYSTEM_PATH), **_of_client()}


def is_r(checkout: Checkout, spec: AnySpec) -> bool:
    """Does its image have a lock of R's packages?"""
    return (checkout.root / "images" / spec.image / renv.FILE).is_file()


def way(checkout: Checkout, environment: str, spec: AnySpec) -> Mapping[str, str] | InContainer:
    """Variables with which this machine's R sees the packages; or the image, where there is no such R.

    Raises WrongInput for an image whose lock and Dockerfile do not go together, HerdError where neither will do.
    """
    folder = checkout.root / "images" / spec.image
    content = (folder / renv.FILE).read_bytes()
    try:
        lock = r_image.check((folder / "Dockerfile").read_text("utf-8"), content, spec.image)
    except r_image.OutOfStep as error:
        raise WrongInput("\n".join(f"images/{spec.image}/{line}" for line in str(error).splitlines())) from None
    program = shutil.which("Rscript", path=os.environ.get("PATH", SYSTEM_PATH))
    here = _version(program) if program else ""
    if program and here.rsplit(".", 1)[0] == lock.r_minor:
        library = _library(checkout, program, here, folder / renv.FILE, content)
        return {
            "PATH": os.pathsep.join(dict.fromkeys([str(Path(program).parent), *SYSTEM_PATH.split(":")])),
            "R_LIBS": str(library),
        }
    has = f"this machine has R {here}" if here else "this machine has no R"
    return in_image(checkout, environment, spec, f"{spec.name} is for R {lock.r_minor}, {has}")


def _version(program: str) -> str:
    """4.5.1; "" for what does not answer."""
    try:
        done = subprocess.run(
            [program, "--vanilla", "-e", "cat(as.character(getRversion()))"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = done.stdout.strip()
    return version if renv.R_VERSION.fullmatch(version) else ""


def _library(checkout: Checkout, program: str, version: str, lock: Path, content: bytes) -> Path:
    """The packages of a lock for this R, installed where they are not. Raises HerdError with what is missing."""
    key = hashlib.sha256(b"\0".join([content, version.encode(), platform.machine().encode()])).hexdigest()[:24]
    library = checkout.cache / "r" / key
    if library.is_dir():
        return library
    with machine.exclusive(checkout.cache / "r" / f"{key}.lock", lambda: console.note("another command installs them")):
        if library.is_dir():
            return library
        draft = library.with_name(f"{key}.new")
        shutil.rmtree(draft, ignore_errors=True)
        variables = {**os.environ, "PATH": f"{Path(program).parent}:{os.environ.get('PATH', SYSTEM_PATH)}"}
        with console.step(f"installing the packages of {lock.relative_to(checkout.root).as_posix()}"):
            done = subprocess.run(
                [str(checkout.python), "-I", str(PACKAGE / "runner" / "r"), str(lock), str(draft)],
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        if done.returncode:
            raise HerdError(shown(done.stderr.strip()))
        draft.rename(library)
    return library


def in_image(checkout: Checkout, environment: str, spec: AnySpec, why: str) -> InContainer:
    """Build the image of a workload of any language, because of `why`. Raises WrongInput, HerdError."""
    answer = find_docker(checkout)
    if isinstance(answer, str):
        raise HerdError(f"{why}, and Docker, which could run its image, is not there:\n{answer}")
    docker, *options = answer
    try:
        staged = Stager(checkout.root, environment).stage(spec)
    except StagingError as error:
        raise WrongInput(str(error)) from None
    image = f"herd-try/{checkout.project}-{spec.name}"
    with console.step(f"{why}: building its image", quiet=True):
        done = subprocess.run(
            [docker, "build", *options, "--tag", image, str(staged.context)],
            env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    if done.returncode:
        raise HerdError(shown("\n".join(["the image could not be built:", *done.stdout.splitlines()[-LAST_LINES:]])))
    _remember(checkout, image)
    return InContainer(docker, image, checkout.root)


def _built(checkout: Checkout) -> Path:
    return checkout.state / "try" / ".images"


def _remember(checkout: Checkout, image: str) -> None:
    known = set(_images(checkout))
    if image not in known:
        atomic.write(checkout.folder("try") / ".images", "".join(f"{name}\n" for name in sorted({*known, image})))


def _images(checkout: Checkout) -> list[str]:
    try:
        return _built(checkout).read_text("utf-8").split()
    except OSError:
        return []


def remove_images(checkout: Checkout) -> list[str]:
    """Remove from Docker what was built to try, to test or for a shell; the names of those that stay."""
    names = _images(checkout)
    if not names:
        return []
    docker = find_docker(checkout)
    program = docker[0] if isinstance(docker, list) else None
    left = [name for name in names if program is None or not _is_removed(program, name)]
    if left:
        atomic.write(_built(checkout), "".join(f"{name}\n" for name in left))
    else:
        _built(checkout).unlink(missing_ok=True)
    return left


def _is_removed(program: str, image: str) -> bool:
    done = subprocess.run([program, "image", "rm", image], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode == 0 or "No such image" in done.stderr


def find_docker(checkout: Checkout) -> list[str] | str:
    """A client whose daemon answers and the options of its builds; or why there is none."""
    asked = subprocess.run(
        [str(checkout.python), "-m", "localcloud", "find-docker"],
        cwd=checkout.root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return shown(asked.stderr.strip()) if asked.returncode else asked.stdout.splitlines()


def _of_client() -> dict[str, str]:
    """What Docker's client reads: its folder, its daemon."""
    names = (
        "HOME",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
        "XDG_RUNTIME_DIR",
    )
    return {name: os.environ[name] for name in names if name in os.environ}
