"""Images: built once, found by name and digest, never half there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud.images.context import Context, Item
from localcloud.images.dockerfile import ImageError
from localcloud.images.names import ImageNotFound, split
from localcloud.images.realise import RealiseError, VenvRealiser
from localcloud.images.store import Image, ImageStore

DOCKERFILE = """
FROM scratch
ENV A=1
COPY code /app/
CMD ["sh", "/app/run.sh"]
"""


class Venvs(VenvRealiser):
    """Stands in for uv, which has tests of its own: makes an environment with an interpreter and nothing else."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache, Path("uv"))
        self.made: list[str] = []

    def realise(self, lock_file: Path, on_progress: object = None) -> Path:
        lock = lock_file.read_text()
        if "broken" in lock:
            raise RealiseError("uv said no")
        folder = self.folder(lock)
        if not folder.exists():
            self.made.append(lock)
            (folder / "bin").mkdir(parents=True)
            (folder / "bin/python").symlink_to(sys.executable)
        return folder


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "code").mkdir(parents=True)
    (root / "code/run.sh").write_text("echo hello\n")
    (root / "code/module.py").write_text("x = 1\n")
    (root / "code/wrong.py").write_text("x = \n")
    (root / "Dockerfile").write_text(DOCKERFILE)
    return root


@pytest.fixture
def venvs(tmp_path: Path) -> Venvs:
    return Venvs(tmp_path / "cache")


@pytest.fixture
def store(tmp_path: Path, venvs: Venvs) -> ImageStore:
    return ImageStore(tmp_path / "home", venvs)


def build(store: ImageStore, context: Path) -> Image:
    return store.build(context, context / "Dockerfile", lambda line: None)


def test_an_image_is_built_once(store: ImageStore, context: Path) -> None:
    said: list[str] = []
    image = store.build(context, context / "Dockerfile", said.append)
    assert said == [f"copying files of {image.digest[:19]}"]
    assert image.config.command == ("sh", "/app/run.sh")
    app = image.rootfs / "app"
    assert sorted(path.name for path in app.iterdir()) == ["__pycache__", "module.py", "run.sh", "wrong.py"]
    said.clear()
    assert store.build(context, context / "Dockerfile", said.append) == image
    assert said == []


def test_bytecode_is_laid_beside_modules(store: ImageStore, context: Path) -> None:
    image = build(store, context)
    code = "import module; print(module.__cached__); module.x.nothing"
    ran = subprocess.run(
        [sys.executable, "-v", "-c", code], cwd=image.rootfs / "app", capture_output=True, text=True, check=False
    )
    assert "module.py" in ran.stdout or "module.cpython" in ran.stdout
    assert "# wrote" not in ran.stderr.split("module.py")[-1]
    assert f"code object from '{image.rootfs}/app/__pycache__" in ran.stderr


def test_the_digest_comes_from_the_content(tmp_path: Path, context: Path, venvs: Venvs) -> None:
    first = build(ImageStore(tmp_path / "one", venvs), context).digest
    copy = tmp_path / "elsewhere"
    shutil.copytree(context, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    (copy / "Dockerfile").write_text("# a comment\n" + DOCKERFILE.replace("\n", "\n\n"))
    assert build(ImageStore(tmp_path / "two", venvs), copy).digest == first


CHANGES = [
    ("a file's content", lambda root: (root / "code/run.sh").write_text("echo other\n")),
    ("a file's name", lambda root: (root / "code/run.sh").rename(root / "code/go.sh")),
    ("whether it can be executed", lambda root: (root / "code/run.sh").chmod(0o755)),
    ("an empty folder", lambda root: (root / "code/empty").mkdir()),
    ("the environment", lambda root: (root / "Dockerfile").write_text(DOCKERFILE.replace("A=1", "A=2"))),
    ("what RUN does", lambda root: (root / "Dockerfile").write_text(DOCKERFILE + "RUN apt-get install jq\n")),
    ("the base", lambda root: (root / "Dockerfile").write_text(DOCKERFILE.replace("scratch", "python:3"))),
]


@pytest.mark.parametrize("change", [case[1] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_the_digest_changes_with(store: ImageStore, context: Path, change: object) -> None:
    before = build(store, context).digest
    assert callable(change)
    change(context)
    assert build(store, context).digest != before


def test_arguments_of_the_build_count(store: ImageStore, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nARG V\nRUN use $V\nCMD x")
    one, two = (store.build(context, context / "Dockerfile", print, {"V": v}).digest for v in "12")
    assert one != two


def test_virtual_environments(store: ImageStore, venvs: Venvs, context: Path) -> None:
    (context / "Dockerfile").write_text(
        'FROM scratch\nLABEL localcloud.venv./opt/venv="my.lock"\nCMD ["/opt/venv/bin/x"]'
    )
    (context / "my.lock").write_text("a==1\n")
    image = build(store, context)
    assert (image.rootfs / "opt/venv").resolve() == venvs.folder("a==1\n")
    assert venvs.made == ["a==1\n"]
    (context / "my.lock").write_text("a==2\n")
    assert build(store, context).digest != image.digest
    shutil.rmtree(venvs.folder("a==1\n"))
    store.make_ready(image)
    assert (image.rootfs / "opt/venv/bin/python").exists(), "the image keeps its lock file for an emptied cache"


def test_what_cannot_lie_in_an_environment(store: ImageStore, context: Path) -> None:
    (context / "my.lock").write_text("a==1\n")
    text = 'FROM scratch\nLABEL localcloud.venv./app="my.lock"\nCOPY code /app\nCMD x'
    (context / "Dockerfile").write_text(text)
    with pytest.raises(ImageError, match="/app is a virtual environment named by a label"):
        build(store, context)
    (context / "Dockerfile").write_text('FROM scratch\nLABEL localcloud.venv./v="my.lock"\nCMD x')
    (context / "my.lock").write_text("broken")
    with pytest.raises(ImageError, match="uv said no"):
        build(store, context)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("host:1/a/b:c", ("host:1/a/b", "c", None)),
        ("host:1/a/b", ("host:1/a/b", "latest", None)),
        ("a@sha256:1", ("a", "latest", "sha256:1")),
        ("h/a:t@sha256:1", ("h/a", "t", "sha256:1")),
    ],
)
def test_references(reference: str, parts: tuple[str, str, str | None]) -> None:
    assert split(reference) == parts


def test_names(tmp_path: Path, store: ImageStore, venvs: Venvs, context: Path) -> None:
    image = build(store, context)
    with pytest.raises(ImageNotFound, match="there is no repository host/a"):
        store.resolve("host/a:1")
    with pytest.raises(ImageNotFound):
        store.tag("host/a:1", "sha256:nothing")
    store.tag("host/a:1", image.digest)
    assert store.resolve("host/a:1") == store.resolve(f"host/a@{image.digest}") == image
    assert ImageStore(tmp_path / "home", venvs).resolve("host/a:1") == image, "another process finds it"
    for unknown in ("host/a:2", "host/a@sha256:0", "host/a"):
        with pytest.raises(ImageNotFound):
            store.resolve(unknown)


def test_an_image_goes_with_its_last_name(store: ImageStore, context: Path) -> None:
    image = build(store, context)
    for name in ("host/a:1", "host/a:2", "host/b:1"):
        store.tag(name, image.digest)
    store.remove(f"host/a@{image.digest}")
    with pytest.raises(ImageNotFound):
        store.resolve("host/a:2")
    with store.hold(image):
        store.remove("host/b")
        assert image.rootfs.exists(), "a container runs from it"
    assert not image.folder.exists()
    store.remove("host/b")
    again = build(store, context)
    store.remove("host/b")
    assert again.rootfs.exists(), "built, and about to be named"


def test_a_half_built_image_is_never_used(store: ImageStore, context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Context, item: Item, target: Path, digest: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(ImageError, match="No space left"):
        patched.setattr(Context, "copy", full)
        build(store, context)
    image = build(store, context)
    assert (image.rootfs / "app/run.sh").read_text() == "echo hello\n"
    assert not list(image.folder.parent.glob("*.partial"))


def test_many_at_once(tmp_path: Path, context: Path, venvs: Venvs) -> None:
    stores = [ImageStore(tmp_path / "home", venvs) for _ in range(2)]

    def one(number: int) -> str:
        store = stores[number % 2]
        image = build(store, context)
        store.tag(f"host/a:{number}", image.digest)
        return store.resolve(f"host/a:{number}").digest

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(24)))) == 1
    assert all(stores[0].resolve(f"host/a:{number}") for number in range(24))


def test_a_no_change_build_is_quick(store: ImageStore, context: Path) -> None:
    for number in range(200):
        (context / f"code/{number}.txt").write_text(str(number))
    build(store, context)
    started = time.process_time()
    build(store, context)
    assert time.process_time() - started < 1


def test_problems_of_files(store: ImageStore, tmp_path: Path, context: Path) -> None:
    with pytest.raises(ImageError, match="the build context is not a folder"):
        store.build(tmp_path / "none", context / "Dockerfile", print)
    with pytest.raises(ImageError, match="No such file"):
        store.build(context, context / "Other", print)
    (context / "Dockerfile").write_bytes(b"\xff")
    with pytest.raises(ImageError, match="utf-8"):
        build(store, context)
