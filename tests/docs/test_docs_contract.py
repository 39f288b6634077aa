"""docs/guide/contract.md has every name and number of `herd.runner.contract`, and every state of `herd status`."""

import re
from pathlib import Path

import pytest

from herd.commands.tables import STYLES
from herd.runner.contract import keys, statuses, variables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "contract.md").read_text()

NAMES = {
    value for name, value in vars(variables).items() if name.isupper() and isinstance(value, str) and name != "PUBLISH"
}
COMPOSED = [
    variables.param("<NAME>"),
    variables.input_uri("<NAME>"),
    variables.connection_url("<NAME>"),
    variables.connection_secret("<NAME>"),
]
EXIT_STATUSES = {value for name, value in vars(statuses).items() if name.isupper() and isinstance(value, int)}
RUNS = {value for name, value in vars(statuses).items() if name.endswith("_RUN")}
KEYS = [
    keys.latest_key("<workload>"),
    keys.baseline_key("<workload>"),
    keys.history_key("<workload>"),
    keys.version_prefix("<workload>", "<run id>"),
    keys.rejected_prefix("<workload>", "<run id>"),
    keys.report_page_key("<workload>"),
    keys.report_version_prefix("<workload>", "<run id>"),
    keys.kept_page_key("<workload>", "<run id>"),
    keys.rollback_key("<workload>", "<time>-<run id>"),
    keys.built_from_key("<content hash>"),
    keys.mail_key("<workload>", "<run id>"),
    keys.record_key("<workload>", "<run id>").removesuffix(".json"),
]


@pytest.mark.parametrize("text", sorted({*NAMES, *COMPOSED, *RUNS, *KEYS, *STYLES}))
def test_the_page_has_every_name(text: str) -> None:
    assert re.search(rf"`[^`]*{re.escape(text)}[^`]*`", PAGE), f"docs/guide/contract.md does not have {text}"


def test_the_page_has_the_exit_statuses_and_no_other() -> None:
    listed = {int(number) for line in PAGE.splitlines() for number in re.findall(r"\d+", _first_cell(line))}
    assert listed == {0, *EXIT_STATUSES}


def test_the_page_says_what_is_retried() -> None:
    rows = {number: line for line in PAGE.splitlines() for number in re.findall(r"\d+", _first_cell(line))}
    never = {int(number) for number, line in rows.items() if "| never |" in line}
    assert never == {statuses.CHECK_FAILED, *statuses.NOT_RETRIED}
    assert all(f"`{statuses.status_of(int(number))}`" in line for number, line in rows.items())


def test_no_source_cites_a_document_that_is_not_in_the_repository() -> None:
    folders = [ROOT / name for name in ("src", "infra", "harness", "bench", "soak")]
    citing = [path for folder in folders for path in folder.rglob("*.py") if re.search(r"\bDESIGN\b", path.read_text())]
    assert not citing, f"the contract stands in docs/guide/contract.md: {citing}"


def _first_cell(line: str) -> str:
    """Of a row of the table of exit statuses: `| 65 | a check failed … |`; "" for any other line."""
    match = re.match(r"\| (\d+(?:, \d+)*) \|", line)
    return match[1] if match else ""
