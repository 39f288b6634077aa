"""`herd init --from FOLDER` in whatever folder people have: hostile names, broken notebooks, locks of every kind."""

from __future__ import annotations

import ast
import errno
import json
import os
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herd.checkout import adopt
from herd.runner.contract.names import WORKLOAD

HASHED = f"six==1.17.0 \\\n    --hash=sha256:{'47' * 32}\n"


def look(root: Path, files: dict[str, str | bytes]) -> adopt.Adopted:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = adopt.look(root, frozenset())
    is_a_project(result.files)
    return result


def is_a_project(files: dict[str, bytes]) -> None:
    """Each job has settings that can be read, and the program that they name is there and is Python."""
    for path, content in files.items():
        if path.endswith("/workload.toml") and path.count("/") == 2:
            name = path.split("/")[1]
            assert WORKLOAD.fullmatch(name)
            python, script = tomllib.loads(content.decode())["command"]
            assert python == "python"
            ast.parse(files[f"jobs/{name}/{script}"])


def cells(*sources: Any, **metadata: Any) -> str:
    listed = [{"cell_type": "code", "source": source} for source in sources]
    return json.dumps({"cells": listed, "metadata": metadata, "nbformat": 4})


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("a.ipynb", "{", "is no notebook that can be read", id="half a notebook"),
        pytest.param("a.ipynb", "", "is no notebook", id="an empty one"),
        pytest.param("a.ipynb", "[" * 100_000, "is no notebook", id="nested without an end"),
        pytest.param("a.ipynb", '{"cells": [{"cell_type": "code"}]}', "is no notebook", id="a cell without source"),
        pytest.param("a.ipynb", cells([1, 2]), "is no notebook", id="numbers for lines"),
        pytest.param("a.ipynb", cells("x = '\ud800'"), "half a character", id="half a character"),
        pytest.param("a.ipynb", cells("a b c"), "not one program", id="no Python in it"),
        pytest.param("a.ipynb", cells("1", kernelspec={"language": "R"}), "a notebook in R", id="another kernel"),
        pytest.param(
            "a.ipynb", cells("1", language_info={"name": "julia"}), "a notebook in julia", id="another language"
        ),
        pytest.param("a.py", b"\x00\xff", "is not Python", id="bytes for a script"),
        pytest.param("a.py", "(" * 10_000, "is not Python", id="brackets without an end"),
        pytest.param("p/__init__.py", "", "", id="a package is not a script"),
    ],
)
def test_what_cannot_be_read_is_left_and_said(tmp_path: Path, name: str, content: str | bytes, reason: str) -> None:
    result = look(tmp_path, {name: content})
    assert result.files == {} and result.taken == []
    assert [line.startswith(f"{name}: ") and reason in line for line in result.left] == ([True] if reason else [])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"# coding: latin-1\nname = 'caf\xe9'\n", id="an encoding that it declares"),
        pytest.param(b"\xef\xbb\xbfprint('1')\n", id="a byte order mark"),
        pytest.param(b"print('1')\r\n", id="line ends of Windows"),
        pytest.param(rb"print('\d')", id="an escape that Python warns of"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_a_script_is_taken_byte_for_byte(tmp_path: Path, content: bytes) -> None:
    assert look(tmp_path, {"a.py": content}).files["jobs/job-a/a.py"] == content


def test_a_notebook_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    result = look(tmp_path, {"look.ipynb": "\ufeff" + cells("x = '''a  \nb'''\n", "%time x")})
    assert result.files["jobs/look/look.py"].decode().endswith("\n\nx = '''a  \nb'''\n\n# %time x\n")


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=40).filter(lambda text: not set(text) & set("/\0") and not text.startswith(".")))
def test_a_file_of_any_name_becomes_a_job_or_is_left(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, f"{name}.py").write_text("print(1)\n")
        except (OSError, UnicodeEncodeError):
            return
        result = adopt.look(Path(folder), frozenset())
        is_a_project(result.files)
        assert all("\n" not in line for line in (*result.taken, *result.left))
        jobs = [path for path in result.files if path.endswith("workload.toml")]
        assert len(jobs) == (0 if adopt.NO_SCRIPT.fullmatch(f"{name}.py") else 1)
        for path in jobs:
            (Path(folder) / "x").write_bytes(result.files[path])
            assert adopt.came_from(Path(folder) / "x")


@pytest.mark.parametrize(
    "name",
    [
        "Größe & 😀.py",
        "a\nschedule = '* * * * *'.py",
        "a'\"b.py",
        "-rf.py",
        os.fsdecode(b"caf\xe9.py"),
        "\x1b[31mred.py",
    ],
    ids=["emoji", "line break", "quotes", "an option", "not UTF-8", "an escape sequence"],
)
def test_hostile_names_of_scripts_are_given_others(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("print(1)\n")
    result = adopt.look(tmp_path, frozenset())
    is_a_project(result.files)
    (settings_file,) = (content for path, content in result.files.items() if path.endswith("workload.toml"))
    assert set(tomllib.loads(settings_file.decode())) == {"command"}
    assert all(line.isprintable() for line in result.taken)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cells", "source", "metadata", "x"]), inner)
    ),
)


@settings(max_examples=40)
@given(JSON, st.integers(0, 400))
def test_no_notebook_ends_in_a_traceback(value: Any, cut: int) -> None:
    whole = {"cells": [{"cell_type": "code", "source": value}, value], "metadata": value}
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate((json.dumps(value), json.dumps(whole), cells("print(1)")[:cut])):
            Path(folder, f"n{number}.ipynb").write_text(text)
        is_a_project(adopt.look(Path(folder), frozenset()).files)


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs.py").write_text("print(1)\n")
    (elsewhere / "key.csv").write_text("theirs\n")
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "inside/circle").symlink_to(root)
    (root / "itself").symlink_to("itself")
    (root / "other").symlink_to(elsewhere)
    (root / "linked.py").symlink_to(elsewhere / "theirs.py")
    os.mkfifo(root / "pipe.py")
    result = look(root, {"mine.py": "open('other/key.csv'); open('itself/x.csv'); open('inside/circle/data.csv')\n"})
    assert sorted(result.files) == ["jobs/mine/mine.py", "jobs/mine/workload.toml"]
    assert adopt.look(root / "inside/circle/inside/circle", frozenset()).taken == result.taken


def test_what_may_not_be_read_is_left_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    listed, read = Path.iterdir, Path.read_bytes

    def denied(path: Path) -> OSError:
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "closed":
            raise denied(path)
        return listed(path)

    def read_bytes(path: Path) -> bytes:
        if path.name.startswith("mine"):
            raise denied(path)
        return read(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)  # root may read everything
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    result = look(tmp_path, {"mine.py": "1", "mine.ipynb": cells("1"), "requirements.lock": HASHED, "mine.csv": ""})
    assert [line.split(": ")[0] for line in result.left] == ["closed", "mine.ipynb", "mine.py"]
    assert all("Permission denied" in line for line in result.left)


def test_what_is_large_or_a_secret_is_left_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"data/all.parquet": 10_000_001, "huge.py": 50_000_001, "huge.ipynb": 2**40}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    result = look(
        tmp_path,
        {
            "load.py": "open('data/all.parquet'); open('service-account.json'); open('db.key'); open('rows.csv')\n",
            "service-account.json": "{}",
            "db.key": "k",
            "rows.csv": "1\n",
        },
    )
    assert {path for path in result.files if path.startswith("jobs/load/")} == {
        "jobs/load/load.py",
        "jobs/load/rows.csv",
        "jobs/load/workload.toml",
    }
    said = "\n".join(result.left)
    for line in ("data/all.parquet: has more than 10 MB", "huge.py: has more than 50 MB", "huge.ipynb: has more than"):
        assert line in said
    assert "service-account.json: looks like a secret" in said and "db.key: looks like a secret" in said


def test_a_data_file_never_takes_the_place_of_the_jobs_own(tmp_path: Path) -> None:
    result = look(tmp_path, {"load.py": "open('workload.toml')\n", "workload.toml": "command = 'rm -rf /'\n"})
    assert b"rm -rf" not in result.files["jobs/load/workload.toml"]


def test_a_script_takes_the_modules_that_lie_beside_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {}
    for folder in "ab":
        files |= {f"{folder}/run{folder}.py": "import helpers", f"{folder}/helpers.py": f"X = '{folder}'"}
    result = look(tmp_path, files)
    assert result.files["jobs/runa/helpers.py"] == b"X = 'a'" and result.files["jobs/runb/helpers.py"] == b"X = 'b'"
    assert not [path for path in result.files if path.startswith("jobs/helpers")]


def test_a_second_look_takes_what_is_new(tmp_path: Path) -> None:
    first = look(tmp_path / "theirs", {"clean.py": "print(1)\n"})
    for path, content in first.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "theirs/later.py").write_text("print(2)\n")
    before = frozenset(adopt.came_from(path) for path in tmp_path.glob("jobs/*/workload.toml"))
    second = adopt.look(tmp_path / "theirs", frozenset({"clean"}), before)
    assert {path.split("/")[1] for path in second.files} == {"later"}
    assert second.left == ["clean.py: a job was made of it before"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("requirements.txt", HASHED, "-> images/python/requirements.lock", id="hashed requirements"),
        pytest.param(
            "requirements.lock", HASHED.replace("\n", "\r\n"), "-> images/python", id="with line ends of Windows"
        ),
        pytest.param("requirements.txt", HASHED.encode("utf-16"), "-> images/python", id="as PowerShell writes them"),
        pytest.param("requirements.txt", "six\n", "without hashes; `uv pip compile requirements.txt", id="names alone"),
        pytest.param("requirements.txt", "six==1.17.0\n", "without hashes", id="versions without hashes"),
        pytest.param("requirements.txt", f"-r base.txt\n{HASHED}", "without hashes", id="another file's"),
        pytest.param("requirements.txt", f"-e .\n{HASHED}", "without hashes", id="a folder's"),
        pytest.param("requirements.txt", b"six==1 # \xe9", "is no text in UTF-8", id="of another encoding"),
        pytest.param("requirements.txt", "", "without hashes", id="empty"),
        pytest.param("requirements mine.txt", "six\n", "compile 'requirements mine.txt' ", id="a name with a space"),
        pytest.param("uv.lock", "version = 1\n", "put both into images/python", id="uv's"),
        pytest.param("poetry.lock", "", "poetry export", id="Poetry's"),
        pytest.param("Pipfile.lock", "{}", "pipenv requirements --hash", id="Pipenv's"),
        pytest.param("pdm.lock", "", "pdm export", id="PDM's"),
        pytest.param("pylock.toml", "", "uv pip compile pylock.toml", id="the standard's"),
        pytest.param("renv.lock", "{}", "packages of R", id="renv's"),
        pytest.param("environment.yml", "", "conda's", id="conda's"),
        pytest.param("conda-lock.yml", "", "conda's", id="conda-lock's"),
    ],
)
def test_lock_files_of_every_kind(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    result = look(tmp_path, {name: content})
    assert said in "".join((*result.taken, *result.left))
    if result.taken:
        assert result.files["images/python/requirements.lock"] == HASHED.encode()
        assert result.files["images/python/requirements.in"] == b"six==1.17.0\n"
    else:
        assert result.files == {}


def test_names_of_jobs_are_unique_and_allowed() -> None:
    taken: set[str] = set()
    for stem in ("Clean Orders", "clean_orders", "2024", "x", "ä", "a" * 60):
        name = adopt._name(stem, taken)
        assert WORKLOAD.fullmatch(name), name
        assert name not in taken
        taken.add(name)
