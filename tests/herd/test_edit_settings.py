"""Writing one setting into a team's file: everything else stays as it stands, comments included."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.checkout import edit_settings
from herd.checkout.edit_settings import Edit, set_toml, set_yaml, toml
from herd.errors import WrongInput

FILE = """\
# trains it
schedule = "0 6 * * *"   # before work
memory_gb = 2
fan_out = [
    "a",  # the first
    "b",
]
replicas = { min = 1, max = 2 } # copies

[params]
month = 2

[[check]]
file = "m.json"
value = "auc"
min = 0.60               # a coin

[[check]]
file = "m.json"
value = "n"
min = 10

[environments.prod]
memory_gb = 8
"""


@dataclass(frozen=True)
class Case:
    name: str
    path: tuple[str | int, ...]
    value: Any
    line: str
    instead: str = ""


CASES = [
    Case("a number", ("memory_gb",), 4, "memory_gb = 4\n", "memory_gb = 2\n"),
    Case("a text beside a comment", ("schedule",), "0 7 * * *", 'schedule = "0 7 * * *"   # before work\n'),
    Case("a list over several lines", ("fan_out",), ["c"], 'fan_out = ["c"]\n'),
    Case("within an inline table", ("replicas", "max"), 5, "replicas = { min = 1, max = 5 } # copies\n"),
    Case("new in an inline table", ("replicas", "target_cpu"), 5, "replicas = { min = 1, max = 2, target_cpu = 5 } #"),
    Case("in a table", ("params", "month"), 3, "[params]\nmonth = 3\n"),
    Case("new in a table", ("params", "year"), 2027, "month = 2\nyear = 2027\n"),
    Case("the first check", ("check", 0, "min"), 0.5, "min = 0.5               # a coin\n"),
    Case("the second check", ("check", 1, "min"), 11, "min = 11\n"),
    Case(
        "new in a check", ("check", 0, "otherwise"), "warn", 'min = 0.60               # a coin\notherwise = "warn"\n'
    ),
    Case("of one environment", ("environments", "prod", "memory_gb"), 16, "[environments.prod]\nmemory_gb = 16\n"),
    Case("new at the top", ("retries",), 3, "retries = 3\n"),
    Case("new in a new table", ("env", "DEBUG"), "1", 'env.DEBUG = "1"\n'),
    Case("removed", ("memory_gb",), None, "# before work\nfan_out"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_value_is_written_and_the_rest_stays(case: Case) -> None:
    after = set_toml(FILE, case.path, case.value)
    assert case.line in after
    comments = [line.partition("#")[2] for line in FILE.splitlines() if "#" in line and "first" not in line]
    assert all(f"#{comment}" in after for comment in comments)


def test_a_file_that_is_not_there_yet_is_begun() -> None:
    assert set_toml("", ("memory_gb",), 0.5) == "memory_gb = 0.5\n"
    assert set_toml("a = 1", ("b",), 2) == "a = 1\nb = 2\n"


def test_what_only_a_person_can_write_is_refused_with_what_to_write() -> None:
    with pytest.raises(WrongInput, match=r"write 3 yourself"):
        set_toml("x = [\n" + "1,\n" * 300 + "]\n", ("x",), 3)
    with pytest.raises(WrongInput, match="cannot be written here"):
        set_toml("params = 1\n", ("params", "month"), 3)
    with pytest.raises(WrongInput, match="cannot be written here"):
        set_toml("this is no TOML", ("a",), 1)
    with pytest.raises(WrongInput, match="write 1 yourself"):
        set_toml("a = 1", ("check", 3, "min"), 1)


KEYS = st.text("abcdef_-", min_size=1, max_size=4)
PLAIN = st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(KEYS, PLAIN, min_size=1, max_size=3)


@given(st.dictionaries(KEYS, VALUES, max_size=5), KEYS, VALUES)
def test_whatever_a_file_says_it_says_the_same_and_the_new_value(file: dict[str, Any], key: str, value: Any) -> None:
    text = "".join(f"{name} = {toml(one)} # {name}\n" for name, one in file.items())
    assert tomllib.loads(set_toml(text, (key,), value)) == {**file, key: value}


STACK = """\
# prod
config:
  herd:profile: prod # strict
  aws:region: eu-west-1
"""


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        (STACK, "herd:keep_versions_days", 5, STACK.replace("config:\n", "config:\n  herd:keep_versions_days: 5\n")),
        (STACK, "herd:profile", "dev", STACK.replace("prod # strict", "dev # strict")),
        ("", "herd:protect", True, "config:\n  herd:protect: true\n"),
        ("encryptionsalt: x\n", "herd:protect", True, "encryptionsalt: x\nconfig:\n  herd:protect: true\n"),
    ],
)
def test_a_stacks_file_gets_one_value(before: str, key: str, value: Any, after: str) -> None:
    assert set_yaml(before, key, value) == after


def test_nothing_is_written_where_one_of_several_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1\n")
    (tmp_path / "b.toml").write_text("no TOML")
    edits = [Edit("a.toml", ("x",), 2), Edit("b.toml", ("x",), 2)]
    with pytest.raises(WrongInput, match=r"b\.toml"), edit_settings.written(tmp_path, edits):
        pass
    assert (tmp_path / "a.toml").read_text() == "x = 1\n"


def test_files_are_put_back_where_what_follows_fails(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1\n")
    edits = [Edit("a.toml", ("x",), 2), Edit("new.toml", ("y",), 3)]
    with pytest.raises(ZeroDivisionError), edit_settings.written(tmp_path, edits):
        assert (tmp_path / "a.toml").read_text() == "x = 2\n"
        raise ZeroDivisionError
    assert (tmp_path / "a.toml").read_text() == "x = 1\n" and not (tmp_path / "new.toml").exists()
