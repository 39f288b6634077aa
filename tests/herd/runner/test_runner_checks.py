"""The output gate: which values pass, and what is said of those that do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner.checks import Result, Subject
from herd.runner.checks.evaluation import evaluate
from herd.runner.checks.files import LARGEST_FILE
from herd.runner.contract.checks import ChangedCheck, Check, FileCheck, ValueCheck
from herd.runner.contract.documents import Baseline, History


def judge(
    outputs: Path,
    content: str | bytes | None,
    baseline: float | None = None,
    earlier: Sequence[float] = (),
    **check: object,
) -> Result:
    """One check of the number in m.json; `outputs` is the folder of that name."""
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (outputs / "m.json").write_bytes(data)
    key = (None, "m.json", str(check.get("value", "auc")))
    known = Baseline("r0", {key: baseline}) if baseline is not None else None
    history = History(tuple((f"r{number}", {key: value}) for number, value in enumerate(earlier)))
    settings = {"file": "m.json", "value": "auc", "min": 0.7} | check
    subject = Subject(outputs.parent, baseline=known, history=history)
    return evaluate([ValueCheck(**settings)], subject)[0]  # type: ignore[arg-type]


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return made(tmp_path)


def made(root: Path) -> Path:
    folder = root / "outputs"
    folder.mkdir()
    return folder


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
def test_passing(outputs: Path, content: str, check: dict[str, object]) -> None:
    result = judge(outputs, content, **check)
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
def test_failing(outputs: Path, content: str | bytes | None, check: dict[str, object], message: str) -> None:
    result = judge(outputs, content, **check)
    assert not result.passed and result.message.startswith(message), result.message
    assert "\n" not in result.message


def test_a_huge_file_is_not_read(outputs: Path) -> None:
    with (outputs / "m.json").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    assert "more than 16,777,216" in judge(outputs, None).message


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, outputs: Path) -> None:
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
def test_max_drop(outputs: Path, baseline: float | None, observed: float, passed: bool, words: str) -> None:
    result = judge(outputs, json.dumps({"auc": observed}), baseline, min=None, max_drop=0.05)
    assert result.passed is passed and words in result.message and result.baseline == baseline


@pytest.mark.parametrize(
    ("baseline", "observed", "passed", "words"),
    [
        (0.75, 0.8, True, "passed"),
        (0.75, 0.801, False, "has risen by 0.051 from the accepted 0.75; max_rise = 0.05"),
        (0.75, 0.1, True, "passed"),
        (None, 9, True, "max_rise had nothing to compare with: this value has no accepted baseline yet"),
    ],
)
def test_max_rise(outputs: Path, baseline: float | None, observed: float, passed: bool, words: str) -> None:
    result = judge(outputs, json.dumps({"auc": observed}), baseline, min=None, max_rise=0.05)
    assert result.passed is passed and words in result.message


SLIDING = [0.80 + 0.01 * (number % 3) for number in range(30)]  # median 0.81, median deviation 0.01


@pytest.mark.parametrize(
    ("earlier", "observed", "passed", "words"),
    [
        (SLIDING, 0.77, True, "passed"),
        (SLIDING, 0.85, True, "passed"),
        (SLIDING, 0.76, False, "is 5 median deviations from 0.81, the median of the last 30 published runs; trend = 4"),
        (SLIDING, 0.86, False, "is 5 median deviations from 0.81"),
        ([5] * 10, 5, True, "passed"),
        ([5] * 10, 6, False, "is not 5, which most of the last 10 published runs had; trend = 4"),
        ([5] * 9, 6, True, "passed (trend needs 10 published runs with this value, and has 9)"),
        ((), 6, True, "passed (trend needs 10 published runs with this value, and has 0)"),
    ],
)
def test_trend(outputs: Path, earlier: Sequence[float], observed: float, passed: bool, words: str) -> None:
    result = judge(outputs, json.dumps({"auc": observed}), earlier=earlier, min=None, trend=4)
    assert result.passed is passed and words in result.message


EXACT = {
    "a thousandth of a billionth": ("1e-12", {"min": None, "max": 0}, False),
    "on a tiny limit": ("1e-12", {"min": 1e-12}, True),
    "below a tiny limit": ("0.99e-12", {"min": 1e-12}, False),
    "the neighbour of a large whole number": ("9007199254740993", {"min": None, "max": 9007199254740992}, False),
    "the same large whole number": ("9007199254740993", {"min": None, "max": 9007199254740993}, True),
    "a hair below": ("0.69999999999", {}, False),
    "the largest number": ("1.7976931348623157e308", {"min": None, "max": 1.7976931348623155e308}, False),
}


@pytest.mark.parametrize(("content", "check", "passed"), EXACT.values(), ids=EXACT)
def test_limits_are_exact_at_every_scale(outputs: Path, content: str, check: dict[str, object], passed: bool) -> None:
    result = judge(outputs, f'{{"auc": {content}}}', **check)
    assert result.passed is passed, result.message


def test_a_value_that_misses_by_a_hair_is_shown_as_different(outputs: Path) -> None:
    assert judge(outputs, '{"auc": 0.69999999}').message == "m.json: auc = 0.69999999 is below min = 0.7"


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(observed=FINITE, low=FINITE, high=FINITE)
def test_limits_mean_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, observed: float, low: float, high: float
) -> None:
    outputs = made(tmp_path_factory.mktemp("o", numbered=True))
    result = judge(outputs, json.dumps({"auc": observed}), min=low, max=high)
    assert result.passed == (low <= observed <= high)


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    value=st.text(),
)
def test_no_content_makes_it_raise(tmp_path_factory: pytest.TempPathFactory, content: object, value: str) -> None:
    result = judge(made(tmp_path_factory.mktemp("o", numbered=True)), json.dumps(content), value=value, min=0.0)
    assert result.passed == (result.observed is not None and result.observed >= 0)


FILES = {
    "there": (FileCheck(file="a.bin"), True, "a.bin: bytes = 5 passed"),
    "missing": (FileCheck(file="b.bin"), False, "b.bin: bytes is missing: the run did not write this file"),
    "too small": (FileCheck(file="a.bin", min_bytes=6), False, "a.bin: bytes = 5 is below min_bytes = 6"),
    "just large enough": (FileCheck(file="a.bin", min_bytes=5), True, "a.bin: bytes = 5 passed"),
    "too large": (FileCheck(file="a.bin", max_bytes=4), False, "a.bin: bytes = 5 is above max_bytes = 4"),
    "empty": (FileCheck(file="empty", min_bytes=1), False, "empty: bytes = 0 is below min_bytes = 1"),
    "a folder": (FileCheck(file="folder", min_bytes=3, max_bytes=3), True, "folder: bytes = 3 passed"),
    "a folder without files": (FileCheck(file="hollow"), False, "hollow: bytes is missing: the folder has no files"),
    "changed": (ChangedCheck(file="a.bin"), True, "a.bin: changed passed"),
    "unchanged": (ChangedCheck(file="same.bin"), False, "same.bin: changed is not: the file is byte for byte that of"),
    "changed folder": (ChangedCheck(file="folder"), True, "folder: changed passed"),
    "unchanged folder": (ChangedCheck(file="kept"), False, "kept: changed is not"),
    "changed, and missing": (ChangedCheck(file="b.bin"), False, "b.bin: changed is missing"),
    "outside": (FileCheck(file="../x"), False, "../x: bytes cannot be checked: the file lies outside outputs/"),
}


@pytest.mark.parametrize(("check", "passed", "words"), FILES.values(), ids=FILES)
def test_files(outputs: Path, check: Check, passed: bool, words: str) -> None:
    for name, content in {"a.bin": "12345", "same.bin": "same", "empty": "", "folder/x": "123", "kept/y": "y"}.items():
        (outputs / name).parent.mkdir(exist_ok=True)
        (outputs / name).write_text(content)
    (outputs / "hollow").mkdir()
    earlier = {"a.bin": "1234", "same.bin": "same", "folder/x": "123", "folder/gone": "", "kept/y": "y"}
    published = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in earlier.items()}
    [result] = evaluate([check], Subject(outputs.parent, published=published))
    assert result.passed is passed and result.message.startswith(words), result.message


def test_the_first_version_counts_as_changed(outputs: Path) -> None:
    (outputs / "a.bin").write_text("1")
    [result] = evaluate([ChangedCheck(file="a.bin")], Subject(outputs.parent))
    assert result.passed and "there is no published version to compare with" in result.message


def test_a_warning_does_not_reject(outputs: Path) -> None:
    [result] = evaluate([FileCheck(file="a.bin", otherwise="warn")], Subject(outputs.parent))
    assert not result.passed and not result.rejects


VALUES = st.dictionaries(st.tuples(st.none() | st.text(), st.text(), st.text()), FINITE | st.integers())


@given(VALUES)
def test_a_baseline_survives_its_file(values: dict[tuple[str | None, str, str], float]) -> None:
    assert Baseline.from_json(Baseline("r", values).to_json()) == Baseline("r", values)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "run_id": "r", "values": [{}]}'])
def test_what_is_not_a_baseline(text: bytes) -> None:
    with pytest.raises(ValueError):
        Baseline.from_json(text)


@given(st.lists(st.tuples(st.text(), VALUES), max_size=5).map(lambda runs: History(tuple(runs))))
def test_a_history_survives_its_file(history: History) -> None:
    assert History.from_json(history.to_json()) == history


def test_a_history_keeps_the_last_runs_each_once() -> None:
    history, key = History(), (None, "m.json", "auc")
    for number in [*range(40), 39]:
        history = history.after(f"r{number}", {key: number})
    assert history.of(key) == list(range(10, 40))
