"""The images of a local cloud: built from a Dockerfile, kept by digest, found by name.

    <home>/images/<digest>/image.json      what the image says about starting it
                           rootfs/         the files that COPY laid
                           locks/ venvs/   its lock files; links to the environments made from them
    <home>/images/names.json               repository → tags and digests

A digest depends on the content of what was copied, on the instructions and build arguments, and on the lock files; not
on times, owners or the place of the context. An image appears by one rename, so a half-built one is never seen.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import py_compile
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcloud import atomic

from .context import Context, ContextError
from .dockerfile import ImageError, parse
from .names import ImageNotFound as ImageNotFound
from .names import Names
from .plan import Config, Plan, plan
from .realise import RealiseError, VenvRealiser, lock_hash
from .tree import File, Folder, Link, TreeError, Venv

log = logging.getLogger(__name__)

_FORMAT = 1
"""Part of every digest: raise it when the same Dockerfile and files become a different image."""

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"

_TIME = 946684800
"""Every copied file's time: 1 January 2000, which all archive formats can hold."""


@dataclass(frozen=True)
class Image:
    """An image that is there. Paths in `config` are the image's; `rootfs` is where they lie on this machine."""

    digest: str
    folder: Path
    config: Config
    venvs: Mapping[str, str]
    not_exercised: tuple[str, ...]

    @property
    def manifest(self) -> str:
        """What a registry would have of it: no layers, as the files lie here already."""
        config = {"digest": self.digest}
        return json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []})

    @property
    def rootfs(self) -> Path:
        """The folder that stands for the image's `/`. Its containers share it: by convention nothing writes there."""
        return self.folder / "rootfs"


class ImageStore:
    """Builds, names, finds and removes images. Safe with several threads and several processes."""

    def __init__(self, home: Path, realiser: VenvRealiser) -> None:
        self._folder = home.absolute() / "images"
        self._names = Names(self._folder)
        self._realiser = realiser
        self._lock = threading.RLock()
        self._loaded: dict[str, Image] = {}
        self._unnamed: set[str] = set()
        self._held: Counter[str] = Counter()

    def build(
        self,
        context: Path,
        dockerfile: Path,
        on_progress: Callable[[str], None],
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        platform: str | None = None,
        network: str | None = None,
    ) -> Image:
        """The image of a Dockerfile, built if it is not there. Its `platform` is this machine's, and nothing of it has
        a network of its own.

        Raises `ImageError` with all problems in words for a person.
        """
        try:
            seen = Context(context, dockerfile)
            text = dockerfile.read_text(encoding="utf-8")
            planned = plan(parse(text, build_args), seen, target)
            locks = {path: (seen.root / item.path) for path, item in planned.venvs.items()}
            contents = {path: lock.read_text(encoding="utf-8") for path, lock in locks.items()}
            for path, content in contents.items():
                planned.tree.put_venv(path, lock_hash(content))
            digest = _digest(planned)
            with self._lock:
                self._unnamed.add(digest)
            with self._locked():
                if not self._is_whole(digest):
                    on_progress(f"copying files of {digest[:19]}")
                    self._write(digest, planned, contents, seen)
                    for line in planned.not_exercised:
                        on_progress(f"not exercised without Docker: {line}")
            image = self._load(digest)
            self.make_ready(image, on_progress)
        except (ContextError, TreeError, RealiseError, OSError, UnicodeDecodeError) as error:
            raise ImageError([str(error)]) from error
        return image

    def make_ready(self, image: Image, on_progress: Callable[[str], None] = log.info) -> None:
        """See to it that the image's virtual environments are there, though the cache they lie in may be emptied."""
        for content in set(image.venvs.values()):
            link = image.folder / "venvs" / content
            self._realiser.note_use(link)
            if (link / "bin" / "python").exists():
                continue
            made = self._realiser.realise(image.folder / "locks" / content / "requirements.lock", on_progress)
            spare = link.with_name(f"{content}.{threading.get_ident()}")
            spare.unlink(missing_ok=True)
            spare.symlink_to(made)
            spare.replace(link)

    def tag(self, reference: str, digest: str) -> None:
        """Name an image: `repository:tag`. The repository then also knows it by its digest.

        With `repository@digest` no tag moves.
        """
        if not (self._path(digest) / "image.json").exists():
            raise ImageNotFound(digest)
        self._names.add(reference, digest)
        with self._lock:
            self._unnamed.discard(digest)

    def resolve(self, reference: str) -> Image:
        """The image of `repository:tag` or `repository@sha256:…`. Raises `ImageNotFound`."""
        return self._load(self._names.find(reference))

    def has(self, reference: str) -> bool:
        """Is there an image of this name, with its files?"""
        try:
            self.resolve(reference)
        except ImageNotFound:
            return False
        return True

    def remove(self, reference: str) -> None:
        """Forget a repository, or one tag or digest of it; an image that nothing names any more goes.

        An image that a container runs from goes when the container has ended. What is not there is no error.
        """
        for digest in self._names.remove(reference):
            self._remove_unless_used(digest)

    @contextmanager
    def hold(self, image: Image) -> Iterator[None]:
        """Keep an image's files while a container runs from them."""
        with self._lock:
            self._held[image.digest] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[image.digest] -= 1
            self._remove_unless_used(image.digest)

    def _remove_unless_used(self, digest: str) -> None:
        with self._lock, self._locked():
            if (
                self._names.has(digest)
                or self._held[digest]
                or digest in self._unnamed
                or not self._path(digest).exists()
            ):
                return
            self._loaded.pop(digest, None)
            shutil.rmtree(self._path(digest))

    def _write(self, digest: str, planned: Plan, locks: Mapping[str, str], context: Context) -> None:
        final = self._path(digest)
        partial = final.with_name(f"{final.name}.partial")
        if partial.exists():
            shutil.rmtree(partial)
        rootfs = partial / "rootfs"
        (partial / "venvs").mkdir(parents=True)
        for content in locks.values():
            folder = partial / "locks" / lock_hash(content)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "requirements.lock").write_text(content, encoding="utf-8")
        _write_tree(planned, context, rootfs, final / "rootfs")
        description = {
            "digest": digest,
            "config": asdict(planned.config),
            "venvs": {path: lock_hash(content) for path, content in locks.items()},
            "not_exercised": planned.not_exercised,
        }
        atomic.write(partial / "image.json", json.dumps(description, indent=1))
        if final.exists():
            shutil.rmtree(final)  # of which the description was lost
        partial.rename(final)

    def _load(self, digest: str) -> Image:
        with self._lock:
            if digest not in self._loaded:
                folder = self._path(digest)
                try:
                    said: dict[str, Any] = json.loads((folder / "image.json").read_text(encoding="utf-8"))
                except (FileNotFoundError, ValueError) as error:
                    raise ImageNotFound(f"{digest}: its files are gone; build it again") from error
                fields: dict[str, Any] = {
                    name: tuple(value) if isinstance(value, list) else value for name, value in said["config"].items()
                }
                left_out = tuple(said["not_exercised"])
                self._loaded[digest] = Image(digest, folder, Config(**fields), said["venvs"], left_out)
            return self._loaded[digest]

    def _is_whole(self, digest: str) -> bool:
        """Is it there, with a description that a power cut has not emptied?"""
        try:
            self._load(digest)
        except ImageNotFound:
            return False
        return True

    def _path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "images.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _digest(planned: Plan) -> str:
    files: list[list[Any]] = []
    for path, entry in planned.tree.items():
        match entry:
            case File(_, digest, mode):
                files.append([path, "file", digest, mode])
            case Link(target):
                files.append([path, "link", target])
            case Venv(lock):
                files.append([path, "venv", lock])
            case Folder():
                files.append([path, "folder"])
    whole = {"format": _FORMAT, "files": files, "config": asdict(planned.config), "recipe": planned.recipe}
    return "sha256:" + hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _write_tree(planned: Plan, context: Context, rootfs: Path, final: Path) -> None:
    rootfs.mkdir()
    for path, entry in planned.tree.items():
        place = rootfs / path.lstrip("/")
        match entry:
            case Folder():
                place.mkdir(exist_ok=True)
            case File(item, digest, mode):
                context.copy(item, place, digest)
                place.chmod(mode)
                os.utime(place, (_TIME, _TIME))
                if place.suffix == ".py":
                    _compile(place, final / path.lstrip("/"))
            case Link(target):
                place.symlink_to(target)
            case Venv(lock):
                # Through the image's own link, which can be laid anew when the cache moves.
                place.symlink_to(os.path.relpath(rootfs.parent / "venvs" / lock, place.parent))


def _compile(source: Path, final: Path) -> None:
    """Lay bytecode beside a module, so that no container has to. A module that does not compile says so when run."""
    with suppress(py_compile.PyCompileError, OSError, ValueError):
        py_compile.compile(str(source), dfile=str(final), doraise=True, quiet=1)
