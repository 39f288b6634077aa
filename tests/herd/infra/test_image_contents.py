"""Why an image is built again: what is written down of one, and what is different in another."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra.images.build_context import FILE_MODE, PROGRAM_MODE, File, Tree, content_hash
from herd.infra.images.contents import MOST_FILES, Contents, reasons

FILES = {
    "Dockerfile": "ARG BASE=python:3.13.1@sha256:"
    + "a" * 64
    + "\nFROM ${BASE} AS deps\nFROM deps AS x\nFROM ${BASE}\n",
    "requirements.lock": "pandas==2.2.0 --hash=sha256:aa\nsix==1.17.0 --hash=sha256:bb\n",
    "workload/main.py": "print(1)\n",
    "lib/features/days.py": "",
    "runner/main.py": "",
}


def tree(changes: dict[str, str | None] | None = None) -> Tree:
    files = {**FILES, **(changes or {})}
    return {path: File(text.encode(), FILE_MODE) for path, text in files.items() if text is not None}


def why(changes: dict[str, str | None]) -> list[str]:
    return reasons(Contents.of(tree()), Contents.of(tree(changes)), "jobs/load", "geo")


R_LOCK = {"R": {"Version": "4.5.0"}, "Packages": {"curl": {"Package": "curl", "Version": "5.2.0"}}}
DOCKERFILE = FILES["Dockerfile"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"workload/main.py": "print(2)\n"}, ["jobs/load/main.py changed"]),
        ({"workload/new.py": ""}, ["jobs/load/new.py is new"]),
        ({"workload/main.py": None}, ["jobs/load/main.py is gone"]),
        ({"lib/features/days.py": "x"}, ["lib/features/days.py changed"]),
        ({"runner/main.py": "x", "runner/b.py": "y"}, ["Herd's runner, which comes with Herd, changed"]),
        (
            {"requirements.lock": "pandas==2.3.0 --hash=sha256:cc\nnumpy==2.0 --hash=sha256:dd\n"},
            ["package + numpy 2.0", "package ~ pandas 2.2.0 -> 2.3.0", "package - six 1.17.0"],
        ),
        ({"requirements.lock": FILES["requirements.lock"].replace("aa", "ee")}, ["the lock of its packages changed"]),
        (
            {"Dockerfile": DOCKERFILE.replace("3.13.1@sha256:a", "3.13.2@sha256:b")},
            [
                "base python:3.13.1@aaaaaaaaaaaa -> python:3.13.2@baaaaaaaaaaa",
                "images/geo/Dockerfile changed",
            ],
        ),
        ({"Dockerfile": DOCKERFILE + "RUN x\n"}, ["images/geo/Dockerfile changed"]),
        (
            {"renv.lock": json.dumps(R_LOCK)},
            ["package + curl 5.2.0", "package + R 4.5.0"],
        ),
    ],
)
def test_the_reasons(changes: dict[str, str | None], expected: list[str]) -> None:
    assert why(changes) == expected


def test_a_file_that_can_be_run_now_is_another() -> None:
    after = {**tree(), "workload/main.py": File(b"print(1)\n", PROGRAM_MODE)}
    assert reasons(Contents.of(tree()), Contents.of(after), "jobs/load", "geo") == ["jobs/load/main.py changed"]


def test_the_document_is_small_and_read_again() -> None:
    many = tree({f"workload/data/{number % 50}/{number}.csv": str(number) for number in range(20_000)})
    contents = Contents.of(many)
    assert len(contents.files) <= MOST_FILES and len(json.dumps(contents.as_json())) < 200_000
    assert Contents.from_json(json.loads(json.dumps(contents.as_json()))) == contents
    after = Contents.of({**many, "workload/data/7/7.csv": File(b"other", FILE_MODE)})
    assert reasons(contents, after, "jobs/load", "geo") == ["jobs/load/data/7/ changed"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"commit": "a" * 40, "changed": False},
        {"files": [], "packages": {}, "bases": []},
        {"files": {"a": 1}, "packages": {}, "bases": []},
        {"files": {"a": "1"}, "packages": {"b": None}, "bases": []},
        {"files": {"a": "1"}, "packages": {}, "bases": [1]},
        {"files": {}, "packages": {}, "bases": []},
    ],
)
def test_another_document_says_nothing(value: dict[str, object]) -> None:
    assert Contents.from_json(value) is None


TREES = st.dictionaries(
    st.sampled_from(
        ["Dockerfile", "renv.lock", "requirements.lock", "workload/a", "workload/b/c", "runner/x", "lib/y/z"]
    ),
    st.sampled_from([b"", b"a", b"FROM x", b"a==1 --hash=x", b"{}", b'{"Packages": 1}', b"\xff"]),
    min_size=1,
).map(lambda files: {path: File(content, FILE_MODE) for path, content in files.items()})


@given(TREES, TREES)
def test_there_is_a_reason_exactly_where_the_hash_differs(before: Tree, after: Tree) -> None:
    said = reasons(Contents.of(before), Contents.of(after), "jobs/load", "geo")
    assert bool(said) == (content_hash(before) != content_hash(after))
