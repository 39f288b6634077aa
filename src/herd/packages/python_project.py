"""Which Python packages a folder has, as hashed requirements: whatever it locks them by. Needs no network.

    requirements.lock                 as it is; beside a requirements.in it must hold what that asks for
    pyproject.toml and uv.lock        what `uv sync` would install without the dev group, and without the project itself
    a script with a PEP 723 block     and its lock beside it, `main.py.lock`

uv reads its own locks, offline and with an empty cache: what would have to be asked of an index is out of step.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.foreign import shown
from herd.packages.python_lock import LOCK, PROJECT, PROJECT_LOCK, WANTED

SECONDS = 120
LAST_LINES = 8
SCRIPT_LOCK = ".lock"
"""Behind the name of a script."""

_CREDENTIALS = re.compile(rb"://[^/\s\"']*@")

_LACKS = re.compile(r"no versions? of ([\w.-]+)|[Bb]ecause ([\w.-]+) was\s+not\s+found\s+in\s+the\s+cache")
"""What uv would have to ask an index for, and does not because it is offline."""

NOT_FOR_UV = ("UV_", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
"""What a person has set for their own use of uv changes nothing here."""

_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""As PEP 723 gives it."""
_SCRIPT = re.compile(r"(?<![\w./-])(?:\./)?([\w-]+\.py)(?![\w.-])")
_PINNED = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(.*)")
_WANTED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?!\S*:)")
NOT_READ = (WANTED, "requirements.txt", "Pipfile", "Pipfile.lock", "poetry.lock", "pdm.lock", "environment.yml")
"""Files in which people name packages, and which install none by themselves."""

_SPECIFIER = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([0-9A-Za-z.*+!_-]+)\s*")


class NotLocked(ValueError):
    """A folder's packages are not locked, or by a lock that does not fit; the message is for a person."""


@dataclass(frozen=True)
class PythonPackages:
    """`lock`: hashed requirements. `files`: names of the files that were read, which nothing else needs."""

    lock: bytes
    files: frozenset[str]


def of_folder(
    files: Mapping[str, bytes],
    command: Sequence[str],
    again: str,
    find_uv: Callable[[], Path | None],
    image_python: tuple[int, int] | None = None,
    python_version: str | None = None,
) -> PythonPackages | None:
    """The packages of a folder's own; None where it names none.

    `files`: of the folder, by name. `command`: what runs a script of it; none of an image. `again`: the command that
    locks. `image_python`: the Python that they are installed for, as far as it is known. `python_version`: what the
    folder's `.python-version` says. Raises NotLocked.
    """
    script = script_of(files, command)
    project = project_of(files)
    ways = [
        *([LOCK] if LOCK in files else []),
        *([PROJECT_LOCK] if PROJECT_LOCK in files or (project and LOCK not in files) else []),
        *([f"{script}{SCRIPT_LOCK}"] if script else []),
    ]
    if len(ways) > 1:
        raise NotLocked(
            f"names its packages twice, in {' and '.join(ways)}; a workload has one environment: remove one"
        )
    if python_version is not None:
        _check_python(f"=={python_version.strip()}.*", ".python-version", image_python)
    if not ways:
        _check_nothing_named(files, again)
        return None
    if ways == [LOCK]:
        _check_wanted(files, again)
        return PythonPackages(files[LOCK], frozenset({LOCK}))
    if script:
        _check_python(str(_metadata(files[script], script).get("requires-python", "")), script, image_python)
    else:
        _check_python(str((project or {}).get("requires-python", "")), PROJECT, image_python)
    needs = [script, ways[0]] if script else [PROJECT, PROJECT_LOCK]
    for name in needs:
        if name not in files:
            made = "its packages are not locked" if name == ways[0] else f"{PROJECT_LOCK} is of no use without it"
            raise NotLocked(f"{name} is missing: {made}; {again}")
    uv = find_uv()
    if uv is None:
        raise NotLocked(f"{ways[0]} is read by uv, which is not installed; `make tools` brings it")
    return PythonPackages(_exported(uv, {name: files[name] for name in needs}, script, again), frozenset({ways[0]}))


def python_of(dockerfile: str) -> tuple[int, int] | None:
    """The Python of an image, as far as its base says it: `ARG BASE=python:3.13.15-slim` is (3, 13)."""
    match = re.search(r"(?m)^(?:ARG\s+BASE=|FROM\s+)(?:[\w.:/-]*/)?python:(3)\.(\d{1,2})\b", dockerfile)
    return (int(match[1]), int(match[2])) if match else None


def script_of(files: Mapping[str, bytes], command: Sequence[str]) -> str | None:
    """The script with a PEP 723 block that the command runs. Raises NotLocked where there are several."""
    named = dict.fromkeys(name for word in command for name in _SCRIPT.findall(word))
    scripts = [name for name in named if name in files and _has_block(files[name])]
    if len(scripts) > 1:
        raise NotLocked(f"{' and '.join(scripts)} each have a `# /// script` block; a workload has one environment")
    return scripts[0] if scripts else None


def _has_block(content: bytes) -> bool:
    return any(match["type"] == "script" for match in _BLOCK.finditer(_text(content)))


def _metadata(content: bytes, script: str) -> dict[str, Any]:
    """Raises NotLocked."""
    blocks = [match for match in _BLOCK.finditer(_text(content)) if match["type"] == "script"]
    if len(blocks) > 1:
        raise NotLocked(f"{script}: has several `# /// script` blocks")
    lines = blocks[0]["content"].splitlines()
    return _toml("\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines), script)


def project_of(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """`[project]` of a pyproject.toml that is there for packages; None for one that configures tools."""
    if PROJECT not in files:
        return None
    project = _toml(_text(files[PROJECT]), PROJECT).get("project")
    return project if isinstance(project, dict) and (project.get("dependencies") or PROJECT_LOCK in files) else None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise NotLocked(f"{name}: is not TOML: {shown(str(error))}") from None


def _check_python(specifiers: str, where: str, python: tuple[int, int] | None) -> None:
    """Does the image's Python fit? Its patch release is not looked at. Raises NotLocked."""
    if python is None or allows(specifiers, python):
        return
    said = specifiers.removeprefix("==").removesuffix(".*") if where.startswith(".") else specifiers
    raise NotLocked(
        f"{where} asks for Python {shown(said)}, and the image has {python[0]}.{python[1]}: name an image with that "
        "Python, or take another base in its Dockerfile"
    )


def allows(specifiers: str, python: tuple[int, int]) -> bool:
    """May a release of this Python fit? What is not understood is let through: uv reads it again.

    >>> allows(">=3.11,<3.13", (3, 13)), allows("~=3.11", (3, 13)), allows("==3.12.*", (3, 13)), allows("", (3, 13))
    (False, True, False, True)
    """
    return all(
        _allows(match[1], match[2], python) for match in map(_SPECIFIER.fullmatch, specifiers.split(",")) if match
    )


def _allows(operator: str, text: str, python: tuple[int, int]) -> bool:
    numbers = tuple(map(int, re.findall(r"\d+", text)))
    asked = numbers[:2]
    have = python[: len(asked)]
    # `>3.13.1` and `!=3.13.1` have releases of 3.13 that fit; `>3.13` and `!=3.13.*` have none.
    exact = len(numbers) < 3
    match operator:
        case "==" | "===":
            return have == asked
        case "!=":
            return have != asked or not exact
        case "~=":
            return have >= asked if exact else have == asked
        case "<":
            return have < asked or (have == asked and not exact)
        case ">":
            return have > asked or (have == asked and not exact)
        case "<=":
            return have <= asked
        case _:
            return have >= asked


def _check_wanted(files: Mapping[str, bytes], again: str) -> None:
    """A requirements.lock beside a requirements.in holds what that asks for. Raises NotLocked."""
    joined = _text(files[LOCK]).replace("\\\n", " ")
    pinned = [(normalized(name), rest) for name, rest in _PINNED.findall(joined)]
    without = [name for name, rest in pinned if "--hash=" not in rest]
    source = "" if WANTED in files else f"list the packages in {WANTED}, then "
    if without:
        raise NotLocked(
            f"{LOCK}: {', '.join(without[:5])} without hashes, so nothing says what is installed; {source}{again}"
        )
    if loose := _not_pinned(_text(files[LOCK])):
        number, line = loose
        raise NotLocked(
            f"{LOCK}, line {number}: {shown(line)[:100]!r} is no package with its version and hashes, like "
            f"`flask==3.0.0 --hash=sha256:…`; {source}{again}"
        )
    missing = []
    names = {name for name, _ in pinned}
    for line in _text(files.get(WANTED, b"")).splitlines():
        # One for some machines only may be for none that the lock is for; an address is not pinned by a version.
        match = None if re.search(r"[;@]", line.split("#")[0]) else _WANTED.match(line.strip())
        if match and normalized(match[1]) not in names:
            missing.append(match[1])
    if missing:
        raise NotLocked(f"{LOCK} is out of step with {WANTED}: {', '.join(missing)} not locked; {again}")


def _not_pinned(lock: str) -> tuple[int, str] | None:
    """The first line of a lock, and its number, that is neither a package by its hashes nor an option of pip's."""
    number = 1
    for line in re.split(r"(?<!\\)\n", lock):
        first, number = number, number + line.count("\n") + 1
        text = re.sub(r"(^|\s)#.*", "", line.replace("\\\n", " ")).strip()
        is_option = text.startswith("-") and not re.match(r"-[erc]\b|--(editable|requirement|constraint)\b", text)
        is_pinned = re.match(r"[A-Za-z0-9][\w.-]*\s*(\[[^]]*\])?\s*(===?|@)", text) and "--hash=" in text
        if text and not (is_option or is_pinned):
            return first, text
    return None


def _check_nothing_named(files: Mapping[str, bytes], again: str) -> None:
    """No file names packages that would then be missing. Raises NotLocked."""
    for name in NOT_READ:
        lines = [line.split("#")[0].strip() for line in _text(files.get(name, b"")).splitlines()]
        if not any(lines):
            continue
        if name == WANTED:
            raise NotLocked(f"{name}: its packages are not locked, so none of them would be installed; {again}")
        how = f"rename it to {WANTED}" if name.endswith(".txt") else f"list its packages in {WANTED}"
        raise NotLocked(f"{name}: is not read, so none of its packages would be installed; {how}, then {again}")


def normalized(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _exported(uv: Path, files: Mapping[str, bytes], script: str | None, again: str) -> bytes:
    """What a lock of uv's installs, without hosts. Raises NotLocked."""
    lock = next(name for name in files if name.endswith(SCRIPT_LOCK))
    if _CREDENTIALS.search(files[lock]):
        raise NotLocked(f"{lock}: has a user or a password in an address; take it out, and change the password")
    which = ["--script", script] if script else []
    with tempfile.TemporaryDirectory(prefix="herd-lock-") as temporary:
        folder, cache = Path(temporary, "project"), Path(temporary, "cache")
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        common = ["--offline", "--no-config", "--cache-dir", str(cache), "--color", "never", "--no-progress"]
        common += ["--python", sys.executable, "--no-python-downloads"]
        checked = _run([str(uv), "lock", "--check", *which, *common], folder)
        # This machine's Python need not be the image's; uv then says so, and the lock is taken as it is.
        if checked.returncode and "incompatible with the" not in checked.stderr:
            if checked.returncode == 1:
                lacks = sorted({one or other for one, other in _LACKS.findall(checked.stderr)})
                which_one = f" (it has no fitting {', '.join(lacks)})" if lacks else ""
                raise NotLocked(f"{lock} is out of step with {script or PROJECT}{which_one}; {again}")
            raise NotLocked(f"{lock} cannot be read: {_reason(checked.stderr)}")
        plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--quiet", "--format", "requirements-txt"]
        more = [] if script else ["--no-emit-project", "--no-dev"]
        made = _run([str(uv), "export", "--frozen", *which, *more, *plain, *common], folder)
        if made.returncode:
            raise NotLocked(f"{lock} cannot be read: {_reason(made.stderr)}")
    return _checked(made.stdout, lock)


def _checked(text: str, lock: str) -> bytes:
    """Each package by its hashes, and none from a folder, a repository or an address. Raises NotLocked."""
    joined = text.replace("\\\n", " ")
    for line in filter(None, map(str.strip, joined.splitlines())):
        if line.startswith(("-e ", "./", "../", "/", "file:")) or " @ " in line.split(" --hash=")[0]:
            name = shown(line.split(" --hash=")[0])[:100]
            raise NotLocked(
                f"{lock}: {name} is no package of an index; share code through lib/ (`uses`), or publish it to one"
            )
        if "--hash=" not in line:
            raise NotLocked(f"{lock}: {shown(line)[:100]} has no hash, so nothing says what is installed")
    return text.encode()


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip().startswith(("error:", "cause:"))]
    lines = lines or stderr.strip().splitlines()[-LAST_LINES:]
    return shown(" ".join(line.removeprefix("error: ").removeprefix("cause: ") for line in lines))[:600].rstrip(".")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith(NOT_FOR_UV)},
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotLocked(f"uv could not be run: {error}") from None
