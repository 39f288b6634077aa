"""The lives in a soak: none is left out, one that breaks a promise is told, and the report's other parts stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from soak import __main__ as soak
from soak import lives, ownership, sections
from soak.record import Record


@pytest.mark.parametrize("wanted", [1, 99, 100, 101, 250])
def test_the_batches_are_all_lives(wanted: int) -> None:
    assert [number for batch in lives.batches(wanted) for number in batch] == list(range(1, wanted + 1))


def test_processes_share_the_lives_and_one_that_breaks_a_promise_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out = []

    def tell(number: int) -> Counter[str]:
        carried_out.append(number)
        if number == 150:
            raise AssertionError("sequence 150: gone\n  edited_up")
        return Counter({"up": 2, "killed": 1})

    monkeypatch.setattr(ownership, "tell", tell)
    report, record = tmp_path / "report.md", tmp_path / "record.jsonl"
    report.write_text("# Soak report\n\n## Kills\n\nof before\n\n<!-- long -->\nlong\n<!-- /long -->\n")
    common = ["--parts", "lives", "--lives", "250", "--report", str(report), "--record", str(record)]
    assert soak.main([*common, "--share", "1/2"]) == 0
    assert soak.main([*common, "--share", "2/2", "--go-on"]) == 1
    assert soak.main([*common, "--go-on"]) == 0, "it has them all"
    assert sorted(carried_out) == list(range(1, 251)) and len(Record.opened(record, go_on=True).of("lives")) == 3
    text = report.read_text()
    assert "250 of 250 lives" in text and "| events | 498 |" in text and "| updates killed | 249 |" in text
    assert "| lives that broke a promise | 150 |" in text and "sequence 150: gone\n  edited_up" in text
    assert text.startswith("# Soak report\n\n## Kills\n\nof before\n\n<!-- lives -->")
    assert text.endswith("<!-- /lives -->\n\n<!-- long -->\nlong\n<!-- /long -->\n")
    assert capsys.readouterr().out.endswith(text + "\n")


def test_a_part_takes_the_place_of_the_last_one_and_leaves_the_others(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    for name, line in (("long", "one"), ("lives", "two"), ("long", "three")):
        sections.write(report, name, [line])
    both = "<!-- lives -->\ntwo\n<!-- /lives -->\n\n<!-- long -->\nthree\n<!-- /long -->\n"
    assert report.read_text() == f"# Soak report\n\n{both}"
    assert sections.kept(report, "# New\n") == f"# New\n\n{both}"
