"""The two wheels of a release of Herd: of the one that runs, or of a wheel, a checkout or a Git tag that is named."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from herd import PACKAGE
from herd.errors import HerdError, WrongInput
from herd.toolchain import machine

DISTRIBUTIONS = ("herd-environments", "herd-localcloud")
SOURCES = ("src/herd", "src/localcloud")
NOT_OF_THE_WHEEL = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What an installer adds to a distribution's own files."""

LONG_AGO = (2020, 2, 2, 0, 0, 0)
"""Of every file in a wheel that is put together, so that the same files make the same wheel."""


def of_this_herd(folder: Path) -> None:
    """Put both wheels of the Herd that runs into a folder. Raises HerdError."""
    checkout = PACKAGE.parents[1]
    if (checkout / SOURCES[0] / "pyproject.toml").is_file():
        _build(checkout, folder)
        return
    for name in DISTRIBUTIONS:
        distribution = metadata.distribution(name)
        origin = _installed_from(distribution)
        if origin is not None:
            shutil.copy2(origin, folder / origin.name)
        else:
            _put_together(distribution, folder)


def of(source: str, folder: Path) -> None:
    """Put both wheels of a named release into a folder. `source`: WHEEL (the other one beside it), FOLDER of wheels or
    of a checkout, REPOSITORY@TAG. Raises WrongInput where it is none of these, HerdError where building fails."""
    path = Path(source)
    if not source.strip():
        raise WrongInput(f"{source!r} cannot be a release of Herd; say a wheel, a folder or REPOSITORY@TAG")
    if source.endswith(".whl") and path.is_file():
        _copy(path.parent, folder, path.name.split("-")[1] if path.name.count("-") >= 4 else "")
    elif (path / SOURCES[0] / "pyproject.toml").is_file():
        _build(path.resolve(), folder)
    elif path.is_dir():
        _copy(path, folder, "*")
    elif "@" in source:
        repository, _, tag = source.rpartition("@")
        with tempfile.TemporaryDirectory(prefix="herd-release-") as scratch:
            clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", f"--branch={tag}"]
            done = subprocess.run([*clone, "--", repository, scratch], capture_output=True, text=True)
            if done.returncode != 0:
                raise WrongInput(f"{source}: Git could not fetch that tag: {done.stderr.strip()}")
            _build(Path(scratch), folder)
    else:
        raise WrongInput(
            f"{source!r} cannot be a release of Herd; allowed: a wheel, a folder with both wheels, a checkout of Herd, "
            "or REPOSITORY@TAG"
        )


def _copy(source: Path, folder: Path, version: str) -> None:
    for name in DISTRIBUTIONS:
        prefix = name.replace("-", "_")
        matches = sorted(source.glob(f"{prefix}-{version}-*.whl"))
        if len(matches) != 1:
            how = "is missing" if not matches else "is there more than once"
            raise WrongInput(f"{source}: the wheel of {name} {how}: {prefix}-{version}-py3-none-any.whl")
        shutil.copy2(matches[0], folder / matches[0].name)


def _build(checkout: Path, folder: Path) -> None:
    """Both wheels from source. The builder is this environment's if it has one, else the package index gives it."""
    isolated = [] if importlib.util.find_spec("hatchling") is None else ["--no-build-isolation"]
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", *isolated]
    try:
        machine.run([*build, "--wheel-dir", str(folder), *(str(checkout / source) for source in SOURCES)])
    except machine.ToolMissing as error:
        raise HerdError(f"the wheels of {checkout} could not be built: {error}") from None


def _installed_from(distribution: metadata.Distribution) -> Path | None:
    """The wheel file that it was installed from, if it is still there and has the hash that was recorded."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
        url, digest = urlsplit(record["url"]), record["archive_info"]["hashes"]["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    path = Path(unquote(url.path))
    if url.scheme != "file" or path.suffix != ".whl" or not path.is_file():
        return None
    return path if hashlib.sha256(path.read_bytes()).hexdigest() == digest else None


def _put_together(distribution: metadata.Distribution, folder: Path) -> None:
    """A wheel from the installed files, which must be what the installer recorded. Raises HerdError."""
    name, version = distribution.metadata["Name"], distribution.version
    prefix = name.replace("-", "_")
    info = f"{prefix}-{version}.dist-info"
    contents: dict[str, tuple[bytes, int]] = {}
    for file in distribution.files or ():
        if file.hash is None or ".." in file.parts or (file.parts[0] == info and file.name in NOT_OF_THE_WHEEL):
            continue
        path = Path(str(file.locate()))
        content = path.read_bytes()
        if _digest(content) != file.hash.value:
            raise HerdError(f"{path} is not as it was installed; install {name} again")
        contents[file.as_posix()] = content, 0o755 if path.stat().st_mode & 0o100 else 0o644
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, (content, _) in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode(), 0o644
    with zipfile.ZipFile(folder / f"{prefix}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path_inside, (content, mode) in contents.items():
            entry = zipfile.ZipInfo(path_inside, LONG_AGO)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)


def _digest(content: bytes) -> str:
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
