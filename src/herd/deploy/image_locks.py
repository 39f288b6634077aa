"""`herd image lock`: writes an image's lock file, and the blocks of its Dockerfile that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput, unknown
from herd.infra.images import r_image
from herd.infra.images.marks import BrokenMarks
from herd.infra.spec import image_settings
from herd.infra.spec.files import astray
from herd.packages import difference, python_lock, r_lock, renv
from herd.packages.cran import Unreachable, control
from herd.packages.system_libraries import Needed, needed
from herd.toolchain import atomic, uv

WANTED = "DESCRIPTION"
"""Of an R image: what the team asks for, in its Imports."""


@dataclass(frozen=True)
class LockedImage:
    """`packages`: name -> version. `difference`, `notes`: lines for the person. `written`: files that changed."""

    packages: Mapping[str, str]
    difference: list[str]
    notes: list[str]
    written: list[Path]


def folder(checkout: Checkout, name: str) -> Path:
    """The folder of an image. Raises WrongInput where there is none, or it is a link to elsewhere."""
    images = checkout.root / "images"
    known = sorted(path.parent.name for path in images.glob("*/Dockerfile"))
    if name not in known:
        raise WrongInput(unknown(name, known, "image"))
    if why := astray(checkout.root, images / name):
        raise WrongInput(f"images/{name} {why}")
    return images / name


def lock(checkout: Checkout, folder: Path, upgrade: bool) -> LockedImage:
    """Lock again what the folder has: R by its renv.lock, Python else. Raises HerdError; then nothing was written."""
    if (folder / renv.FILE).exists():
        return _r(checkout, folder, upgrade)
    if any((folder / name).exists() for name in (python_lock.WANTED, python_lock.PROJECT)):
        return _python(checkout, folder, upgrade)
    if (folder / image_settings.FILE).exists():
        return LockedImage({}, [], [], [])
    shown = folder.relative_to(checkout.root).as_posix()
    raise WrongInput(
        f"{shown}: has no packages to lock; Python's are named in {python_lock.WANTED} or {python_lock.PROJECT}, "
        f"R's in {renv.FILE}, which renv::snapshot() writes"
    )


def _r(checkout: Checkout, folder: Path, upgrade: bool) -> LockedImage:
    shown = folder.relative_to(checkout.root).as_posix()
    for name in (renv.FILE, WANTED, "Dockerfile"):
        if (folder / name).is_symlink():
            raise WrongInput(f"{shown}/{name}: is a link; put the file itself here")
    content = (folder / renv.FILE).read_bytes()
    dockerfile = (folder / "Dockerfile").read_text("utf-8")
    try:
        before = renv.read(content)
        r_image.base(dockerfile, before)  # what is wrong with it is said before the network is asked
        wanted = next(control((folder / WANTED).read_text("utf-8")), {}) if (folder / WANTED).exists() else None
        locked = r_lock.lock_again(before, wanted, upgrade)
        if wanted is not None:
            content = locked.lock.to_json().encode()
        libraries_before = r_image.libraries(dockerfile)
        needs = needed(locked.requirements, r_image.base(dockerfile, locked.lock).distribution)
        text = r_image.write(dockerfile, content, locked.lock, needs, folder.name)
    except renv.LockError as error:
        raise WrongInput("\n".join(f"{shown}/{renv.FILE}: {line}" for line in str(error).splitlines())) from None
    except r_image.OutOfStep as error:
        raise WrongInput("\n".join(f"{shown}/{line}" for line in str(error).splitlines())) from None
    except (BrokenMarks, ValueError) as error:
        raise WrongInput(f"{shown}/Dockerfile: {error}") from None
    except Unreachable as error:
        raise HerdError(f"{error}; nothing was written") from None
    written = []
    for path, after in ((folder / renv.FILE, content), (folder / "Dockerfile", text.encode())):
        if path.read_bytes() != after:
            atomic.write(path, after)
            written.append(path)
    versions = {name: package.version for name, package in locked.lock.packages.items()}
    old = {name: package.version for name, package in before.packages.items()}
    changed = difference.lines(old, versions)
    changed += difference.lines(dict.fromkeys(libraries_before, ""), _libraries(needs))
    return LockedImage(versions, changed, [*locked.notes, *_unknown(needs)], written)


def _libraries(needs: Needed) -> dict[str, str]:
    return dict.fromkeys(needs.libraries, "")


def _unknown(needs: Needed) -> list[str]:
    return [
        f"{package} asks the system for {text!r}, which no rule knows; if it is a library, install it in the Dockerfile"
        for package, text in needs.unknown.items()
    ]


def _python(checkout: Checkout, folder: Path, upgrade: bool) -> LockedImage:
    name = python_lock.PROJECT_LOCK if (folder / python_lock.PROJECT).exists() else python_lock.LOCK
    before = (folder / name).read_text("utf-8") if (folder / name).exists() else ""
    try:
        path = python_lock.lock_again(folder, uv.ensure(checkout.cache), upgrade)
    except python_lock.LockFailed as error:
        raise HerdError(f"{folder.relative_to(checkout.root).as_posix()}: uv could not lock it:\n{error}") from None
    after = path.read_text("utf-8")
    versions = python_lock.versions(after)
    changed = difference.lines(python_lock.versions(before), versions)
    return LockedImage(versions, changed, [], [path] if after != before else [])
