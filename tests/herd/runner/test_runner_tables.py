"""Checks of tables: what DuckDB answers of CSV, JSON lines and Parquet, and what a query may not do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from herd.runner.checks import Result, Subject
from herd.runner.checks.evaluation import evaluate
from herd.runner.contract.checks import (
    Check,
    ColumnsCheck,
    CommandCheck,
    NewestCheck,
    NullsCheck,
    QueryCheck,
    RowsCheck,
    UniqueCheck,
)
from herd.runner.contract.statuses import NOT_RETRIED

FLIGHTS = "flight,delay,day\n1,5,2026-01-01\n2,,2026-01-02\n2,7,2026-01-02\n3,,\n"
NOW = datetime.now(UTC)


def start(arguments: Sequence[str], environment: Mapping[str, str] | None, folder: Path) -> int:
    return subprocess.run(arguments, env=environment, cwd=folder, timeout=60).returncode


def judged(root: Path, *checks: Check) -> list[Result]:
    return evaluate(checks, Subject(root, memory_gb=1, start=start))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with the same flights in three formats, a partitioned folder, an input, and what lies outside."""
    root = tmp_path_factory.mktemp("run")
    outputs = root / "outputs"
    files = {
        "outputs/flights.csv": FLIGHTS,
        "outputs/a[1] 'b'.csv": FLIGHTS,
        "outputs/header.csv": "flight,delay\n",
        "outputs/flights.jsonl": '{"flight": 1, "delay": 5}\n{"flight": 2}\n',
        "outputs/ages.csv": f"seen\n{NOW - timedelta(hours=30):%Y-%m-%d %H:%M:%S}\n",
        "outputs/ages.jsonl": f'{{"seen": "{NOW - timedelta(hours=30):%Y-%m-%dT%H:%M:%SZ}", "no": "x"}}\n',
        "outputs/future.csv": f"seen\n{NOW + timedelta(days=400):%Y-%m-%d}\n",
        "outputs/notes.txt": "words",
        "outputs/broken.parquet": "PAR1 but not really",
        "outputs/mixed/a.csv": "x\n1\n",
        "outputs/mixed/b.jsonl": '{"x": 1}\n',
        "inputs/ingest/airports.csv": "code\nAMS\nCDG\n",
        "secret.csv": "x\n1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (outputs / "link.csv").symlink_to(root / "secret.csv")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_csv('{outputs}/flights.csv')) TO '{outputs}/flights.parquet'")
        values = "(VALUES (1.0, 'a'), ('nan'::DOUBLE, NULL), (NULL, '')) t(score, word)"
        connection.execute(f"COPY (SELECT * FROM {values}) TO '{outputs}/scores.parquet'")
        days = "SELECT 2026 AS year, range AS n FROM range(3) UNION ALL SELECT 2027, 9"
        connection.execute(f"COPY ({days}) TO '{outputs}/partitioned' (FORMAT parquet, PARTITION_BY (year))")
    return root


ANSWERED: dict[str, tuple[Check, bool, str]] = {
    "rows of CSV": (RowsCheck(file="flights.csv", min=4), True, "flights.csv: rows = 4 passed"),
    "rows of Parquet": (RowsCheck(file="flights.parquet", max=3), False, "flights.parquet: rows = 4 is above max = 3"),
    "rows of JSON lines": (RowsCheck(file="flights.jsonl", min=3), False, "flights.jsonl: rows = 2 is below min = 3"),
    "rows of a partitioned folder": (RowsCheck(file="partitioned", min=4), True, "partitioned: rows = 4 passed"),
    "rows of a pattern": (RowsCheck(file="partitioned/*/*.parquet", min=4), True, "rows = 4 passed"),
    "rows of an input": (RowsCheck(file="inputs/ingest/airports.csv", min=2), True, "rows = 2 passed"),
    "a name like a pattern": (RowsCheck(file="a[1] 'b'.csv", min=4), True, "rows = 4 passed"),
    "no rows": (RowsCheck(file="header.csv", min=1), False, "header.csv: rows = 0 is below min = 1"),
    "no file": (RowsCheck(file="x.csv", min=1), False, "x.csv: rows is missing: the run did not write this file"),
    "no input": (RowsCheck(file="inputs/other/x.csv", min=1), False, "inputs/other/x.csv: rows is missing"),
    "no table": (RowsCheck(file="notes.txt", min=1), False, "cannot be checked: the file is no table; known are"),
    "a broken table": (RowsCheck(file="broken.parquet", min=1), False, "broken.parquet: rows cannot be checked: "),
    "several kinds": (RowsCheck(file="mixed", min=1), False, "the folder has tables of several kinds"),
    "outside": (RowsCheck(file="link.csv", min=1), False, "link.csv: rows cannot be checked: "),
    "columns": (ColumnsCheck(file="flights.csv", columns=("flight", "day")), True, "flights.csv: columns passed"),
    "a partition's column": (ColumnsCheck(file="partitioned", columns=("year", "n")), True, "columns passed"),
    "columns that are missing": (
        ColumnsCheck(file="flights.csv", columns=("flight", "Day", "carrier")),
        False,
        "flights.csv: columns lack Day, carrier; the table has flight, delay, day",
    ),
    "nulls": (NullsCheck(file="flights.parquet", nulls="delay", max=0.5), True, "rows without delay = 0.5 passed"),
    "too many nulls": (NullsCheck(file="flights.csv", nulls="delay"), False, "without delay = 0.5 is above max = 0"),
    "not-a-number is no value": (NullsCheck(file="scores.parquet", nulls="score", max=0.5), False, "= 0.666667 is"),
    "an empty text is a value": (NullsCheck(file="scores.parquet", nulls="word", max=0.4), True, "= 0.333333 passed"),
    "nulls of no rows": (NullsCheck(file="header.csv", nulls="delay"), True, "= 0 passed"),
    "nulls of no column": (
        NullsCheck(file="flights.csv", nulls='x" OR 1=1 --'),
        False,
        "cannot be checked: the table has no column 'x\" OR 1=1 --'; it has flight, delay, day",
    ),
    "repeats": (UniqueCheck(file="flights.csv", unique=("flight",)), False, "repeat flight = 1 is above max = 0"),
    "no repeats": (UniqueCheck(file="flights.csv", unique=("flight", "delay")), True, "flight, delay = 0 passed"),
    "new enough": (NewestCheck(file="ages.csv", newest="seen", max_age_hours=31), True, "newest seen = 30"),
    "too old": (NewestCheck(file="ages.csv", newest="seen", max_age_hours=29), False, "is above max_age_hours = 29"),
    "a time as text": (NewestCheck(file="ages.jsonl", newest="seen", max_age_hours=29), False, "above max_age_hours"),
    "no time": (NewestCheck(file="ages.jsonl", newest="no", max_age_hours=1), False, "has no value that is a date"),
    "a number": (NewestCheck(file="flights.csv", newest="delay", max_age_hours=1), False, "is a column of BIGINT, not"),
    "a mistyped year": (NewestCheck(file="future.csv", newest="seen", max_age_hours=1), False, "lies in the future"),
    "a query": (QueryCheck(query="SELECT max(delay) FROM 'flights.csv'", max=7), True, "= 7 passed"),
    "a query of an input": (
        QueryCheck(query="SELECT count(*) FROM 'inputs/ingest/airports.csv' JOIN \"flights.csv\" ON true", max=7),
        False,
        "= 8 is above max = 7",
    ),
    "a query of the folder": (
        QueryCheck(query="FROM read_parquet(['partitioned/*/*.parquet']) SELECT sum(n)", max=9),
        False,
        "= 12 is above max = 9",
    ),
    "a decimal": (QueryCheck(query="SELECT 0.1 + 0.2", max=0.3), True, "= 0.3 passed"),
    "a share": (QueryCheck(query="SELECT avg((delay IS NULL)::INT) FROM 'flights.csv'", max=0.5), True, "= 0.5 passed"),
}


@pytest.fixture(scope="module")
def answers(root: Path) -> list[Result]:
    return judged(root, *(check for check, _, _ in ANSWERED.values()))


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_answered(answers: list[Result], name: str) -> None:
    _, passed, words = ANSWERED[name]
    result = answers[list(ANSWERED).index(name)]
    assert result.passed is passed and words in result.message and "\n" not in result.message, result.message


REFUSED = {
    "two statements": ("SELECT 1; SELECT 2", "it must be one SELECT, and has 2 statements"),
    "a COPY": ("COPY (SELECT 1) TO 'x.csv'", "it must be a SELECT"),
    "a COPY after a SELECT": ("SELECT 1; COPY (SELECT 1) TO 'x.csv'", "it must be a SELECT"),
    "a setting": ("SET memory_limit = '8GB'", "it must be a SELECT"),
    "a database of its own": ("ATTACH 'x.db'", "it must be a SELECT"),
    "a file elsewhere": ("SELECT count(*) FROM '../secret.csv'", "cannot be checked: Permission Error"),
    "a file by its whole path": (
        "SELECT count(*) FROM read_text('/etc/passwd')",
        "cannot be checked: Permission Error",
    ),
    "a file beside": ("SELECT count(*) FROM 'outputs/../secret.csv'", "cannot be checked: Permission Error"),
    "a file of an input beside": ("SELECT count(*) FROM 'inputs/ingest/../../secret.csv'", "Permission Error"),
    "a file behind a link": ("SELECT count(*) FROM 'link.csv'", "cannot be checked: Permission Error"),
    "a file named by a function": ("SELECT count(*) FROM read_csv('/etc/' || 'passwd')", "Permission Error"),
    "the variables": ("SELECT count(*) FROM read_blob('/proc/self/environ')", "Permission Error"),
    "an address": ("SELECT count(*) FROM 'https://localhost/x.csv'", "cannot be checked: "),
    "an extension": ("SELECT count(*) FROM sqlite_scan('x', 'y')", "cannot be checked: "),
    "nonsense": ("SELEC 1", "cannot be run: syntax error"),
    "nothing": ("", "it must be one SELECT, and has 0 statements"),
    "no such file": ("SELECT count(*) FROM 'nowhere.csv'", "cannot be checked: "),
    "two columns": ("SELECT 1, 2", "must answer one number; it answers 2 columns"),
    "two rows": ("SELECT delay FROM 'flights.csv'", "must answer one number; it answers more than one row"),
    "no row": ("SELECT delay FROM 'flights.csv' WHERE false", "must answer one number; it answers no row"),
    "no value": ("SELECT max(delay) FROM 'flights.csv' WHERE false", "is not a number but NULL"),
    "a text": ("SELECT 'high'", "is not a number but 'high'"),
    "a truth": ("SELECT true", "is not a number but True"),
    "not-a-number": ("SELECT 'nan'::DOUBLE", "is not a finite number but nan"),
}


@pytest.fixture(scope="module")
def refusals(root: Path) -> list[Result]:
    return judged(root, *(QueryCheck(query=query, min=0) for query, _ in REFUSED.values()))


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_query_may_not_do(refusals: list[Result], name: str) -> None:
    result = refusals[list(REFUSED).index(name)]
    assert not result.passed and REFUSED[name][1] in result.message and "\n" not in result.message, result.message


def test_nothing_was_written(root: Path, refusals: list[Result]) -> None:
    assert {"x.csv", "x.db"}.isdisjoint(path.name for path in root.rglob("*"))


def test_a_reader_that_ends_early_fails_the_checks_that_it_did_not_answer(root: Path) -> None:
    def killed(arguments: Sequence[str], environment: Mapping[str, str] | None, folder: Path) -> int:
        return 137

    [result] = evaluate([RowsCheck(file="flights.csv", min=1)], Subject(root, memory_gb=2, start=killed))
    assert not result.passed
    assert "the program that reads tables needed too much memory; the task has memory_gb = 2" in result.message


def test_it_does_not_see_the_task_s_secrets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    seen: list[Mapping[str, str] | None] = []

    def watched(arguments: Sequence[str], environment: Mapping[str, str] | None, folder: Path) -> int:
        seen.append(environment)
        return start(arguments, environment, folder)

    evaluate([RowsCheck(file="flights.csv", min=1)], Subject(root, start=watched))
    assert seen and seen[0] is not None and "AWS_SECRET_ACCESS_KEY" not in seen[0]


@pytest.mark.parametrize(("status", "passed"), [(0, True), (3, False)])
def test_a_command_of_one_s_own(root: Path, status: int, passed: bool) -> None:
    check = CommandCheck(command=("sh", "-c", f"exit {status}"))
    [result] = evaluate([check], Subject(root, start=start))
    assert result.passed is passed
    assert result.message.startswith(f'command "sh -c exit {status}" ') and ("status 3" in result.message) is not passed


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["no-such-program", "-v"], "'no-such-program' is not there"),
        (["./check.py"], "'./check.py', or what it is run by, is not there"),
        (["./main.sh"], "'./main.sh' cannot be started"),
    ],
)
def test_a_command_that_cannot_be_started_is_a_wrong_setting_and_not_retried(
    make: Callable[..., Any], command: list[str], words: str
) -> None:
    job = make("load", "echo x > outputs/x.csv", checks=[{"command": command}], retries=2)
    run = job.run("r1")
    assert run.status == 78 and run.status in NOT_RETRIED
    assert f"[[check]] command = {json.dumps(command)}: the command {words}" in run.log
    assert job.record("r1")["status"] == "failed" and job.latest is None


def test_a_check_of_no_kind_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Check()  # type: ignore[abstract]
