"""The output gate: which values pass, and what is said of those that do not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner.checks import LARGEST_FILE, Result, evaluate
from herd.runner.contract.documents import Baseline
from herd.runner.contract.task import Check


def judge(outputs: Path, content: str | bytes | None, baseline: float | None = None, **check: object) -> Result:
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (outputs / "m.json").write_bytes(data)
    known = (
        Baseline("r0", {(None, "m.json", str(check.get("value", "auc"))): baseline}) if baseline is not None else None
    )
    settings = {"file": "m.json", "value": "auc", "min": 0.7} | check
    return evaluate([Check(**settings)], outputs, known)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "check"),
    [
        ('{"auc": 0.7}', {}),
        ('{"auc": 1}', {}),
        ('{"auc": 1e308}', {}),
        ('{"a": {"b": 0.9}}', {"value": "a.b"}),
        ('{"a.b": 0.9, "a": 0}', {"value": "a.b"}),
        ('{"rows": [{"n": 5}, {"n": 6}]}', {"value": "rows.1.n", "min": 6}),
        ("[0.8]", {"value": "0"}),
        ('{"auc": 0.8}', {"min": None, "max": 0.8}),
        ('{"größe": 3}', {"value": "größe"}),
    ],
)
def test_passing(tmp_path: Path, content: str, check: dict[str, object]) -> None:
    result = judge(tmp_path, content, **check)
    assert result.passed, result.message


@pytest.mark.parametrize(
    ("content", "check", "message"),
    [
        ('{"auc": 0.6123456789}', {}, "m.json: auc = 0.612346 is below min = 0.7"),
        ('{"auc": 2}', {"max": 1.5}, "m.json: auc = 2 is above max = 1.5"),
        (None, {}, "m.json: auc is missing: the run did not write this file to outputs/"),
        ("{}", {}, "m.json: auc is missing: the file has no such value"),
        ("[]", {}, "m.json: auc is missing: the file has no such value"),
        ('{"a": 1}', {"value": "a.b"}, "m.json: a.b is missing: the file has no such value"),
        ("[1]", {"value": "1"}, "m.json: 1 is missing: the file has no such value"),
        ("[1]", {"value": "-1"}, "m.json: -1 is missing: the file has no such value"),
        ('{"auc": NaN}', {}, "m.json: auc is not a finite number but nan"),
        ('{"auc": Infinity}', {}, "m.json: auc is not a finite number but inf"),
        ('{"auc": 1' + "0" * 400 + "}", {}, "m.json: auc is not a finite number but inf"),
        ('{"auc": true}', {}, "m.json: auc is not a number but true"),
        ('{"auc": "0.9"}', {}, 'm.json: auc is not a number but "0.9"'),
        ('{"auc": null}', {}, "m.json: auc is not a number but null"),
        ('{"auc": {"x": 1}}', {}, 'm.json: auc is not a number but {"x": 1}'),
        ("", {}, "m.json: auc cannot be checked: the file is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("auc,0.9", {}, "m.json: auc cannot be checked: the file is not JSON"),
        (b"\xff\xfe\x00", {}, "m.json: auc cannot be checked: the file is not JSON"),
        ("[" * 100_000, {}, "m.json: auc cannot be checked: the file is not JSON"),
        ('{"auc": 9' + "9" * 5000 + "}", {}, "m.json: auc cannot be checked: the file is not JSON"),
        ('{"auc": 1}', {"file": "../m.json"}, "../m.json: auc cannot be checked: the file lies outside outputs/"),
    ],
)
def test_failing(tmp_path: Path, content: str | bytes | None, check: dict[str, object], message: str) -> None:
    result = judge(tmp_path, content, **check)
    assert not result.passed and result.message.startswith(message), result.message
    assert "\n" not in result.message


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.json").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    assert "more than 16,777,216" in judge(tmp_path, None).message


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (tmp_path / "real.json").write_text('{"auc": 1}')
    (outputs / "m.json").symlink_to("../real.json")
    assert "lies outside outputs/" in judge(outputs, None).message


@pytest.mark.parametrize(
    ("baseline", "observed", "passed", "words"),
    [
        (0.8, 0.75, True, "passed"),  # in floating point 0.8 - 0.75 > 0.05
        (0.8, 0.749, False, "has dropped by 0.051 from the accepted 0.8; max_drop = 0.05"),
        (0.8, 0.9, True, "passed"),
        (None, 0.1, True, "no accepted baseline yet"),
    ],
)
def test_max_drop(tmp_path: Path, baseline: float | None, observed: float, passed: bool, words: str) -> None:
    result = judge(tmp_path, json.dumps({"auc": observed}), baseline, min=None, max_drop=0.05)
    assert result.passed is passed and words in result.message and result.baseline == baseline


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(observed=FINITE, low=FINITE, high=FINITE)
def test_limits_mean_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, observed: float, low: float, high: float
) -> None:
    outputs = tmp_path_factory.mktemp("o", numbered=True)
    result = judge(outputs, json.dumps({"auc": observed}), min=low, max=high)
    close = any(math.isclose(observed, limit, rel_tol=1e-8, abs_tol=1e-8) for limit in (low, high))
    assert close or result.passed == (low <= observed <= high)


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    value=st.text(),
)
def test_no_content_makes_it_raise(tmp_path_factory: pytest.TempPathFactory, content: object, value: str) -> None:
    result = judge(tmp_path_factory.mktemp("o", numbered=True), json.dumps(content), value=value, min=0.0)
    assert result.passed == (result.observed is not None and result.observed >= -1e-9)


@given(st.dictionaries(st.tuples(st.none() | st.text(), st.text(), st.text()), FINITE))
def test_a_baseline_survives_its_file(values: dict[tuple[str | None, str, str], float]) -> None:
    assert Baseline.from_json(Baseline("r", values).to_json()) == Baseline("r", values)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "run_id": "r", "values": [{}]}'])
def test_what_is_not_a_baseline(text: bytes) -> None:
    with pytest.raises(ValueError):
        Baseline.from_json(text)
