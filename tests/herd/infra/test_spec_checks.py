"""[[check]]: what each kind takes, what reaches the runner, and what people are told of a wrong one."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from herd.infra.messages import reword
from herd.infra.spec import checks
from herd.infra.spec.models import TABLES, JobSpec
from herd.runner.contract import checks as contract

WRITTEN = {
    "value": 'file = "m.json"\nvalue = "auc"\nmin = 0.7',
    "value, all limits": 'file = "m.json"\nvalue = "auc"\nmin = 0\nmax = 1\nmax_drop = 0.1\nmax_rise = 0.2\ntrend = 4',
    "file": 'file = "model.pkl"',
    "file, sizes": 'file = "model.pkl"\nmin_bytes = 1\nmax_bytes = 1000\notherwise = "warn"',
    "changed": 'file = "data.csv"\nchanged = true',
    "rows": 'file = "data.parquet"\nrows = true\nmin = 1',
    "columns": 'file = "inputs/ingest/data.csv"\ncolumns = ["a", "b c"]',
    "nulls": 'file = "data.csv"\nnulls = "a"\nmax = 0.05',
    "unique": 'file = "data.csv"\nunique = ["id"]',
    "newest": 'file = "data.csv"\nnewest = "day"\nmax_age_hours = 36',
    "query": 'query = "SELECT count(*) FROM \'data.csv\' WHERE x > 1"\nmax = 0\notherwise = "warn"',
    "connection": 'connection = "warehouse"\nquery = "SELECT count(*) FROM staged"\nmin = 1\nmax_drop = 10',
    "command": 'command = ["python", "check.py"]',
    "command as a line": 'command = "python check.py && test -s outputs/x"',
}


def spec_of(text: str) -> checks.Check:
    return TypeAdapter[Any](checks.AnyCheck).validate_python(tomllib.loads(text))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_reaches_the_runner(name: str) -> None:
    spec = spec_of(WRITTEN[name])
    assert spec.kind == name.partition(",")[0].partition(" ")[0] and list(spec.problems()) == []
    check = contract.KINDS[spec.kind](**spec.model_dump())
    assert contract.from_entry(contract.to_entry(check)) == check
    assert (
        contract.to_entry(check).items()
        >= {
            key: value for key, value in spec.model_dump(mode="json").items() if key in tomllib.loads(WRITTEN[name])
        }.items()
    )


@pytest.mark.parametrize("kind", contract.KINDS)
def test_spec_and_runner_have_the_same_settings(kind: str) -> None:
    [model] = [model for model in checks.CHECKS.values() if model.kind == kind]  # type: ignore[attr-defined]
    runner = {field.name: field.default for field in fields(contract.KINDS[kind])}
    assert set(model.model_fields) == set(runner)
    optional = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
    assert optional == {name: runner[name] for name in optional}


def test_what_earlier_releases_wrote_of_a_value_is_the_same_text() -> None:
    """Else an upgrade would replace every task definition."""
    check = contract.ValueCheck(file="m.json", value="auc", min=0.7)
    entry = {"file": "m.json", "value": "auc", "min": 0.7, "max": None, "max_drop": None}
    assert list(contract.to_entry(check).items()) == list(entry.items())
    assert contract.from_entry(entry) == check


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "'text' is not an object"),
        ({"file": "m.json", "value": "auc", "least": 1}, "unexpected keyword argument 'least'"),
        (
            {"file": "m.csv", "rows": True, "otherwise": "ignore"},
            "otherwise = 'ignore'; it must be one of reject, warn",
        ),
        ({"newest": "day", "file": "m.csv"}, "missing 1 required keyword-only argument: 'max_age_hours'"),
    ],
)
def test_an_entry_that_the_runner_does_not_know(entry: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contract.from_entry(entry)


WRONG = {
    "no limit": ('file = "m.json"\nvalue = "auc"', "allows any value; give min, max, max_drop, max_rise or trend"),
    "rows without a limit": ('file = "m.csv"\nrows = true', "allows any value; give min, max, max_drop"),
    "limits that exclude each other": ('file = "m.json"\nvalue = "a"\nmin = 2\nmax = 1', "min = 2 is above max = 1"),
    "sizes that exclude each other": ('file = "m"\nmin_bytes = 2\nmax_bytes = 1', "min_bytes = 2 is above"),
    "a forgotten value": ('file = "m.json"\nmin = 1', "[[check]] no. 1: value is missing"),
    "two questions": ('file = "m.csv"\nrows = true\nnulls = "a"\nmin = 1', "asks for rows and nulls: write a"),
    "a misspelt setting": ('file = "m.csv"\nrows = true\nmim = 1', "unknown setting 'mim'; did you mean 'min'?"),
    "a setting of another kind": ('file = "m"\nmin_byte = 1', "unknown setting 'min_byte'; did you mean 'min_bytes'?"),
    "not a truth": ('file = "m.csv"\nrows = 5\nmin = 1', "[[check]] no. 1: rows = 5 is not allowed; allowed: true"),
    "outside": ('file = "../m.csv"\nrows = true\nmin = 1', 'file = "../m.csv" must be a file below outputs/'),
    "an input without a file": ('file = "inputs/ingest"\nrows = true\nmin = 1', "must name a file of an input"),
    "no columns": ('file = "m.csv"\ncolumns = []', "[[check]] no. 1: columns = [] must not be empty"),
    "a column twice": ('file = "m.csv"\nunique = ["a", "a"]', "names 'a' twice"),
    "an age of nothing": ('file = "m.csv"\nnewest = "a"\nmax_age_hours = 0', "max_age_hours = 0 is"),
    "a trend of nothing": ('file = "m.json"\nvalue = "a"\ntrend = 0', "trend = 0 is"),
    "a drop below nothing": ('file = "m.json"\nvalue = "a"\nmax_drop = -1', "max_drop = -1 is out of range"),
    "not a SELECT": ('query = "DROP TABLE x"\nmax = 0', "must be one SELECT"),
    "a connection without a query": ('connection = "warehouse"\nmin = 1', "[[check]] no. 1: query is missing"),
    "a connection and a file": (
        'connection = "w"\nfile = "m.csv"\nrows = true\nmin = 1',
        "asks for rows and connection: write a",
    ),
    "a change in a database": ('connection = "warehouse"\nquery = "DELETE FROM x"\nmax = 0', "must be one SELECT"),
    "another word": ('file = "m"\notherwise = "ignore"', 'otherwise = "ignore" is not allowed; allowed: reject, warn'),
    "no table": ("file = 3", "[[check]] no. 1: file = 3 must be text in quotes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_said_in_words(name: str) -> None:
    text, message = WRONG[name]
    problems = []
    try:
        spec = TypeAdapter[Any](tuple[checks.AnyCheck, ...]).validate_python((tomllib.loads(text),))[0]
        problems = [f"[[check]] no. 1: {problem}" for problem in spec.problems()]
    except ValidationError as invalid:
        errors = [{**error, "loc": ("check", *error["loc"])} for error in invalid.errors(include_url=False)]
        problems = [reword(error, JobSpec, TABLES) for error in errors]  # type: ignore[arg-type]
    assert len(problems) == 1 and message in problems[0], problems


def test_a_command_that_is_wrong_is_not_shown() -> None:
    """People put secrets into command lines."""
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter[Any](tuple[checks.AnyCheck, ...]).validate_python(({"command": ["x", "hush\0"]},))
    [error] = invalid.value.errors(include_url=False)
    assert "hush" not in reword({**error, "loc": ("check", *error["loc"])}, JobSpec, TABLES)
