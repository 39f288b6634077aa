"""The two wheels of a release of Herd: of the one that runs, or of one that sources.py has resolved."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import shutil
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from herd import PACKAGE
from herd.checkout import sources
from herd.checkout.sources import Release
from herd.errors import HerdError, WrongInput
from herd.toolchain import machine

SOURCES = ("src/herd", "src/localcloud")
NOT_OF_THE_WHEEL = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What an installer adds to a distribution's own files."""

LONG_AGO = (2020, 2, 2, 0, 0, 0)
"""Of every file in a wheel that is put together, so that the same files make the same wheel."""


def of_this_herd(folder: Path) -> None:
    """Put both wheels of the Herd that runs into a folder. Raises HerdError."""
    checkout = PACKAGE.parents[1]
    if sources.is_checkout(checkout):
        _build(checkout, folder)
        return
    for name in sources.DISTRIBUTIONS:
        distribution = metadata.distribution(name)
        wheel = sources.installed_from(distribution)
        if wheel is not None:
            shutil.copy2(wheel, folder / wheel.name)
        else:
            _put_together(distribution, folder)


def of(release: Release, folder: Path) -> None:
    """Put both wheels of a release into a folder. Raises WrongInput where they are not there, HerdError where they
    cannot be built."""
    path = Path(release.source)
    if release.tag:
        with tempfile.TemporaryDirectory(prefix="herd-release-") as scratch:
            sources.clone(release, Path(scratch))
            _build(Path(scratch), folder)
        _refuse_another(release, folder)
    elif sources.is_checkout(path):
        _build(path.resolve(), folder)
    else:
        _copy(path, folder, release.version)


def _refuse_another(release: Release, folder: Path) -> None:
    """A tag that is named after another release than it holds."""
    (wheel,) = folder.glob("herd_environments-*.whl")
    holds = wheel.name.split("-")[1]
    if sources.RELEASE_TAG.fullmatch(release.tag) and holds != release.tag.removeprefix("v"):
        raise WrongInput(f"{release}: the tag holds release {holds}; say another, or a checkout of what you mean")


def _copy(source: Path, folder: Path, version: str) -> None:
    for name in sources.DISTRIBUTIONS:
        prefix = name.replace("-", "_")
        matches = sorted(source.glob(f"{prefix}-{version or '*'}-*.whl"))
        if len(matches) != 1:
            how = "is missing" if not matches else "is there more than once"
            raise WrongInput(f"{source}: the wheel of {name} {how}: {prefix}-{version or '*'}-py3-none-any.whl")
        shutil.copy2(matches[0], folder / matches[0].name)


def _build(checkout: Path, folder: Path) -> None:
    """Both wheels from source. The builder is this environment's if it has one, else the package index gives it."""
    isolated = [] if importlib.util.find_spec("hatchling") is None else ["--no-build-isolation"]
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", *isolated]
    try:
        machine.run([*build, "--wheel-dir", str(folder), *(str(checkout / source) for source in SOURCES)])
    except machine.ToolMissing as error:
        raise HerdError(f"the wheels of {checkout} could not be built: {error}") from None


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
