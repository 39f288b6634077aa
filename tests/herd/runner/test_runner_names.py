"""Paths that become keys, keys that become paths, parameters that become variables."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner.contract.documents import File, InputVersion, Version
from herd.runner.contract.keys import BadPath, check_path, check_segment
from herd.runner.contract.variables import in_variable
from herd.runner.storage import content_type
from herd.runner.task import merge_params

BAD = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "./a",
    "a\\b",
    "a\nb",
    "a\0b",
    "\ud800",
    "a\u202eb",
    "x" * 1025,
]


@pytest.mark.parametrize("path", BAD)
def test_bad_paths(path: str) -> None:
    with pytest.raises(BadPath):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["a", "a b/c.d", "größe/日本.txt", "...", "a/..b", ".hidden", "week=01/part-0.parquet", "%2e%2e/x"]
)
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


@given(st.text())
def test_a_path_that_is_accepted_stays_in_its_folder(path: str) -> None:
    try:
        check_path(path)
    except BadPath:
        return
    folder = Path("/some/folder")
    assert (folder / path).resolve().is_relative_to(folder) and (folder / path) != folder
    assert str(PurePosixPath(path)) == path


def test_a_run_id_is_one_part_of_a_key() -> None:
    assert check_segment("2027-01-31T06:00:00Z_a-b") and check_segment("logistic")
    for name in ("a/b", "..", ""):
        with pytest.raises(BadPath):
            check_segment(name)


SEGMENT = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True)
FILES = st.builds(File, st.lists(SEGMENT, min_size=1).map("/".join), st.integers(0), st.none() | st.just("a" * 64))


@given(
    st.builds(
        Version,
        SEGMENT,
        SEGMENT,
        st.just("2027-01-31T06:00:00.000Z"),
        SEGMENT,
        st.none() | st.lists(SEGMENT).map(tuple),
        st.lists(FILES).map(tuple),
        st.lists(st.builds(InputVersion, SEGMENT, SEGMENT)).map(tuple),
        st.none() | SEGMENT,
    )
)
def test_a_manifest_survives_its_file(version: Version) -> None:
    assert Version.from_json(version.to_json()) == version


@pytest.mark.parametrize("text", [b"", b"null", b"{}", b'{"schema": 1}', b'{"schema": 7, "workload": "w"}', b"\xff"])
def test_what_is_not_a_manifest(text: bytes) -> None:
    with pytest.raises(ValueError):
        Version.from_json(text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("w/index.html", "text/html; charset=utf-8"),
        ("w/data.parquet", "application/vnd.apache.parquet"),
        ("w/table.csv", "text/csv; charset=utf-8"),
        ("w/logo.svg", "image/svg+xml"),
        ("w/m.json", "application/json"),
        ("w/archive.tar.gz", "application/octet-stream"),
        ("w/unknown", "application/octet-stream"),
        ("x.html/plain", "application/octet-stream"),
        ("w/data:text/html,x", "application/octet-stream"),
    ],
)
def test_content_types(path: str, expected: str) -> None:
    assert content_type(path) == expected


@pytest.mark.parametrize(
    ("default", "given_value", "expected"),
    [
        (2, "3", 3),
        (2, 3, 3),
        (0.5, "1", 1.0),
        (0.5, 2, 2.0),
        (False, "true", True),
        (True, False, False),
        (True, "FALSE", False),
        ("text", "5", "5"),
        ("text", 5, "5"),
        ("text", True, "true"),
        ("text", "", ""),
    ],
)
def test_parameters_take_the_type_of_their_default(default: object, given_value: object, expected: object) -> None:
    merged = merge_params({"p": default, "q": 1}, json.dumps({"p": given_value}))  # type: ignore[dict-item]
    assert merged == {"p": expected, "q": 1} and type(merged["p"]) is type(expected)


@pytest.mark.parametrize(
    ("default", "given_value"),
    [(2, "x"), (2, 2.5), (2, True), (2, None), (2, [1]), (False, "yes"), (False, 1), (0.5, "a"), ("t", {})],
)
def test_parameters_of_another_type(default: object, given_value: object) -> None:
    with pytest.raises(ValueError, match="parameter p = .*: must be"):
        merge_params({"p": default}, json.dumps({"p": given_value}))  # type: ignore[dict-item]


@given(st.dictionaries(st.sampled_from("abc"), st.booleans() | st.integers() | st.text()), st.text())
def test_no_text_makes_the_parameters_raise_anything_else(defaults: dict[str, bool | int | str], text: str) -> None:
    try:
        merged = merge_params(defaults, text)
    except ValueError:
        return
    assert set(merged) == set(defaults)


def test_variable_names() -> None:
    assert in_variable("delay-model") == "DELAY_MODEL"
