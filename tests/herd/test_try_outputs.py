"""Outputs of a trial as the input of another, while nothing of them is published."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from herd.checkout.find import Checkout
from herd.runs import try_outputs
from herd.targets.local import LocalTarget


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    return Checkout(tmp_path, tmp_path / "cache")


@pytest.fixture
def target(checkout: Checkout) -> LocalTarget:
    return cast(LocalTarget, SimpleNamespace(checkout=checkout, name="dev", deployed=None))


def wrote(checkout: Checkout, *parts: str) -> Path:
    folder = checkout.folder("try", *parts, "outputs")
    (folder / "x.txt").write_text("/".join(parts))
    return folder


def test_only_a_trial_that_went_well_is_read(checkout: Checkout, target: LocalTarget) -> None:
    folder = wrote(checkout, "orders")
    assert try_outputs.of(target, ["orders"], None) == {}
    try_outputs.remember(checkout, "orders", None)
    assert try_outputs.of(target, ["orders"], None) == {"orders": {"": folder}}
    try_outputs.forget(checkout, "orders", None)
    assert try_outputs.of(target, ["orders"], None) == {}


def test_a_folder_that_a_person_names_comes_first(checkout: Checkout, target: LocalTarget, tmp_path: Path) -> None:
    for name in ("orders", "prices"):
        wrote(checkout, name)
        try_outputs.remember(checkout, name, None)
    mine = tmp_path / "mine"
    (mine / "prices").mkdir(parents=True)
    before = try_outputs.of(target, ["orders", "prices"], mine)
    folder = try_outputs.beside(checkout, "report", before, mine)
    assert (folder / "orders" / "x.txt").read_text() == "orders"
    assert (folder / "prices").resolve() == mine / "prices"
    assert sorted(try_outputs.targets(folder)) == sorted([mine / "prices", checkout.state / "try/orders/outputs"])


def test_items_of_a_fan_out_lie_side_by_side(checkout: Checkout, target: LocalTarget) -> None:
    for item in ("north", "south"):
        wrote(checkout, "totals", item)
        try_outputs.remember(checkout, "totals", item)
    folder = try_outputs.beside(checkout, "report", try_outputs.of(target, ["totals"], None), None)
    assert [(folder / "totals" / item / "x.txt").read_text() for item in ("north", "south")] == [
        "totals/north",
        "totals/south",
    ]
