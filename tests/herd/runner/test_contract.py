"""The runner's contract has one owner: what it says is spelt nowhere else in the product, and it stands alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.policy import model
from herd.runner.contract import keys, kinds, names, statuses, variables
from herd.runner.contract.checks import ColumnsCheck, ConnectionCheck, FileCheck, NullsCheck, QueryCheck, ValueCheck
from herd.runner.contract.task import Connection, Read, TaskSettings

SOURCES = Path(__file__).parents[3] / "src"
CONTRACT = SOURCES / "herd/runner/contract"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """The product's modules outside the contract, by their path below src/."""
    for folder in folders or ("herd", "localcloud"):
        for path in sorted((SOURCES / folder).rglob("*.py")):
            if CONTRACT not in path.parents and "templates" not in path.parts:
                yield path.relative_to(SOURCES).as_posix(), tree(path)


def texts(module: ast.Module) -> Iterator[str]:
    """String constants, parts of f-strings too; no docstrings, no prose."""
    said = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


# --- spelt once ----------------------------------------------------------------------------------------------------

VARIABLES = {value for name, value in vars(variables).items() if name.isupper() and str(value).startswith("HERD_")}
FAMILIES = re.compile(r"HERD_(PARAM|INPUT|CONNECTION)_")


def test_names_of_variables_are_spelt_once() -> None:
    assert len(VARIABLES) > 15
    spelt = {
        (path, text)
        for path, module in modules()
        for text in texts(module)
        if text in VARIABLES or FAMILIES.fullmatch(text)
    }
    assert not spelt


KEYS = re.compile(
    r"(.*/)?(latest\.json|baseline\.json)|.*/(versions|rejected)(/.*)?|(versions|rejected)/.*|.*\b_runs/.*"
)


@pytest.mark.parametrize(
    "text", ["latest.json", "x/latest.json", "/versions/", "/rejected/", "_runs/", "'_runs/", "/baseline.json"]
)
def test_a_key_is_noticed(text: str) -> None:
    assert KEYS.fullmatch(text)


def test_keys_of_the_buckets_are_spelt_once() -> None:
    spelt = {
        (path, text) for path, module in modules() for text in texts(module) if KEYS.fullmatch(text) and " " not in text
    }
    assert not spelt


EXITS = {value for value in vars(statuses).values() if isinstance(value, int)}


def test_exit_statuses_are_spelt_once() -> None:
    assert {65, 66, 73, 78, 124, 137, 143} <= EXITS
    spelt = {
        (path, node.value)
        for path, module in modules("herd/runner", "herd/infra/workloads", "herd/runs", "herd/review", "herd/commands")
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in EXITS
    }
    assert not spelt


WORDS = {statuses.CHECK_FAILED_RUN, *statuses.STATUS_OF_ERROR}


def test_words_for_a_failed_run_are_spelt_once() -> None:
    spelt = {(path, text) for path, module in modules() for text in texts(module) if text in WORDS}
    assert not spelt


def test_kinds_and_folders_are_listed_once() -> None:
    """A table of one's own by kind is no second list: it says something that is not here. A list of them is."""
    listed = set(kinds.FOLDERS.values())
    spelt = {
        (path, ast.unparse(node)[:60])
        for path, module in modules("herd")
        for node in ast.walk(module)
        if isinstance(node, ast.Dict | ast.List | ast.Tuple | ast.Set)
        and len(listed & {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)}) > 1
    }
    assert {path for path, _ in spelt} <= {"herd/policy/model.py"}, spelt


def test_the_rules_know_the_same_folders() -> None:
    """They may import nothing of the runner: they are asked about any program's resources."""
    assert {kind.lower(): folder for kind, folder in model.FOLDERS.items()} == kinds.FOLDERS


def patterns(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "re.compile"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value


def test_no_pattern_has_two_owners() -> None:
    owners: dict[str, set[str]] = {
        value.pattern: {"contract"} for value in vars(names).values() if isinstance(value, re.Pattern)
    }
    for path, module in modules("herd"):
        for pattern in patterns(module):
            owners.setdefault(pattern, set()).add(path)
    assert {pattern: where for pattern, where in owners.items() if len(where) > 1} == {}


# --- it stands alone -----------------------------------------------------------------------------------------------


def test_it_imports_the_standard_library_only() -> None:
    imported = set[str]()
    for path in CONTRACT.glob("*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, f"{path.name} imports from the runner"
    assert imported <= sys.stdlib_module_names


def test_it_is_found_under_the_runners_name_in_an_image(tmp_path: Path) -> None:
    (tmp_path / "runner").symlink_to(CONTRACT.parent)
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n"
        "from runner.contract import documents, keys, kinds, names, statuses, task, variables\n"
        "print(sorted(name for name in sys.modules if name.startswith(('herd', 'boto', 'pulumi'))))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- HERD_TASK -----------------------------------------------------------------------------------------------------

NAME = st.from_regex(names.WORKLOAD, fullmatch=True)
TEXT = st.text(max_size=20)
NUMBER = st.none() | st.integers(1, 10**6) | st.floats(0.001, 1e6)
PARAM = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
LIMIT = st.none() | st.floats(allow_nan=False)
OTHERWISE = st.sampled_from(["reject", "warn"])
CHECKS = st.one_of(
    st.builds(ValueCheck, file=TEXT, value=TEXT, min=LIMIT, max=LIMIT, max_drop=LIMIT, max_rise=LIMIT, trend=LIMIT),
    st.builds(FileCheck, file=TEXT, min_bytes=st.none() | st.integers(), otherwise=OTHERWISE),
    st.builds(ColumnsCheck, file=TEXT, columns=st.lists(TEXT).map(tuple), otherwise=OTHERWISE),
    st.builds(NullsCheck, file=TEXT, nulls=TEXT, max=LIMIT, trend=LIMIT),
    st.builds(ConnectionCheck, connection=TEXT, query=TEXT, max_drop=LIMIT),
    st.builds(QueryCheck, query=TEXT, max_rise=LIMIT, otherwise=OTHERWISE),
)
SETTINGS = st.builds(
    TaskSettings,
    environment=TEXT,
    workload=NAME,
    kind=st.sampled_from(kinds.KINDS),
    command=st.lists(TEXT, max_size=3).map(tuple),
    data_bucket=st.none() | TEXT,
    reports_bucket=st.none() | TEXT,
    reports_url=st.none() | TEXT,
    reads=st.lists(st.builds(Read, NAME, st.booleans(), st.none() | TEXT), max_size=3).map(tuple),
    connections=st.lists(st.builds(Connection, NAME, TEXT, TEXT, st.integers(1, 65535)), max_size=2).map(tuple),
    params=st.dictionaries(TEXT, PARAM, max_size=3),
    checks=st.lists(CHECKS, max_size=2).map(tuple),
    publish=st.lists(TEXT, max_size=3).map(tuple),
    fan_out=st.lists(NAME, max_size=3).map(tuple),
    retries=st.integers(0, 10),
    timeout_seconds=NUMBER,
    memory_gb=NUMBER,
    port=st.none() | st.integers(1, 65535),
    base_path=st.none() | TEXT,
    health=st.none() | TEXT,
    start_seconds=NUMBER,
    keep_alive_seconds=NUMBER,
    image=TEXT,
    content_hash=TEXT,
)


@given(SETTINGS)
def test_what_was_written_is_read(task: TaskSettings) -> None:
    assert TaskSettings.from_json(task.to_json()) == task


SMALL = TaskSettings(
    environment="dev", workload="ab", kind="job", command=("true",), data_bucket=None, params={}, reads=(Read("cd"),)
)


def test_the_text_is_the_same_in_every_release() -> None:
    """A running environment must preview without a change: the order of the fields is part of it."""
    assert SMALL.to_json() == (
        '{"schema":1,"environment":"dev","workload":"ab","kind":"job","command":["true"],"data_bucket":null,'
        '"reports_bucket":null,"reports_url":null,"reads":[{"name":"cd","fetch":true}],"connections":[],"params":{},'
        '"checks":[],"fan_out":[],"retries":0,"timeout_seconds":null,"stop_seconds":30,"memory_gb":null,"port":null,'
        '"base_path":null,"health":null,"start_seconds":null,"keep_alive_seconds":null,"image":"","content_hash":""}'
    )


def test_a_later_release_may_add_fields() -> None:
    later = {**json.loads(SMALL.to_json()), "colour": "red"}
    assert TaskSettings.from_json(json.dumps(later)) == SMALL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "HERD_TASK has schema 2; this runner reads schema 1"),
        ({"schema": True}, "HERD_TASK has schema True"),
        ({"workload": "../x"}, "'../x': must not contain '/'"),
        ({"workload": 1}, "workload = 1; it must be text"),
        ({"kind": "daemon"}, "kind = 'daemon'; it must be one of job, report, api"),
        ({"command": "rm -rf"}, "command = 'rm -rf'; it must be a list"),
        ({"command": [1]}, "it must be a list of texts"),
        ({"params": {"a": None}}, "params"),
        ({"fan_out": [".."]}, "not a plain relative path"),
        ({"reads": [{"name": ".."}]}, "not a plain relative path"),
        ({"reads": [{"nam": "x"}]}, "reads"),
        ({"reads": ["x"]}, "reads"),
        ({"retries": -1}, "retries = -1; it must be a whole number"),
        ({"retries": True}, "retries = True"),
        ({"timeout_seconds": 0}, "timeout_seconds = 0; it must be a number above 0"),
        ({"memory_gb": "2"}, "memory_gb = '2'"),
        ({"port": 80.5}, "port = 80.5"),
    ],
)
def test_what_cannot_be_read_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TaskSettings.from_json(json.dumps({**json.loads(SMALL.to_json()), **change}))


@pytest.mark.parametrize("field", ["schema", "environment", "workload", "kind", "command", "data_bucket", "params"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    value = json.loads(SMALL.to_json())
    del value[field]
    with pytest.raises(ValueError, match=f"HERD_TASK has no '{field}'"):
        TaskSettings.from_json(json.dumps(value))


PLAIN = st.none() | st.booleans() | st.integers() | TEXT
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=5)


@given(JSON, st.data())
def test_no_value_raises_anything_else(value: object, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(json.loads(SMALL.to_json()))))
    with suppress(ValueError):
        TaskSettings.from_json(json.dumps({**json.loads(SMALL.to_json()), field: value}))


def test_changing_a_field_changes_the_text() -> None:
    assert replace(SMALL, image="x").to_json() != SMALL.to_json()


def test_patterns_for_permissions_cover_the_keys() -> None:
    assert keys.version_prefix("ab", "r1").startswith(keys.all_versions("ab")[:-1])
    assert keys.rejected_prefix("ab", "r1").startswith(keys.all_rejected("ab")[:-1])
    assert keys.record_key("ab", "r1", "item").startswith(keys.all_records("ab")[:-1])
    assert keys.record_key("ab", "r1").startswith(keys.ALL_RECORDS[:-1])
