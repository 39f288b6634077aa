"""The build context of a workload's image: what goes in, where it lies, and the hash that names it. No Pulumi here.

A context is the image's folder with the workload's code, the shared code it uses and the runner beside it:

    Dockerfile …         images/<image>/
    requirements.lock    the workload's own packages if it locks some, else the image's (herd.packages.python_project)
    workload/            jobs/<name>/ without workload.toml (its settings travel in the task definition)
    lib/<used>/          lib/<used>/
    runner/              the runner of the installed Herd

The same files always give the same context, byte by byte and in their modes and times: nothing is built twice.
"""

import hashlib
import os
import posixpath
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from herd import PACKAGE
from herd.infra.images import r_image, switches
from herd.infra.messages import Problem
from herd.infra.spec import image_settings
from herd.infra.spec.load import WorkloadSpec
from herd.packages import renv
from herd.packages.python_lock import LOCK, PROJECT, PROJECT_LOCK
from herd.packages.python_project import NotLocked, PythonPackages, of_folder, python_of
from herd.toolchain import machine, uv

NEVER = frozenset({"__pycache__", "venv", "node_modules"})
"""Made by tools, not written by people. Names that begin with a dot never go in either."""

RUNNER = PACKAGE / "runner"

ALWAYS = ("lib", "workload")
"""Folders that Dockerfiles copy: there even when a workload is a command without code, or uses nothing of lib/."""

FILE_MODE, PROGRAM_MODE = 0o644, 0o755
EARLIEST_TIME = 315_532_800
"""1980-01-01, the earliest time that zip files know."""

TIME_SPAN_SECONDS = 1 << 30
"""Times of files lie within 34 years from then."""

HASH_LENGTH = 12

MB = 1_000_000
NOTED_MB = 50
"""From here on it is worth a word how much goes into an image."""
SHOWN_FILES = 3


class StagingError(Exception):
    """A folder that cannot become a build context; the message names the file and what to do."""


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def time(self) -> int:
        """Its time in a context, in seconds: the same for the same content, another for another.

        BuildKit sends a file again, and Python compiles a module again, when its size or its time has changed.
        """
        return EARLIEST_TIME + int(self.digest[:12], 16) % TIME_SPAN_SECONDS


Tree = dict[str, File]
"""Files by their path in the context, with `/`, in order."""


@dataclass(frozen=True)
class Staged:
    """A context on disk. `content_hash` changes exactly when a path, a mode or a byte of it does."""

    context: Path
    content_hash: str


@dataclass(frozen=True)
class Weight:
    """The files that go into a workload's image, by their size in bytes; those of its own `folder` relative to it."""

    folder: str
    image: str
    limit_mb: int
    sizes: Mapping[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def __str__(self) -> str:
        """How much it is, and which files are most of it."""
        largest = sorted(self.sizes, key=lambda name: -self.sizes[name])[:SHOWN_FILES]
        named = ", ".join(f"{name} ({_megabytes(self.sizes[name])})" for name in largest)
        more = len(self.sizes) - len(largest)
        return (
            f"{self.folder}: {_megabytes(self.bytes)} go into the image: {named}{f' and {more} more' if more else ''}"
        )

    def refusal(self) -> str | None:
        """Why it is too much and what to do; None if it is not."""
        if self.bytes <= self.limit_mb * MB:
            return None
        needed = -(-self.bytes // MB)
        return (
            f"{self}; at most {self.limit_mb} MB. Data belongs into a bucket: publish it from a job and name that in "
            f"`reads`, or name it in `datasets`; leave files out by images/{self.image}/.dockerignore; or allow it by "
            f"`max_files_mb = {needed}` in images/{self.image}/image.toml"
        )

    def note(self) -> str | None:
        """What is large though it is allowed; None if nothing is."""
        return f"{self}; each build and each start carries it" if self.bytes >= NOTED_MB * MB else None


def _megabytes(size: int) -> str:
    return f"{size / MB:.0f} MB" if size >= MB else f"{-(-size // 1000)} kB"


class Stager:
    """Stages the contexts of one environment below `<root>/.herd/build/<environment>/`.

    Folders that several workloads share (runner, images, lib) are read once.
    """

    def __init__(self, root: Path, environment: str) -> None:
        self._root = root
        self._build = root / ".herd" / "build" / environment
        self._read: dict[Path, Tree] = {}
        self._weighed: dict[Path, dict[str, int]] = {}
        self._locks: dict[Path, PythonPackages | None] = {}

    def stage(self, spec: WorkloadSpec) -> Staged:
        """Writes what has changed, removes what no longer belongs. Raises StagingError."""
        tree = self.tree(spec)
        context = self._build / spec.name
        write(tree, context)
        return Staged(context, content_hash(tree))

    def tree(self, spec: WorkloadSpec) -> Tree:
        if too_large := self.weight(spec).refusal():  # before anything is read
            raise StagingError(too_large)
        image = self._image(spec.image)
        own = {path: file for path, file in self._folder(spec.folder).items() if not _stays(spec, path)}
        packages, read = self._packages(spec, image, own)
        tree = {
            **{path: file for path, file in image.items() if path not in (LOCK, PROJECT, PROJECT_LOCK)},
            **_below("runner", self._runner()),
            **_below("workload", {path: file for path, file in own.items() if path not in read}),
            **({LOCK: packages} if packages else {}),
        }
        for used in spec.uses:
            tree |= _below(f"lib/{used}", self._folder(Path("lib") / used))
        self._check_r(spec, image, own)
        kept = self._not_ignored(Path("images") / spec.image / ".dockerignore", sorted(tree))
        return {path: tree[path] for path in kept}

    def weight(self, spec: WorkloadSpec) -> Weight:
        """How large the files are that go into a workload's image, but Herd's own. Reads none. Raises StagingError."""
        own = {name: size for name, size in self._sizes(spec.folder).items() if not _stays(spec, name)}
        image = Path("images") / spec.image
        parts = [("workload", "", own), ("", f"{image.as_posix()}/", self._sizes(image))]
        parts += [(f"lib/{used}", f"lib/{used}/", self._sizes(Path("lib") / used)) for used in spec.uses]
        there = {posixpath.join(place, path): (shown + path, size) for place, shown, sizes in parts
                 for path, size in sizes.items()}  # fmt: skip
        kept = self._not_ignored(image / ".dockerignore", sorted(there))
        limit = image_settings.read(self._root, spec.image, []).max_files_mb
        return Weight(spec.folder.as_posix(), spec.image, limit, dict(there[path] for path in kept))

    def stage_image(self, image: str, context: Path) -> None:
        """Write the context of an image without a workload, which an editor's container is built from.

        Raises StagingError.
        """
        folder = self._image(image)
        self._check_locked(image, folder)
        python = python_of(folder["Dockerfile"].content.decode("utf-8", "replace"))
        layer = self._locked(Path("images") / image, folder, (), f"herd image lock {image}", python)
        tree = {
            **{path: file for path, file in folder.items() if path not in (LOCK, PROJECT, PROJECT_LOCK)},
            **_below("runner", self._runner()),
            **({LOCK: File(layer.lock, FILE_MODE)} if layer else {}),
        }
        kept = self._not_ignored(Path("images") / image / ".dockerignore", sorted(tree))
        write({path: tree[path] for path in kept}, context)

    def lock(self, spec: WorkloadSpec) -> bytes | None:
        """The hashed requirements that a workload runs with; None where neither it nor its image has any.

        Raises StagingError.
        """
        packages, _ = self._packages(spec, self._folder(Path("images") / spec.image), self._folder(spec.folder))
        return packages.content if packages else None

    def _packages(self, spec: WorkloadSpec, image: Tree, own: Tree) -> tuple[File | None, frozenset[str]]:
        """The lock of a workload, and the files of its folder that it was read from."""
        python = python_of(image["Dockerfile"].content.decode("utf-8", "replace")) if "Dockerfile" in image else None
        if layer := self._locked(spec.folder, own, spec.command, f"herd lock {spec.name}", python):
            return File(layer.lock, FILE_MODE), layer.files
        layer = self._locked(Path("images") / spec.image, image, (), f"herd image lock {spec.image}", python)
        return File(layer.lock, FILE_MODE) if layer else None, frozenset()

    def _locked(
        self, folder: Path, tree: Tree, command: Sequence[str], again: str, python: tuple[int, int] | None
    ) -> PythonPackages | None:
        if folder not in self._locks:
            files = {path: file.content for path, file in tree.items() if "/" not in path}
            version = self._root / folder / ".python-version"
            try:
                wanted = version.read_text("utf-8")[:100] if version.is_file() and not version.is_symlink() else None
                self._locks[folder] = of_folder(files, command, f"`{again}`", _uv, python, wanted)
            except (NotLocked, UnicodeDecodeError) as error:
                raise StagingError(f"{folder.as_posix()}/{error}") from None
        return self._locks[folder]

    def _check_r(self, spec: WorkloadSpec, image: Tree, own: Tree) -> None:
        """Raises StagingError where an R image's Dockerfile was not written from its lock file."""
        if renv.FILE in own:
            raise StagingError(
                f"{(spec.folder / renv.FILE).as_posix()}: an R workload has the packages of its image, whose "
                f"Dockerfile installs the system libraries for them. Make an image of its own: copy "
                f'images/{spec.image} to images/{spec.name}, move the lock there, write image = "{spec.name}" into '
                f"{(spec.folder / 'workload.toml').as_posix()}, then `herd image lock {spec.name}`"
            )
        self._check_locked(spec.image, image)

    @staticmethod
    def _check_locked(name: str, image: Tree) -> None:
        if renv.FILE not in image or "Dockerfile" not in image:
            return
        folder = f"images/{name}"
        try:
            dockerfile = image["Dockerfile"].content.decode("utf-8", "replace")
            r_image.check(dockerfile, image[renv.FILE].content, name)
        except r_image.OutOfStep as error:
            raise StagingError("\n".join(f"{folder}/{line}" for line in str(error).splitlines())) from None

    def _image(self, image: str) -> Tree:
        """Without image.toml: what it says is in the Dockerfile. Raises StagingError where it is not."""
        tree = self._folder(Path("images") / image)
        problems: list[Problem] = []
        settings = image_settings.read(self._root, image, problems)
        if problems:
            raise StagingError("\n".join(map(str, problems)))
        if why := switches.out_of_step(self._root, image, settings):
            raise StagingError(why)
        return {path: file for path, file in tree.items() if path != image_settings.FILE}

    def _runner(self) -> Tree:
        """Of the installed package, wherever that lies."""
        if RUNNER not in self._read:
            self._read[RUNNER] = {name: _read(path) for name, path in _files(RUNNER, RUNNER, "runner")}
        return self._read[RUNNER]

    def _not_ignored(self, name: Path, paths: list[str]) -> list[str]:
        """The paths that the .dockerignore `name` leaves in, by the matcher that the local cloud builds images with."""
        path = self._root / name
        if path.is_symlink():
            raise StagingError(f"{name.as_posix()}: is a link; put the file itself here")
        if not path.is_file():
            return paths
        from e2b_dockerfile_utils import PatternMatcher  # only for those who have such a file

        try:
            ignored = PatternMatcher(path.read_text("utf-8").splitlines())
        except ValueError as error:
            raise StagingError(f"{name.as_posix()}: {error}") from None
        return [path for path in paths if not ignored.matches(path)]

    def _folder(self, folder: Path) -> Tree:
        if folder not in self._read:
            self._read[folder] = {name: _read(path) for name, path in self._entries(folder)}
        return self._read[folder]

    def _sizes(self, folder: Path) -> dict[str, int]:
        if folder not in self._weighed:
            self._weighed[folder] = {name: path.stat().st_size for name, path in self._entries(folder)}
        return self._weighed[folder]

    def _entries(self, folder: Path) -> Iterator[tuple[str, Path]]:
        path = self._root / folder
        if not path.is_dir():
            raise StagingError(f"{folder.as_posix()}: there is no such folder")
        _check_target(path.resolve(), self._root.resolve(), folder.as_posix())
        return _files(path, self._root.resolve(), folder.as_posix())


def _uv() -> Path | None:
    return uv.find(machine.user_cache())


def _stays(spec: WorkloadSpec, path: str) -> bool:
    """Whether a file of a workload's folder is no part of its image: its settings, its tests, which `herd test` runs,
    and what runs leave for the next one, also where somebody's own run has left it there.
    """
    left = ("workload.toml", "tests", *getattr(spec, "cache", ()))
    return any(path == one or path.startswith(f"{one}/") for one in left)


def _below(folder: str, tree: Tree) -> Tree:
    return {f"{folder}/{path}": file for path, file in tree.items()}


def _files(folder: Path, root: Path, shown: str, within: frozenset[Path] = frozenset()) -> Iterator[tuple[str, Path]]:
    """The files below `folder`. Links inside the checkout are followed; the image gets a copy of what they point at.

    `within` are the real folders on the way down, to notice a link that leads back up.
    """
    within |= {folder.resolve()}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name in NEVER or entry.name.endswith(".pyc"):
            continue
        path, name = Path(entry.path), f"{shown}/{entry.name}"
        if entry.is_symlink():
            _check_link(path.resolve(), root, name, within)
        if entry.is_dir():
            yield from ((f"{entry.name}/{below}", file) for below, file in _files(path, root, name, within))
        elif entry.is_file():
            yield entry.name, path
        else:
            raise StagingError(f"{name}: is neither a file nor a folder; move it out of the folder")


def _read(path: Path) -> File:
    mode = PROGRAM_MODE if path.stat().st_mode & 0o100 else FILE_MODE
    return File(path.read_bytes(), mode)


def _check_target(target: Path, root: Path, shown: str) -> None:
    """`.herd` has the credentials of the local cloud, `.git` and `.env` may have others: no link leads there."""
    if not target.is_relative_to(root):
        raise StagingError(f"{shown}: is a link out of the checkout; copy the file here, or share it through lib/")
    inside = target.relative_to(root)
    if any(part.startswith(".") for part in inside.parts):
        raise StagingError(f"{shown}: is a link to {inside.as_posix()}, and what is hidden is never copied; remove it")


def _check_link(target: Path, root: Path, shown: str, within: frozenset[Path]) -> None:
    _check_target(target, root, shown)
    if any(folder.is_relative_to(target) for folder in within):
        raise StagingError(f"{shown}: is a link to a folder that contains it; remove it")
    if not target.exists():
        raise StagingError(f"{shown}: is a link to nothing; remove it")


def content_hash(tree: Tree) -> str:
    """Of paths, modes and contents; 12 hexadecimal digits."""
    lines = (f"{path}\0{file.mode:o}\0{file.digest}\n" for path, file in sorted(tree.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:HASH_LENGTH]


def write(tree: Tree, context: Path) -> None:
    """Makes `context` hold exactly `tree`. Files that are right already are left alone.

    Whatever else lies there goes first, links included: nothing is ever written through a link.
    """
    files = {context / path: file for path, file in tree.items()}
    lowest = map(PurePosixPath, {posixpath.dirname(path) for path in tree} | set(ALWAYS))
    folders = {context / parent for folder in lowest for parent in (folder, *folder.parents)}
    if context.is_symlink() or not context.is_dir():
        context.unlink(missing_ok=True)
    else:
        _remove_others(context, files, folders)
    for folder in sorted(folders):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(PROGRAM_MODE)
    for path, file in files.items():
        if not _is_right(path, file):
            path.write_bytes(file.content)
            path.chmod(file.mode)
            os.utime(path, (file.time, file.time))


def _is_right(path: Path, file: File) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (
        status.st_mtime == file.time
        and status.st_mode & 0o777 == file.mode
        and status.st_size == len(file.content)
        and path.read_bytes() == file.content
    )


def _remove_others(folder: Path, files: Mapping[Path, File], folders: set[Path]) -> None:
    """Leaves real folders of `folders` and real files of `files` below `folder`, and removes everything else."""
    for entry in os.scandir(folder):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if path in folders:
                _remove_others(path, files, folders)
            else:
                shutil.rmtree(path)
        elif path not in files or not entry.is_file(follow_symlinks=False):
            path.unlink()
