"""`herd clean`: what is made again goes, what is yours is asked for, what is in use stays; links are not followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from herd.checkout.find import Checkout
from herd.deploy import kept
from herd.deploy.kept import Kind

FILES = {
    "build/dev/train/Dockerfile": 5_000,
    "build/prod/train/Dockerfile": 7_000,
    "try/train/outputs/model.bin": 3_000_000,
    "try/.home/cache": 4_096,
    "cloud/cloud.log": 2_000,
    "cloud/set-aside-20261101-120000/journal/requests": 9_000,
    "pulumi/.pulumi/stacks/herd/dev.json": 2_000,
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """With dev up, prod previewed, a try's outputs, and a copy that was set aside."""
    checkout = Checkout(tmp_path / "project", tmp_path / "cache")
    checkout.root.mkdir()
    (checkout.root / "Pulumi.yaml").write_text("name: herd\n")
    (checkout.root / "defaults.toml").write_text("")
    for name, size in FILES.items():
        path = checkout.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return checkout


def left(checkout: Checkout) -> set[str]:
    return {str(path.relative_to(checkout.state)) for path in checkout.state.rglob("*") if path.is_file()}


def test_each_part_has_its_size_and_its_kind(checkout: Checkout) -> None:
    kinds = {part.paths[0].relative_to(checkout.state).as_posix(): part.kind for part in kept.parts(checkout)}
    assert kinds["build/dev"] is Kind.in_use and kinds["build/prod"] is Kind.made_again
    assert kinds["try/train"] is kinds["cloud/set-aside-20261101-120000"] is Kind.data
    sizes = {part.what: part.size for part in kept.parts(checkout)}
    assert 3_000_000 <= sizes["what `herd try train` left"] < 3_100_000
    whole = sum(FILES.values())
    assert whole <= sum(sizes.values()) < whole + 500_000


def cleaned(cli: Any, monkeypatch: pytest.MonkeyPatch, checkout: Checkout, *arguments: str) -> Any:
    monkeypatch.setenv("HERD_CHECKOUT", str(checkout.root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkout.cache))
    return cli("clean", *arguments)


GONE: dict[str, tuple[list[str], set[str]]] = {
    "without a terminal": ([], {"build/prod/train/Dockerfile", "try/.home/cache"}),
    "with --yes": (
        ["--yes"],
        {"build/prod/train/Dockerfile", "try/.home/cache", "try/train/outputs/model.bin",
         "cloud/set-aside-20261101-120000/journal/requests"},
    ),
    "with --dry-run": (["--dry-run"], set()),
    "with --json": (["--json"], set()),
}  # fmt: skip


@pytest.mark.parametrize("how", GONE)
def test_data_goes_only_if_somebody_says_so(
    cli: Any, monkeypatch: pytest.MonkeyPatch, checkout: Checkout, how: str
) -> None:
    arguments, gone = GONE[how]
    before = left(checkout)
    answer = cleaned(cli, monkeypatch, checkout, *arguments)
    assert answer.exit_code == 0, answer.output
    assert before - left(checkout) == gone
    if how == "with --json":
        entries = json.loads(answer.stdout)
        assert {entry["kind"] for entry in entries} == {"data", "made_again", "in_use"}
    if how == "without a terminal":
        assert "Remove what `herd try train` left (3.0 MB)? Nobody is at the terminal" in answer.output


def test_a_link_goes_and_what_it_leads_to_stays(
    cli: Any, monkeypatch: pytest.MonkeyPatch, checkout: Checkout, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data.csv").write_text("1")
    (checkout.state / "build" / "link").symlink_to(elsewhere)
    (checkout.state / "build" / "prod" / "link").symlink_to(elsewhere)
    assert cleaned(cli, monkeypatch, checkout).exit_code == 0
    assert (elsewhere / "data.csv").exists() and not (checkout.state / "build" / "link").is_symlink()


def test_nothing_kept_is_nothing_said(
    cli: Any, monkeypatch: pytest.MonkeyPatch, checkout: Checkout, tmp_path: Path
) -> None:
    empty = Checkout(tmp_path / "empty", tmp_path / "no-cache")
    empty.root.mkdir()
    for name in ("Pulumi.yaml", "defaults.toml"):
        (empty.root / name).write_text("name: herd\n" if name == "Pulumi.yaml" else "")
    answer = cleaned(cli, monkeypatch, empty)
    assert (answer.exit_code, answer.stdout.strip()) == (0, "nothing was removed")
    assert kept.summary(empty) == ""
    assert "`herd clean`" in kept.summary(checkout) and "3.0 MB of it from your own runs" in kept.summary(checkout)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (999_999, "1000 kB"),
        (10**6, "1.0 MB"),
        (25 * 10**6, "25 MB"),
        (14 * 10**8, "1.4 GB"),
        (25 * 10**9, "25 GB"),
    ],  # fmt: skip
)
def test_sizes_are_said_as_people_say_them(size: int, words: str) -> None:
    assert kept.in_words(size) == words
