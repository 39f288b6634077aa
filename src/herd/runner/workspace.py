"""The folder that a workload runs in: a writable copy of its own, with inputs/ and outputs/."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from .clone import Cloner
from .contract.keys import BadPath, check_path
from .contract.statuses import BAD_SETTINGS, CANNOT_PUBLISH
from .errors import RunFailed
from .task import AnyTask, Trial

KEPT_COPIES = ".large"
"""Folder beside the working copies of trials, for the large files of them."""


@dataclass(frozen=True)
class Workspace:
    """`root` is the command's working directory. `store` holds fetched versions that inputs/ points into (services)."""

    root: Path
    store: Path
    keep: bool

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    def close(self) -> None:
        """Remove what was made; `herd try` leaves the working copy for the person to look at."""
        shutil.rmtree(self.store, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(self.root, ignore_errors=True)


def prepare(task: AnyTask) -> Workspace:
    """Copy the workload's folder to a temporary one. What lies in its own inputs/ and outputs/ stays behind, and what
    no image has.
    """
    aside = None
    if isinstance(task, Trial):
        task.folder.mkdir(parents=True, exist_ok=True)
        root = task.folder.resolve()
        if task.cache:
            aside = Aside(root, task.cache)
            aside.take()
        _empty(task.folder)
    else:
        root = Path(tempfile.mkdtemp(prefix=f"{task.workload}-")).resolve()
    workspace = Workspace(root, Path(tempfile.mkdtemp(prefix="inputs-")), keep=isinstance(task, Trial))

    copy = Cloner(task.folder.parent / KEPT_COPIES) if isinstance(task, Trial) else shutil.copy2
    stay = {"inputs", "outputs"}
    if isinstance(task, Trial) and not task.with_tests:
        stay.add("tests")

    def leave_behind(folder: str, names: list[str]) -> set[str]:
        ours = stay if Path(folder) == task.workload_dir else set()
        return {name for name in names if name in ours or name == "__pycache__"}

    try:
        shutil.copytree(
            task.workload_dir, root, symlinks=True, ignore=leave_behind, dirs_exist_ok=True, copy_function=copy
        )
    except shutil.Error as error:  # a pipe or a socket, a file that cannot be read
        problems = "\n".join(str(problem) for _, _, problem in error.args[0])
        raise RunFailed(f"the workload's folder cannot be copied:\n{problems}", BAD_SETTINGS) from error
    if isinstance(copy, Cloner):
        copy.tidy()
    # A read-only image layer gives read-only folders.
    root.chmod(0o755)
    workspace.inputs.mkdir(exist_ok=True)
    workspace.outputs.mkdir()
    if aside is not None:
        aside.put_back()
    return workspace


def _empty(folder: Path) -> None:
    """Empty a folder but for inputs/: what is fetched there already need not be fetched again."""
    for entry in folder.iterdir():
        if entry.name == "inputs" and entry.is_dir() and not entry.is_symlink():
            continue
        remove(entry)


def collect(outputs: Path) -> dict[str, Path]:
    """The files that a run wrote: the real file of each by its path with "/", in order.

    A link counts as what it leads to, a file or a folder, if that lies in outputs/ too. Anything else would publish
    what the workload did not write there, so it is refused: links out of the folder, the folder itself if it is one,
    links to a folder that contains them, sockets, names that cannot be keys. Raises RunFailed (73) naming all of them.
    """
    if os.path.realpath(outputs) != str(outputs):
        raise RunFailed("outputs/ is a link, or lies behind one: write into the folder that was there", CANNOT_PUBLISH)
    if os.path.lexists(outputs) and not outputs.is_dir():
        raise RunFailed("outputs/ is not a folder any more: write files into it", CANNOT_PUBLISH)
    outcome = _Collected(outputs)
    if outputs.is_dir():
        outcome.look_into(outputs, "", frozenset(), linked=False)
    if outcome.problems:
        raise RunFailed("\n".join(f"outputs/: {problem}" for problem in outcome.problems), CANNOT_PUBLISH)
    return dict(sorted(outcome.files.items()))


class _Collected:
    """What is found below `inside`, and what is wrong with it."""

    def __init__(self, inside: Path) -> None:
        self.inside = inside
        self.files: dict[str, Path] = {}
        self.problems: list[str] = []
        self._linked = 0

    def look_into(self, folder: Path, below: str, within: frozenset[Path], *, linked: bool) -> None:
        """`below` is the folder's path as it is published, `within` the real folders on the way down."""
        within |= {folder}
        self._count(linked)
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except OSError as error:
            self.problems.append(f"{below or '.'}: {error.strerror}")
            return
        for name in names:
            try:
                self._look_at(folder / name, f"{below}{name}", within, linked)
            except (BadPath, OSError, RuntimeError) as error:
                self.problems.append(str(error))

    def _look_at(self, path: Path, key: str, within: frozenset[Path], linked: bool) -> None:
        target, is_link = path, path.is_symlink()
        if is_link:
            target = path.resolve(strict=True)
            if not target.is_relative_to(self.inside):
                raise BadPath(f"{path.name!r} is a link that leads out of outputs/")
        kind = target.stat().st_mode
        if stat.S_ISDIR(kind):
            if is_link and any(folder.is_relative_to(target) for folder in within):
                raise BadPath(f"{path.name!r} is a link to a folder that contains it")
            self.look_into(target, f"{key}/", within, linked=linked or is_link)
            return
        if not stat.S_ISREG(kind):
            raise BadPath(f"{path.name!r} is neither a file nor a folder, nor a link to one")
        self._count(linked)
        self.files[check_path(key)] = target

    def _count(self, linked: bool) -> None:
        self._linked += linked
        if self._linked > MOST_LINKED:
            message = f"outputs/: links to folders lead to more than {MOST_LINKED:,} files and folders"
            raise RunFailed(message, CANNOT_PUBLISH)


MOST_LINKED = 10_000
"""So many files and folders may be seen once more because a link leads to them: links to links multiply."""


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A collected file, to be read. Raises RunFailed (73) where something else has taken its place meanwhile."""
    with ExitStack() as closing:
        try:
            stream = closing.enter_context(open(path, "rb", opener=_open_no_link))
        except OSError as error:
            raise RunFailed(f"outputs/: {path.name!r} cannot be read: {error.strerror}", CANNOT_PUBLISH) from error
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode) or os.path.realpath(path) != str(path):
            raise RunFailed(f"outputs/: {path.name!r} was changed while it was being published", CANNOT_PUBLISH)
        yield stream


def _open_no_link(path: str, flags: int) -> int:
    """Neither a link's target nor, by waiting for its other end, a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def remove(path: Path) -> None:
    """Remove a file, a link (never what it leads to) or a folder with all that is in it; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class BehindLink(Exception):
    """What lies behind a link is not the run's own; the message names the path."""


def refuse_links(root: Path, path: str) -> None:
    """Raises BehindLink if a folder on the way from `root` to `path` is a link."""
    parent = (root / path).parent
    if os.path.realpath(parent) != str(parent):
        raise BehindLink(f"{path!r} lies behind a link")


def put_in_place(source: Path, root: Path, path: str) -> None:
    """Move what is at `source`, if anything is, to `path` below `root`, in the place of what is there."""
    if not os.path.lexists(source):
        return
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    refuse_links(root, path)
    remove(target)
    os.rename(source, target)


class Aside:
    """The cache of `herd try`, which stays on this machine: out of the way while the working copy is made anew."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self._root, self._paths = root, paths
        self._place = root.with_name(f".{root.name}.cache")

    def take(self) -> None:
        remove(self._place)
        for path in self._paths:
            source = self._root / path
            if os.path.lexists(source) and os.path.realpath(source.parent) == str(source.parent):
                (self._place / path).parent.mkdir(parents=True, exist_ok=True)
                os.rename(source, self._place / path)

    def put_back(self) -> None:
        """Where the workload's folder now has a link on the way, that part of the cache is dropped."""
        for path in self._paths:
            with suppress(BehindLink):
                put_in_place(self._place / path, self._root, path)
        shutil.rmtree(self._place, ignore_errors=True)
