"""From an earlier run to one more: what is taken over, what is said, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from herd.errors import HerdError
from herd.runner.contract.documents import InputVersion
from herd.runs import again
from herd.runs.detail import Detail
from herd.runs.runs import Run

RUN = Run("train", "20270131T060000-manual-4f2a", "succeeded")


def detail(inputs: Mapping[str, str], params: Mapping[str, Any], *, has_inputs: bool = True) -> Detail:
    return Detail(
        run=RUN,
        trigger="manual",
        scheduled_time="2027-01-31T06:00:00Z",
        commit=None,
        image="",
        content_hash="",
        params=params,
        inputs=[InputVersion(name, run_id) for name, run_id in inputs.items()],
        checks=(),
        files=(),
        items=(),
        is_current=True,
        has_inputs=has_inputs,
    )


@pytest.mark.parametrize(
    ("run", "reads", "defaults", "pins", "params", "notes"),
    [
        pytest.param(detail({"a": "r1"}, {"n": 1}), ["a"], {"n": 0}, {"a": "r1"}, {"n": 1}, [], id="all the same"),
        pytest.param(
            detail({}, {}), ["train"], {}, {"train": None}, {}, [], id="the first run of one that reads itself"
        ),
        pytest.param(
            detail({"a": "r1"}, {}),
            ["a", "b"],
            {},
            {"a": "r1"},
            {},
            ["it did not read b, which train reads now: the current version is taken"],
            id="reads more now",
        ),
        pytest.param(
            detail({"a": "r1", "b": "r2"}, {"n": 1}),
            ["a"],
            {},
            {"a": "r1"},
            {},
            [
                "it read b, which train does not read any more",
                "it had the parameter n, which train has no more",
            ],
            id="reads and takes less now",
        ),
        pytest.param(
            detail({}, {}, has_inputs=False),
            ["a", "train"],
            {},
            {},
            {},
            ["which versions it read was not written down: the current one of a, train is taken"],
            id="killed before it could say",
        ),
    ],
)
def test_what_one_more_run_reads(
    monkeypatch: pytest.MonkeyPatch,
    run: Detail,
    reads: list[str],
    defaults: dict[str, Any],
    pins: dict[str, Any],
    params: dict[str, Any],
    notes: list[str],
) -> None:
    monkeypatch.setattr(again, "_is_there", lambda *_: True)
    plan = again.plan(cast(Any, SimpleNamespace()), run, reads, defaults)
    assert (dict(plan.pins), dict(plan.params), list(plan.notes)) == (pins, params, notes)


def test_a_version_that_has_expired_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "_is_there", lambda _, name, __: name == "a")
    run = detail({"a": "r1", "b": "r2"}, {})
    with pytest.raises(HerdError, match=r"cannot be done again as it was: the version of b of run r2 is gone"):
        again.plan(cast(Any, SimpleNamespace()), run, ["a", "b"], {})
