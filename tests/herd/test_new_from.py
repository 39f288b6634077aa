"""`herd new job NAME --from FILE`: what is copied, which packages it lacks, which paths will not be there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from herd.checkout.find import Checkout
from herd.checkout.from_file import Taken, take
from herd.errors import WrongInput
from herd.infra.spec.load import load_specs


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "somewhere"
    folder.mkdir()
    return folder


def taken(checkout: Checkout, work: Path, name: str, text: str | bytes) -> Taken:
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return take(checkout, "clean", path)


def notebook(*cells: str) -> str:
    made = [{"cell_type": "code", "source": cell} for cell in cells]
    return json.dumps({"metadata": {}, "cells": made, "nbformat": 4})


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        pytest.param("import os, json\nfrom pathlib import Path", [], id="what comes with Python"),
        pytest.param("import nosuchthing", ["nosuchthing"], id="a package"),
        pytest.param("import cv2, bs4.element", ["beautifulsoup4", "opencv-python-headless"], id="of other names"),
        pytest.param("from google.cloud import storage", ["google-cloud-storage"], id="one of many below a name"),
        pytest.param("import sklearn.linear_model as lm\nimport pandas", [], id="what the image has"),
        pytest.param("from . import other", [], id="relative"),
        pytest.param("try:\n    import nosuchthing\nexcept ImportError:\n    pass", ["nosuchthing"], id="tried"),
        pytest.param("import features", [], id="a folder of lib/"),
        pytest.param("import helper", [], id="a module beside it"),
        pytest.param("# import nosuchthing\ns = 'import that'", [], id="a comment and a text"),
    ],
)
def test_packages_that_the_image_has_not(checkout: Checkout, work: Path, code: str, packages: list[str]) -> None:
    (checkout.root / "lib/features").mkdir()
    (work / "helper.py").write_text("import json\n")
    assert taken(checkout, work, "clean.py", code).packages == packages


def test_what_lies_beside_it_comes_along(checkout: Checkout, work: Path) -> None:
    (checkout.root / "lib/features").mkdir()
    (work / "helper.py").write_text("import nosuchthing\n")
    (work / "codes.csv").write_text("a,b\n")
    script = taken(checkout, work, "clean.py", "import helper, features\nopen('codes.csv')\n")
    assert script.files.keys() == {"clean.py", "helper.py", "codes.csv"}
    assert script.packages == ["nosuchthing"] and script.notes == []
    assert 'command = ["python", "clean.py"]' in script.settings and 'uses = ["features"]' in script.settings


@pytest.mark.parametrize(
    ("code", "noted"),
    [
        pytest.param("open('/home/ann/x.csv')", "'/home/ann/x.csv' is a path of this machine", id="a home"),
        pytest.param("open('~/x.csv')", "'~/x.csv' is a path of this machine", id="a tilde"),
        pytest.param("open(r'C:\\Users\\ann\\x.csv')", "is a path of this machine", id="Windows"),
        pytest.param(r"open('\\\\server\\share\\x')", "is a path of this machine", id="a share"),
        pytest.param("f(\n  x,\n  'sales.parquet')", "line 3: 'sales.parquet' does not come with it", id="a file"),
        pytest.param("open('../up/x.xlsx')", "'../up/x.xlsx' does not come with it", id="outside"),
        pytest.param("open('outputs/x.csv', 'w')", "", id="what it writes"),
        pytest.param("open('inputs/load/x.csv')", "", id="what it reads"),
        pytest.param("open('/tmp/x')\n'/health'\n'https://e.example/a.csv'\n'a sentence. With json.'", "", id="others"),
    ],
)
def test_paths_that_will_not_be_there(checkout: Checkout, work: Path, code: str, noted: str) -> None:
    notes = taken(checkout, work, "clean.py", code).notes
    assert len(notes) == bool(noted) and all(noted in note for note in notes), notes


def test_a_notebook_becomes_its_code_cells(checkout: Checkout, work: Path) -> None:
    made = taken(checkout, work, "My Clean.ipynb", notebook("%matplotlib inline\nimport cv2", "open('/data/x.csv')"))
    (script,) = made.files
    assert b"import cv2" in made.files[script] and b"# %matplotlib inline" in made.files[script]
    assert made.packages == ["opencv-python-headless"] and "'/data/x.csv' is a path" in made.notes[0]


def test_r(checkout: Checkout, work: Path) -> None:
    code = 'library(dplyr)\nrequire("sf")\nstats::sd(1)\n# library(no)\nx <- read.csv("C:/data/x.csv")\n'
    code += 'glue::glue("{x}")\n'
    made = taken(checkout, work, "clean.R", code)
    assert made.files.keys() == {"main.R"} and made.language == "r"
    assert "no R package dplyr, glue, sf" in made.notes[0]
    assert "main.R, line 5: 'C:/data/x.csv' is a path of this machine" in made.notes[1]


def test_a_folder(checkout: Checkout, work: Path) -> None:
    for path in ("clean.py", "parts/one.py", "codes.csv", ".hidden", "venv/pyvenv.cfg", "venv/big.py", "key.pem"):
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text("import parts.one\n" if path == "clean.py" else "")
    (work / "link.csv").symlink_to("/etc/passwd")
    made = take(checkout, "clean", work)
    assert made.files.keys() == {"clean.py", "parts/one.py", "codes.csv"}
    assert 'command = ["python", "clean.py"]' in made.settings and made.packages == []
    assert "key.pem" in made.notes[0]


def test_what_is_no_program_is_refused(checkout: Checkout, work: Path) -> None:
    (work / "a.py").write_text("")
    (work / "b.py").write_text("")
    (work / "empty").mkdir()
    os.mkfifo(work / "pipe")
    for name, words in (
        ("gone.py", "cannot be read"),
        ("pipe", "is no file and no folder"),
        (".", "which of a.py, b.py is run?"),
        ("empty", "has no script at its top"),
    ):
        with pytest.raises(WrongInput, match=words.replace("?", r"\?")):
            take(checkout, "clean", work / name)
    for name, text, words in (
        ("bad.py", "def (:", "is not Python that can be read"),
        ("bad.ipynb", "{", "is no notebook that can be read"),
        ("data.csv", "a,b", "is no script and no notebook"),
    ):
        with pytest.raises(WrongInput, match=words):
            taken(checkout, work, name, text)


def test_the_command_makes_a_job_that_is_valid(cli: Any, root: Path, work: Path) -> None:
    (work / "clean.py").write_text("print('clean')\n")
    done = cli("new", "job", "clean", "--from", str(work / "clean.py"))
    assert done.exit_code == 0, done.stderr
    assert (root / "jobs/clean/clean.py").read_text() == "print('clean')\n"
    assert load_specs(root, "dev").workloads["clean"].command == ("python", "clean.py")
    again = cli("new", "job", "clean", "--from", str(work / "clean.py"))
    assert again.exit_code == 2 and "already there" in again.stderr
    page = cli("new", "report", "page", "--from", str(work / "clean.py"))
    assert page.exit_code == 2 and "--from makes jobs" in page.stderr
    other = cli("new", "job", "other", "--language", "r", "--from", str(work / "clean.py"))
    assert other.exit_code == 2 and "is written in python" in other.stderr


def test_without_a_network_it_says_how_to_lock(
    cli: Any, root: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    (work / "clean.py").write_text("import nosuchthing_of_herd\n")
    done = cli("new", "job", "clean", "--from", str(work / "clean.py"))
    assert done.exit_code == 0
    assert (root / "jobs/clean/requirements.in").read_text() == "nosuchthing_of_herd\n"
    assert "uv could not lock it" in done.stderr and "`herd lock clean`" in done.stderr
