"""Locking R packages again, against a CRAN-like repository on loopback."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from herd.packages import cran, r_lock, renv
from herd.packages.cran import NotThere, Repository, Unreachable
from herd.packages.renv import Lock, LockError
from tests.herd.packages import repository

CURL = {"Package": "curl", "Version": "6.2.1", "SystemRequirements": "libcurl (>= 7.73)", "NeedsCompilation": "yes"}
XML2 = {"Package": "xml2", "Version": "1.3.8", "Imports": "cli, rlang (>= 1.1.0)", "SystemRequirements": "libxml2"}
CLI = {"Package": "cli", "Version": "3.6.4", "Depends": "R (>= 3.4)", "Imports": "utils"}
RLANG = {"Package": "rlang", "Version": "1.1.6", "Imports": "utils"}
RLANG_BEFORE = {**RLANG, "Version": "1.1.5", "SystemRequirements": "once"}
RAGG = {"Package": "ragg", "Version": "1.3.3", "LinkingTo": "cpp11", "SystemRequirements": "freetype2,\n libpng"}
CPP11 = {"Package": "cpp11", "Version": "0.5.2"}
NEWEST = [CURL, XML2, CLI, RLANG, RAGG, CPP11]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with repository.serving(repository.files(NEWEST, older=[RLANG_BEFORE])) as address:
        yield address


def lock(url: str, *packages: dict[str, str]) -> Lock:
    records = {
        one["Package"]: renv.Package(
            one["Package"], one["Version"], "Repository", "CRAN", {"Package": one["Package"], "Version": one["Version"]}
        )
        for one in packages
    }
    return Lock("4.5.1", {"CRAN": url}, records)


def versions(lock: Lock) -> dict[str, str]:
    return {name: package.version for name, package in sorted(lock.packages.items())}


def test_of_an_older_lock_the_repository_is_asked(url: str) -> None:
    locked = r_lock.lock_again(lock(url, CURL, RLANG_BEFORE), None, upgrade=False)
    assert locked.requirements == {"curl": "libcurl (>= 7.73)", "rlang": "once"}
    assert versions(locked.lock) == {"curl": "6.2.1", "rlang": "1.1.5"}


def test_of_a_lock_that_says_it_nobody_is_asked() -> None:
    asked: list[str] = []
    record = {"Package": "curl", "Version": "6.2.1", "SystemRequirements": "libcurl", "Imports": "utils"}
    with repository.serving({}, asked) as nobody:
        known = Lock("4.5.1", {"CRAN": nobody}, {"curl": renv.Package("curl", "6.2.1", "Repository", "CRAN", record)})
        assert r_lock.lock_again(known, None, upgrade=False).requirements == {"curl": "libcurl"}
    assert not asked


def test_a_description_is_resolved_over_imports_and_linking_to(url: str) -> None:
    locked = r_lock.lock_again(lock(url), {"Imports": "xml2, ragg"}, upgrade=False)
    assert versions(locked.lock) == {
        "cli": "3.6.4",
        "cpp11": "0.5.2",
        "ragg": "1.3.3",
        "rlang": "1.1.6",
        "xml2": "1.3.8",
    }
    assert locked.requirements == {"ragg": "freetype2, libpng", "xml2": "libxml2"}


def test_what_was_resolved_is_known_without_a_network(url: str) -> None:
    first = r_lock.lock_again(lock(url), {"Imports": "xml2, ragg"}, upgrade=False)
    again = renv.read(first.lock.to_json().encode())
    with repository.serving({}) as nobody:
        elsewhere = Lock(again.r, {"CRAN": nobody}, again.packages)
        assert r_lock.lock_again(elsewhere, None, upgrade=False).requirements == first.requirements


def test_what_is_locked_stays_and_what_nobody_needs_goes(url: str) -> None:
    locked = r_lock.lock_again(lock(url, RLANG_BEFORE, CURL), {"Imports": "xml2"}, upgrade=False)
    assert versions(locked.lock) == {"cli": "3.6.4", "rlang": "1.1.5", "xml2": "1.3.8"}


def test_an_upgrade_takes_the_newest(url: str) -> None:
    locked = r_lock.lock_again(lock(url, RLANG_BEFORE), {"Imports": "rlang"}, upgrade=True)
    assert versions(locked.lock) == {"rlang": "1.1.6"}


def test_a_version_that_is_too_old_is_replaced(url: str) -> None:
    old = {**RLANG, "Version": "1.0.0"}
    locked = r_lock.lock_again(lock(url, old), {"Imports": "rlang (>= 1.1.0)"}, upgrade=False)
    assert versions(locked.lock) == {"rlang": "1.1.6"}


@pytest.mark.parametrize(
    ("packages", "wanted", "message"),
    [
        pytest.param([RAGG], None, "ragg is compiled with the headers of cpp11 (LinkingTo), and cpp11 is not locked",
                     id="LinkingTo not locked"),
        pytest.param([XML2, CLI], None, "xml2 needs rlang (>= 1.1.0), which is not locked", id="Imports not locked"),
        pytest.param([{**RLANG, "Version": "9.9"}], None, "rlang 9.9 is in no repository of the lock",
                     id="a version that nobody has"),
        pytest.param([], {"Imports": "nosuchpackage"}, "DESCRIPTION needs nosuchpackage, which no repository",
                     id="a package that nobody has"),
        pytest.param([], {"Imports": "rlang (>= 2.0)"}, "DESCRIPTION needs rlang (>= 2.0); there is 1.1.6",
                     id="a version that is not there yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_locked(
    url: str, packages: list[dict[str, str]], wanted: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(LockError) as refused:
        r_lock.lock_again(lock(url, *packages), wanted, upgrade=False)
    assert message in str(refused.value)


def test_what_comes_from_elsewhere_and_does_not_say_what_it_needs(url: str) -> None:
    record = {"Package": "ours", "Version": "0.1", "Source": "GitHub", "RemoteSha": "a" * 40}
    known = Lock("4.5.1", {"CRAN": url}, {"ours": renv.Package("ours", "0.1", "GitHub", "", record)})
    notes = r_lock.lock_again(known, None, upgrade=False).notes
    assert notes == (
        "ours: the lock does not say what it needs of the system, and it comes from GitHub; renv 1.1 and newer writes "
        "it: renv::snapshot()",
    )


@pytest.mark.parametrize(
    ("there", "message"),
    [
        pytest.param({}, "has no src/contrib/PACKAGES, so it is no repository", id="no repository"),
        pytest.param({"/src/contrib/PACKAGES.gz": b"<html>"}, "its list of packages cannot be read", id="a page"),
        pytest.param({"/src/contrib/PACKAGES": b"hello"}, "its list of packages is empty", id="no list"),
    ],
)
def test_repositories_that_are_none(there: dict[str, bytes], message: str) -> None:
    with repository.serving(there) as address, pytest.raises(Unreachable, match=message):
        Repository(address).newest()


def test_a_repository_that_does_not_answer() -> None:
    with repository.serving({}) as gone:
        pass
    with pytest.raises(Unreachable, match=r"CRAN \(http://127.0.0.1:\d+\) cannot be reached"):
        Repository(gone).newest()


def test_an_archive_that_is_none() -> None:
    there = {**repository.files([CLI]), "/src/contrib/cli_3.6.4.tar.gz": b"x" * 5_000}
    with repository.serving(there) as address, pytest.raises(Unreachable, match="the archive of cli cannot be read"):
        Repository(address).description("cli", "3.6.4")


def test_an_archive_that_goes_on_and_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cran, "MOST_BYTES_OF_ARCHIVE", 50_000)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, size in (("cli/data/big", 60_000), ("cli/DESCRIPTION", 5)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(b"x" * size))
    there = {**repository.files([CLI]), "/src/contrib/cli_3.6.4.tar.gz": made.getvalue()}
    with repository.serving(there) as address, pytest.raises(NotThere):
        Repository(address).description("cli", "3.6.4")


def test_control_files() -> None:
    text = "Package: a\nDescription: two\n  lines\n\nPackage: b\nno field\n\n"
    assert list(cran.control(text)) == [{"Package": "a", "Description": "two lines"}, {"Package": "b"}]
