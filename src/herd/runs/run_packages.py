"""The packages that an earlier run had, for `herd try --like`: the lock of the commit that its image was built from."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from herd.checkout import git
from herd.errors import WrongInput
from herd.infra.images.build_context import Stager, StagingError
from herd.packages import difference, python_lock
from herd.runner.contract.keys import built_from_key
from herd.runs import runs, try_local, try_r
from herd.runs.detail import Detail
from herd.targets.local import LocalTarget
from herd.toolchain import atomic

if TYPE_CHECKING:
    from herd.infra.spec.load import AnySpec

FEW_LINES = 5
"""Of packages that differ."""


def lock(target: LocalTarget, spec: AnySpec, run: Detail) -> tuple[Path | None, list[str]]:
    """The lock of the packages that the run had, and what a person should know of it.

    None where the files here have the same packages, or no other ones are known.
    """
    if try_r.is_r(target.checkout, spec):
        return None, ["R's packages are those of the files here"]
    here = try_local.lock_of(target.checkout, spec)
    own = here.read_bytes()
    document = runs.read_json(target, built_from_key(run.content_hash)) if run.content_hash else None
    had = (document or {}).get("packages")
    if had is not None and had == _packages(own):
        return None, []
    committed = _committed(target, spec, run)
    if committed is None and had is None:
        return None, ["which packages it had is not known: they are those of the files here"]
    if committed is not None and had in (None, _packages(committed)):
        if committed == own:
            return None, []
        assert run.commit is not None
        path = target.checkout.folder("try", ".locks") / f"{spec.name}-{run.commit.commit[:12]}.lock"
        atomic.write(path, committed)
        changes = _lines(_packages(own), _packages(committed))
        return path, [f"the lock has changed since: the packages are the run's, by {run.commit.words}", *changes]
    return None, [
        "its lock is in no commit that is known: the packages are those of the files here, and differ from the run's:",
        *_lines(had or {}, _packages(own)),
    ]


def _packages(lock: bytes) -> dict[str, str]:
    return dict(python_lock.versions(lock.decode("utf-8", "replace")))


def _lines(before: dict[str, str], after: dict[str, str]) -> list[str]:
    lines = [f"    {line}" for line in difference.lines(before, after)]
    more = len(lines) - FEW_LINES
    return [*lines[:FEW_LINES], *([f"    and {more} more"] if more > 0 else [])]


def _committed(target: LocalTarget, spec: AnySpec, run: Detail) -> bytes | None:
    """The lock of the commit; None without a commit, or where it has none that can be read."""
    if run.commit is None:
        return None
    root = target.checkout.root
    image = re.search(r"/([a-z0-9-]+)@", run.image)
    folders = [spec.folder, Path("images") / (image[1] if image else spec.image)]
    with tempfile.TemporaryDirectory(prefix="herd-like-") as made:
        for folder in folders:
            Path(made, folder).mkdir(parents=True, exist_ok=True)
            listing = git.output(root, "ls-tree", "-z", run.commit.commit, "--", f"{folder.as_posix()}/")
            for entry in (listing or b"").split(b"\0"):
                about, _, name = entry.decode("utf-8", "surrogateescape").partition("\t")
                if about.startswith(("100644 blob", "100755 blob")):
                    content = git.output(root, "show", f"{run.commit.commit}:./{folder.as_posix()}/{Path(name).name}")
                    Path(made, folder, Path(name).name).write_bytes(content or b"")
        try:
            return Stager(Path(made), "try").lock(spec.model_copy(update={"image": folders[1].name}))
        except (StagingError, WrongInput):
            return None
