"""What to execute for a container: its arguments, environment and working folder on this machine.

Absolute image paths are mapped into the image's folder where they exist there: components of PATH-like variables, the
program, its arguments (`/opt/x` and `--option=/opt/x`), the interpreter of a script. A program that opens an absolute
image path by itself does not find it; that is the limit of running an image as processes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..images.store import Image
from . import CannotStart, Container
from .supervisor import CONTAINER_VARIABLE

_SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
"""Where programs of the base image would lie: this machine's stand in for them, after everything of the image."""

# All that a container sees of the local cloud's own environment: how to trust the network it is in.
_INHERITED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")

# As in a container: a laptop's language and time zone would hide what fails on a server.
_NEUTRAL = {"LANG": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Launch:
    """Ready to execute. `arguments[0]` is an absolute path."""

    arguments: list[str]
    environment: dict[str, str]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of this machine that runs as a container does, without an image.

    `arguments[0]` is an absolute path. `search_path` comes before this machine's folders in PATH. `memory_mb` and
    `stop_timeout_seconds` are those of a `Container`.
    """

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    search_path: tuple[str, ...] = ()
    memory_mb: int | None = None
    stop_timeout_seconds: int = 2


def prepare_program(program: Program, container_id: str, scratch: Path) -> Launch:
    """What to execute for a program; `scratch` is a fresh folder for HOME and TMPDIR."""
    search = ":".join((*program.search_path, *_SYSTEM_FOLDERS))
    environment = {**_surroundings(scratch), **program.environment, **_own(search, container_id, scratch)}
    return Launch([*program.arguments], environment, program.folder)


def prepare(image: Image, container: Container, container_id: str, scratch: Path) -> Launch:
    """What to execute; `scratch` is a fresh folder for HOME and TMPDIR. Raises `CannotStart`."""
    paths = _Paths(image.rootfs)
    environment = _environment(image, container, container_id, scratch, paths)
    wanted = container.isolation.working_folder or image.config.workdir
    folder = Path(paths.mapped(wanted))
    if not folder.is_dir():
        raise CannotStart(f"the working folder {wanted} is not in the image")
    words = [paths.argument(word) for word in _command(image, container)]
    program = _program(words[0], environment["PATH"], folder, image.rootfs)
    return Launch([*paths.interpreter(program), *words[1:]], environment, folder)


def _command(image: Image, container: Container) -> tuple[str, ...]:
    config = image.config
    command = container.command
    if command is None:
        # The image's CMD belongs to the image's ENTRYPOINT: another entry point does not get it.
        command = config.command if container.entrypoint is None else None
    entrypoint = container.entrypoint if container.entrypoint is not None else config.entrypoint
    words = (*(entrypoint or ()), *(command or ()))
    if not words or not words[0]:
        raise CannotStart("no command specified: neither the image nor the task definition names one")
    return words


def _environment(image: Image, container: Container, container_id: str, scratch: Path, paths: _Paths) -> dict[str, str]:
    variables = {**image.config.environment, **container.environment}
    search = paths.search_path(variables.pop("PATH", ""))
    mapped = {name: paths.value(value) for name, value in variables.items()}
    return {**_surroundings(scratch), **mapped, **_own(search, container_id, scratch)}


def _surroundings(scratch: Path) -> dict[str, str]:
    """Variables that a container may replace."""
    home = scratch / "home"
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # Named although absent: a program that takes the home folder from the user database must not find the person's.
    nobody = {"AWS_CONFIG_FILE": f"{home}/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": f"{home}/.aws/credentials"}
    return {**_NEUTRAL, **inherited, **nobody}


def _own(search: str, container_id: str, scratch: Path) -> dict[str, str]:
    """Variables that it may not."""
    return {"PATH": search, "HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp"),
            CONTAINER_VARIABLE: container_id}  # fmt: skip


def _program(word: str, search: str, folder: Path, rootfs: Path) -> Path:
    """The file to execute, or why there is none, in a container runtime's words."""
    if "/" not in word:
        program = shutil.which(word, path=search)
        if program is None:
            raise CannotStart(f'exec: "{word}": executable file not found in $PATH')
        return Path(program)
    path = folder / word
    if not path.is_relative_to(rootfs) and not any(path.is_relative_to(system) for system in _SYSTEM_FOLDERS):
        raise CannotStart(f'exec: "{word}": no such file in the image')
    if not path.exists():
        raise CannotStart(f'exec: "{word}": no such file or directory')
    if path.is_dir() or not os.access(path, os.X_OK):
        raise CannotStart(f'exec: "{word}": permission denied')
    return path


class _Paths:
    """Maps image paths to this machine's."""

    def __init__(self, rootfs: Path) -> None:
        self._rootfs = str(rootfs)

    def mapped(self, path: str) -> str:
        """An absolute image path that exists in the image, as a path of this machine; anything else as it is."""
        if not path.startswith("/"):
            return path
        inside = self._rootfs + os.path.normpath("/" + path.lstrip("/"))
        return inside.rstrip("/") if os.path.exists(inside) and not path.startswith(self._rootfs) else path

    def value(self, text: str) -> str:
        """A variable's value: each part between colons that is an image path."""
        if "/" not in text or text == "/":
            return text
        return ":".join(self.mapped(part) if part != "/" else part for part in text.split(":"))

    def argument(self, word: str) -> str:
        """An argument: an image path, or an option with one."""
        option = re.fullmatch(r"(--?[\w-]+=)(/.+)", word)
        if option:
            return option[1] + self.mapped(option[2])
        return self.mapped(word) if word != "/" else word

    def search_path(self, path: str) -> str:
        """PATH: the image's own folders, then this machine's system folders."""
        own = [mapped for part in path.split(":") if (mapped := self.mapped(part)) != part]
        return ":".join(dict.fromkeys([*own, *_SYSTEM_FOLDERS]))

    def interpreter(self, program: Path) -> list[str]:
        """The program's arguments, led by the interpreter if it is a script that names one inside the image."""
        if not str(program).startswith(self._rootfs):
            return [str(program)]
        try:
            with program.open("rb") as file:
                first = file.readline(256).decode("utf-8", "replace")
        except OSError as error:
            raise CannotStart(f'exec: "{program}": {error.strerror}') from error
        match = re.match(r"#!\s*(/\S+)(?:\s+(\S.*?))?\s*$", first)
        if not match or (inside := self.mapped(match[1])) == match[1]:
            return [str(program)]
        return [inside, *([match[2]] if match[2] else []), str(program)]
