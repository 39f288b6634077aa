"""renv.lock: what is read, what is refused and with which words, and that what is written is read again."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.packages import renv
from herd.packages.renv import LockError, Need

CURL = {"Package": "curl", "Version": "6.2.1", "Source": "Repository", "Repository": "CRAN"}


def lock(packages: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    repositories = [{"Name": "CRAN", "URL": "https://cran.example.com/"}]
    return {
        "R": {"Version": "4.5.1", "Repositories": repositories},
        "Packages": {"curl": CURL} if packages is None else packages,
        **more,
    }


def read(content: Any) -> renv.Lock:
    return renv.read(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_a_lock_of_an_older_renv() -> None:
    package = {**CURL, "Hash": "4584a57f565dd7987d59dda3a02cfb41", "Requirements": ["R", "jsonlite"]}
    known = read(lock({"curl": package}))
    assert (known.r, known.r_minor, dict(known.repositories)) == ("4.5.1", "4.5", {"CRAN": "https://cran.example.com"})
    assert known.packages["curl"].version == "6.2.1"
    assert known.packages["curl"].described is None


def test_a_record_of_a_newer_renv_says_what_its_package_needs() -> None:
    package = {**CURL, "Imports": ["jsonlite (>= 1.0)", "utils"], "SystemRequirements": "libcurl (>= 7.73)"}
    described = read(lock({"curl": package})).packages["curl"].described
    assert described is not None
    assert described["SystemRequirements"] == "libcurl (>= 7.73)"
    assert renv.needs(described["Imports"]) == [Need("jsonlite", ">=", "1.0")]


@pytest.mark.parametrize(
    ("record", "release"),
    [
        pytest.param({"Source": "GitHub", "RemoteSha": "a" * 40, "RemoteRepo": "x"}, None, id="GitHub"),
        pytest.param({"Source": "Bioconductor"}, "3.21", id="Bioconductor"),
        pytest.param({"Source": "URL", "RemoteUrl": "https://example.com/x.tar.gz"}, None, id="an address"),
        pytest.param({"Source": "CRAN"}, None, id="an old word for a repository"),
    ],
)
def test_sources_that_an_image_can_have(record: dict[str, Any], release: str | None) -> None:
    more = {"Bioconductor": {"Version": release}} if release else {}
    assert read(lock({"curl": {**CURL, **record}}, **more)).packages["curl"].source == record["Source"]


REFUSED: dict[str, tuple[Any, str]] = {
    "no JSON": (b'{"R": ', "is not JSON, line 1: "),
    "no UTF-8": (b"\xff\xfe{}", "is not UTF-8 text"),
    "a list": ([], "the file: is no table"),
    "nothing in it": ({}, "R: is missing"),
    "nested deeply": (b"[" * 100_000 + b"]" * 100_000, "is nested too deeply to be a lock"),
    "nested rather deeply": (lock(Python=json.loads("[" * 40 + "]" * 40)), "is nested too deeply to be a lock"),
    "too large": (b" " * (renv.MAX_BYTES + 1), "allowed: up to 16,777,216"),
    "a package twice": (
        json.dumps(lock()).replace('"curl": {', '"curl": {}, "curl": {', 1).encode(),
        "Packages: 'curl' is there twice",
    ),
    "no version of R": (
        lock(R={"Repositories": [{"Name": "CRAN", "URL": "https://c.example"}]}),
        "R: Version is missing",
    ),
    "a half version of R": (
        lock(R={"Version": "4.5", "Repositories": [{"Name": "CRAN", "URL": "https://c.example"}]}),
        'R: Version is "4.5"; it has to be a version of R like "4.5.1"',
    ),
    "no repository": (lock(R={"Version": "4.5.1", "Repositories": []}), "R, Repositories: is no list like"),
    "a name that is another package": (lock({"xml2": CURL}), "has Package 'curl'; the two must be the same"),
    "a name with a path in it": (lock({"../x": CURL}), "Packages, '../x': is no name of an R package"),
    "a name with an escape in it": (lock({"\x1b[2J": CURL}), "Packages, '\\\\x1b[2J': is no name"),
    "a version with a command in it": (lock({"curl": {**CURL, "Version": "1.0; rm"}}), 'Version is "1.0; rm"; it has'),
    "a version that is a number": (lock({"curl": {**CURL, "Version": 1.0}}), "Version is 1.0; it has to be a version"),
    "a package of one machine": (lock({"curl": {**CURL, "Source": "Local"}}), "lies on the machine that locked it"),
    "a package from nowhere": (lock({"curl": {**CURL, "Source": "unknown"}}), "was installed from nobody knows where"),
    "another source": (lock({"curl": {**CURL, "Source": "Gopher"}}), "has Source 'Gopher'; known: "),
    "GitHub without a commit": (lock({"curl": {**CURL, "Source": "GitHub"}}), "comes from GitHub and has no RemoteSha"),
    "Bioconductor of no release": (lock({"curl": {**CURL, "Source": "Bioconductor"}}), "does not say which release"),
    "a table for a field": (
        lock({"curl": {**CURL, "Imports": {"x": 1}}}),
        "Imports is neither text nor a list of text",
    ),
    "a package that is text": (lock({"curl": "6.2.1"}), "Packages, 'curl': is no table"),
}
ADDRESSES = {
    "file:///srv/cran": "has to begin with https://",
    "https://ann:secret@cran.example.com": "has a user or a password in it",
    "https://": "has to begin with https://",
    "https://[": "is no address",
    "https://cran.example.com/$(id)": "has a ' or a",
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(content: Any, message: str) -> None:
    with pytest.raises(LockError) as refused:
        read(content)
    assert message in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(("url", "message"), ADDRESSES.items())
def test_addresses_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(LockError) as refused:
        read(lock(R={"Version": "4.5.1", "Repositories": [{"Name": "CRAN", "URL": url}]}))
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_all_problems_come_at_once() -> None:
    packages = {"curl": {**CURL, "Version": ""}, "xml2": {**CURL, "Package": "xml2", "Source": "Local"}}
    with pytest.raises(LockError) as refused:
        read(lock(packages))
    assert len(str(refused.value).splitlines()) == 2


versions = st.lists(st.integers(0, 999), min_size=2, max_size=4).map(lambda parts: ".".join(map(str, parts)))
package_names = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,20}[A-Za-z0-9]", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.dictionaries(package_names, st.tuples(versions, st.dictionaries(st.sampled_from(["Imports", "Title"]), texts))),
    versions,
)
def test_what_is_written_is_read_again(packages: dict[str, tuple[str, dict[str, str]]], bioconductor: str) -> None:
    records = {
        name: {"Package": name, "Version": version, "Source": "Repository", "Repository": "CRAN", **fields}
        for name, (version, fields) in packages.items()
    }
    known = read(lock(records, Bioconductor={"Version": bioconductor}))
    written = known.to_json().encode()
    again = renv.read(written)
    assert again == known
    assert again.to_json().encode() == written


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(lock(R=value)).encode()
    )
)
def test_nothing_but_a_sentence_comes_of_any_bytes(content: bytes) -> None:
    try:
        renv.read(content)
    except LockError as error:
        assert str(error).isprintable() or "\n" in str(error)


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("R (>= 4.0), curl (>= 5.0.0), methods", [Need("curl", ">=", "5.0.0")]),
        ("xml2,\n  R6", [Need("xml2"), Need("R6")]),
        ("", []),
        ("x y z, $(id), curl (about 5)", []),
    ],
)
def test_fields_that_name_packages(text: str, needs: list[Need]) -> None:
    assert renv.needs(text) == needs


@pytest.mark.parametrize(
    ("need", "version", "met"),
    [
        (Need("x", ">=", "1.9"), "1.10", True),
        (Need("x", ">=", "1.10"), "1.9", False),
        (Need("x", ">", "1.0"), "1.0-1", True),
        (Need("x", "==", "1.0-3"), "1.0.3", True),
        (Need("x", "<", "2"), "2.0", False),
        (Need("x"), "0.1", True),
    ],
)
def test_versions_are_compared_as_r_does(need: Need, version: str, met: bool) -> None:
    assert need.is_met_by(version) is met
    assert set(str(need)) <= set(string.printable)
