"""`herd try` for R: with this machine's R where its version fits the lock, else by Docker, else a sentence."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from herd.checkout import scaffold
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.infra.spec.load import JobSpec
from herd.runs import try_r

SPEC = JobSpec(
    name="new-one",
    folder=Path("jobs/new-one"),
    image="r",
    owner="a@example.com",
    review_by=date(2027, 6, 30),
    command=("Rscript", "main.R"),
)

# Stands in for R: it says its version, and installs by noting that it was asked to.
RSCRIPT = """\
#!/bin/sh
case "$*" in
*getRversion*) printf %s "{version}" ;;
*install.R*) shift 2; echo "$2" >> "{asked}"; {install} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root = tmp_path / "project"
    root.mkdir()
    (root / ".venv").symlink_to(sys.prefix)
    (root / "Pulumi.yaml").write_text("name: flights\n")
    checkout = Checkout(root, tmp_path / "cache")
    scaffold.create(checkout, "job", "new-one", "r")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-daemon.sock")
    return checkout


def rscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, install: str = 'mkdir -p "$2"') -> Path:
    """Puts the stand-in first on PATH; the file in which it notes the libraries that it was to make."""
    asked = tmp_path / "asked"
    asked.touch()
    program = tmp_path / "bin/Rscript"
    program.parent.mkdir(exist_ok=True)
    program.write_text(RSCRIPT.format(version=version, asked=asked, install=install))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return asked


def test_this_machines_r_gets_the_packages_of_the_lock_once(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = rscript(tmp_path, monkeypatch, "4.5.3")
    first, second = (try_r.way(checkout, "dev", SPEC) for _ in range(2))
    assert isinstance(first, dict) and first == second
    assert Path(first["R_LIBS"]).is_dir() and Path(first["R_LIBS"]).is_relative_to(checkout.cache)
    assert first["PATH"].startswith(f"{tmp_path}/bin:")
    assert len(asked.read_text().splitlines()) == 1


def test_an_installation_that_fails_leaves_nothing_and_says_what_is_missing(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "* installing *source* package 'xml2' ...\nx.h:4:10: fatal error: libxml/tree.h: No such file or directory"
    rscript(tmp_path, monkeypatch, "4.5.0", f'mkdir -p "$2"; printf "%s\\n" "{said}"; exit 1')
    with pytest.raises(HerdError) as failed:
        try_r.way(checkout, "dev", SPEC)
    assert "the R package xml2 could not be installed: the header libxml/tree.h is missing" in str(failed.value)
    rscript(tmp_path, monkeypatch, "4.5.0")
    assert isinstance(try_r.way(checkout, "dev", SPEC), dict)


@pytest.mark.parametrize(
    ("version", "words"),
    [("4.2.2", "new-one is for R 4.5, this machine has R 4.2.2"), ("", "new-one is for R 4.5, this machine has no R")],
)
def test_neither_r_nor_docker(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, words: str
) -> None:
    rscript(tmp_path, monkeypatch, version)
    with pytest.raises(HerdError) as failed:
        try_r.way(checkout, "dev", SPEC)
    assert str(failed.value).startswith(f"{words}, and Docker, which could run its image, is not there:\n")


def test_an_image_out_of_step_is_not_tried(checkout: Checkout) -> None:
    lock = checkout.root / "images/r/renv.lock"
    lock.write_text(lock.read_text().replace('"Version": "4.5.0"', '"Version": "4.5.1"'))
    with pytest.raises(WrongInput, match="images/r/Dockerfile: the block r-base is not as it was written"):
        try_r.way(checkout, "dev", SPEC)


def test_only_images_with_a_lock_of_rs(checkout: Checkout) -> None:
    assert try_r.is_r(checkout, SPEC)
    assert not try_r.is_r(checkout, replace_image(SPEC, "python"))


def replace_image(spec: JobSpec, image: str) -> JobSpec:
    return spec.model_copy(update={"image": image})


def test_in_a_container_no_value_stands_on_the_command_line(tmp_path: Path) -> None:
    image = try_r.InContainer("/usr/bin/docker", "herd-try/flights-new-one", tmp_path)
    command, variables = image.around({"KEY": "geheim", "HOME": "/home/ann"}, [tmp_path / "try"])
    assert "geheim" not in " ".join(command) and variables["KEY"] == "geheim"
    assert command[-1] == "herd-try/flights-new-one" and "HOME=/tmp" in command
    assert f"type=bind,src={tmp_path},dst={tmp_path},readonly" in command
    assert f"type=bind,src={tmp_path}/try,dst={tmp_path}/try" in command
