"""`herd lock`: the packages of one workload's own, locked again by what names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from herd.checkout.find import Checkout
from herd.deploy.image_locks import LockedImage
from herd.errors import HerdError, WrongInput
from herd.infra.spec.files import astray
from herd.packages import difference, python_lock, renv
from herd.packages.python_project import NotLocked, project_of, script_of
from herd.toolchain import atomic, uv

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec

MOST_BYTES = 16 * 1024 * 1024


def lock(checkout: Checkout, spec: AnySpec, upgrade: bool) -> LockedImage:
    """Lock again: a script's `# /// script` block, pyproject.toml, else requirements.in. Uses the network.

    Raises WrongInput where nothing names packages, and HerdError where uv cannot lock them; the lock is then as it was.
    """
    shown = spec.folder.as_posix()
    folder = checkout.root / spec.folder
    files = _files(checkout, folder)
    if renv.FILE in files:
        raise WrongInput(
            f"{shown}/{renv.FILE}: an R workload has the packages of its image; `herd image lock` locks them"
        )
    try:
        script = script_of(files, spec.command)
        project = project_of(files)
    except NotLocked as error:
        raise WrongInput(f"{shown}/{error}") from None
    if script is None and project is None and python_lock.WANTED not in files:
        raise WrongInput(
            f"{shown}: names no packages of its own, so it has those of images/{spec.image} "
            f"(`herd image lock {spec.image}`); to give it some, list them in {python_lock.WANTED}, in a "
            f"{python_lock.PROJECT}, or in a `# /// script` block of its script"
        )
    name = f"{script}.lock" if script else python_lock.PROJECT_LOCK if project else python_lock.LOCK
    before = files.get(name)
    try:
        path = python_lock.lock_again(folder, uv.ensure(checkout.cache), upgrade, script)
    except python_lock.LockFailed as error:
        if before is not None and (folder / name).read_bytes() != before:
            atomic.write(folder / name, before)
        raise HerdError(f"{shown}: uv could not lock it:\n{error}") from None
    after = path.read_bytes()
    versions = python_lock.versions(after.decode())
    changed = difference.lines(python_lock.versions((before or b"").decode("utf-8", "replace")), versions)
    return LockedImage(versions, changed, [], [path] if after != before else [])


def _files(checkout: Checkout, folder: Path) -> dict[str, bytes]:
    """The files of the folder itself. Raises WrongInput for links to elsewhere."""
    files = {}
    for path in sorted(folder.iterdir()):
        if why := astray(checkout.root, path):
            raise WrongInput(f"{path.relative_to(checkout.root).as_posix()} {why}")
        if path.is_file() and path.stat().st_size <= MOST_BYTES:
            files[path.name] = path.read_bytes()
    return files
