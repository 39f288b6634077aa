"""The folder that a workload runs in: a writable copy of its own, with inputs/ and outputs/."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.errors import CANNOT_PUBLISH, RunFailed
from runner.layout import BadPath, check_path
from runner.task import Task


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


def prepare(task: Task) -> Workspace:
    """Copy the workload's folder to a temporary one. What lies in its own inputs/ and outputs/ stays behind."""
    if task.trial is not None:
        root = task.trial.folder
        _empty(root)
    else:
        root = Path(tempfile.mkdtemp(prefix=f"{task.workload}-"))
    workspace = Workspace(root, Path(tempfile.mkdtemp(prefix="inputs-")), keep=task.trial is not None)

    def leave_behind(folder: str, names: list[str]) -> set[str]:
        ours = {"inputs", "outputs"} if Path(folder) == task.workload_dir else set()
        return {name for name in names if name in ours or name == "__pycache__"}

    shutil.copytree(task.workload_dir, root, symlinks=True, ignore=leave_behind, dirs_exist_ok=True)
    # A read-only image layer gives read-only folders.
    root.chmod(0o755)
    workspace.inputs.mkdir(exist_ok=True)
    workspace.outputs.mkdir()
    return workspace


def _empty(folder: Path) -> None:
    """Empty a folder but for inputs/: what is fetched there already need not be fetched again."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name == "inputs" and entry.is_dir() and not entry.is_symlink():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def collect(outputs: Path) -> dict[str, Path]:
    """The files that a run wrote, by their path with "/", in order.

    A link counts as the file it leads to if that lies in outputs/ too. Anything else would publish what the workload
    does not own, so it is refused: links out of the folder, links to folders, sockets, names that cannot be keys.
    Raises RunFailed (73) naming all of them.
    """
    found: dict[str, Path] = {}
    problems: list[str] = []
    inside = outputs.resolve()
    for folder, folders, files in os.walk(outputs):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted(files + links):
            path = Path(folder, name)
            try:
                key = check_path(path.relative_to(outputs).as_posix())
                _check_file(path, inside)
            except (BadPath, OSError) as error:
                problems.append(f"outputs/: {error}")
            else:
                found[key] = path
    if problems:
        raise RunFailed("\n".join(problems), CANNOT_PUBLISH)
    return dict(sorted(found.items()))


def _check_file(path: Path, inside: Path) -> None:
    target = path.resolve()
    if not target.is_relative_to(inside):
        raise BadPath(f"{path.name!r} is a link that leads out of outputs/")
    if not stat.S_ISREG(target.stat().st_mode):
        raise BadPath(f"{path.name!r} is neither a file nor a link to one")
