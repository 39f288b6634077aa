"""`herd image lock`: writes the lock and the marked lines of the Dockerfile, and says what is different."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from herd.checkout.find import Checkout
from herd.deploy import image_locks
from herd.errors import HerdError, WrongInput
from herd.infra.images import r_image
from tests.herd.command_line import invoke
from tests.herd.packages import repository

DOCKERFILE = "FROM ${BASE} AS system\nRUN echo by hand\n"
CURL = {"Package": "curl", "Version": "6.2.1", "SystemRequirements": "libcurl"}
XML2 = {"Package": "xml2", "Version": "1.3.8", "SystemRequirements": "libxml2, libfrobnicate"}
ODD = {"Package": "odd", "Version": "1.0", "SystemRequirements": "libfrobnicate"}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "images/r").mkdir(parents=True)
    (tmp_path / "images/r/Dockerfile").write_text(DOCKERFILE)
    return Checkout(tmp_path, tmp_path / "cache")


def write_lock(checkout: Checkout, url: str, *packages: dict[str, str]) -> Path:
    records = {
        one["Package"]: {"Package": one["Package"], "Version": one["Version"], "Source": "Repository"}
        for one in packages
    }
    path = checkout.root / "images/r/renv.lock"
    repositories = [{"Name": "CRAN", "URL": url}]
    path.write_text(json.dumps({"R": {"Version": "4.5.1", "Repositories": repositories}, "Packages": records}))
    return path


def lock(checkout: Checkout, upgrade: bool = False) -> image_locks.LockedImage:
    return image_locks.lock(checkout, image_locks.folder(checkout, "r"), upgrade)


def test_renvs_own_lock_stays_and_the_dockerfile_follows(checkout: Checkout) -> None:
    with repository.serving(repository.files([CURL, XML2])) as url:
        path = write_lock(checkout, url, CURL)
        before = path.read_bytes()
        locked = lock(checkout)
        again = lock(checkout)
    dockerfile = checkout.root / "images/r/Dockerfile"
    assert path.read_bytes() == before
    assert locked.difference == ["+ libcurl4-openssl-dev"]
    assert locked.written == [dockerfile]
    assert (again.difference, again.written) == ([], [])
    r_image.check(dockerfile.read_text(), before, "r")


def test_a_description_decides_what_is_locked(checkout: Checkout) -> None:
    (checkout.root / "images/r/DESCRIPTION").write_text("Title: x\nImports:\n    xml2,\n    odd\n")
    with repository.serving(repository.files([CURL, XML2, ODD])) as url:
        write_lock(checkout, url, CURL, {**XML2, "Version": "1.3.7"})
        locked = lock(checkout, upgrade=True)
    assert locked.difference == ["- curl 6.2.1", "+ odd 1.0", "~ xml2 1.3.7 -> 1.3.8", "+ libxml2-dev"]
    assert [path.name for path in locked.written] == ["renv.lock", "Dockerfile"]
    assert locked.notes == [
        "odd asks the system for 'libfrobnicate', which no rule knows; if it is a library, install it in the Dockerfile"
    ]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("renv.lock", "{}", "images/r/renv.lock: R: is missing"),
        ("Dockerfile", "RUN true\n", "images/r/Dockerfile: has no FROM"),
        ("Dockerfile", "# >>> herd r-base\nFROM x\n", "images/r/Dockerfile: line 1: a mark of Herd was changed"),
        ("Dockerfile", "ARG BASE=x\nFROM x\n", "images/r/Dockerfile: ARG DISTRIBUTION is missing"),
        ("DESCRIPTION", "Imports: nosuchpackage\n", "images/r/renv.lock: DESCRIPTION needs nosuchpackage, which no"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    checkout: Checkout, file: str, content: str, message: str
) -> None:
    with repository.serving(repository.files([CURL])) as url:
        write_lock(checkout, url, CURL)
        (checkout.root / "images/r" / file).write_text(content)
        before = {path: path.read_bytes() for path in (checkout.root / "images/r").iterdir()}
        with pytest.raises(WrongInput) as refused:
            lock(checkout)
    assert message in str(refused.value)
    assert {path: path.read_bytes() for path in (checkout.root / "images/r").iterdir()} == before


def test_a_repository_that_does_not_answer(checkout: Checkout) -> None:
    with repository.serving({}) as gone:
        pass
    write_lock(checkout, gone, CURL)
    with pytest.raises(HerdError, match=r"CRAN \(http://127.0.0.1:\d+\) cannot be reached: .*; nothing was written"):
        lock(checkout)


def test_an_image_that_is_not_there(checkout: Checkout) -> None:
    with pytest.raises(WrongInput, match="no image 'rr'; did you mean 'r'?"):
        image_locks.folder(checkout, "rr")


def test_an_image_without_packages(checkout: Checkout) -> None:
    with pytest.raises(WrongInput, match="images/r: has no packages to lock"):
        lock(checkout)


def test_a_lock_that_fails_leaves_the_switches_unwritten_too(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that nothing was written."""
    monkeypatch.setenv("HERD_CHECKOUT", str(checkout.root))
    (checkout.root / "Pulumi.yaml").write_text("name: flights\n")
    (checkout.root / "images/r/image.toml").write_text('apt = ["libgdal-dev"]\n')
    with repository.serving({}) as gone:
        pass
    write_lock(checkout, gone, CURL)
    before = {path: path.read_bytes() for path in (checkout.root / "images/r").iterdir()}
    done = invoke("image", "lock", "r")
    assert done.exit_code == 1 and "nothing was written" in done.stderr
    assert {path: path.read_bytes() for path in (checkout.root / "images/r").iterdir()} == before
