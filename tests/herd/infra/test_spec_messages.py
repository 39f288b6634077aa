"""A wrong file gives exactly the lines of messages.golden: file and setting first, what is allowed, a suggestion."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from herd.infra.spec.load import SpecErrors, load_specs

Write = Callable[[Mapping[str, str | bytes | None]], Path]
Case = tuple[dict[str, str | bytes | None], list[str]]

JOB = "jobs/churn/workload.toml"
TEAM = 'owner = "data@example.com"\nreview_by = 2027-06-30\n'
NAMES = "allowed: 2 to 30 of a-z, 0-9 and -, a letter first, no - last"


def golden(text: str) -> dict[str, Case]:
    """The cases of messages.golden, by title."""
    cases: dict[str, Case] = {}
    for block in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = re.sub(r"^# .*\n?", "", block, flags=re.MULTILINE).partition("\n")
        files: dict[str, str | bytes | None] = {}
        for section in re.split(r"^--- ", body.split("\n>>> ")[0], flags=re.MULTILINE)[1:]:
            name, _, content = section.partition("\n")
            name, _, note = name.partition(" (")
            files[name] = None if note == "absent)" else content
        if "defaults.toml" in files and files["defaults.toml"] is not None:
            files["defaults.toml"] = TEAM + str(files["defaults.toml"])
        cases[title] = (files, re.findall(r"^>>> (.*)$", body, flags=re.MULTILINE))
    return cases


CASES = golden((Path(__file__).parent / "messages.golden").read_text(encoding="utf-8")) | {
    "a megabyte": (
        {JOB: "#" * 1_048_576},
        [f"{JOB}: has 1,048,576 bytes; allowed: up to 65,536 for a settings file"],
    ),
    "a long line": ({JOB: "#" * 5_000}, [f"{JOB}: has 5,000 characters in line 1; allowed: up to 4,000"]),
    "not UTF-8": ({JOB: b'cpu = 1\nowner = "\xff"\n'}, [f"{JOB}: is not UTF-8 text (line 2); save it as UTF-8"]),
    "UTF-16": ({JOB: "cpu = 1".encode("utf-16")}, [f"{JOB}: is not UTF-8 text (line 1); save it as UTF-8"]),
    "NUL": (
        {JOB: "cpu = 1\0"},
        [f"{JOB}: is not TOML, line 1, column 8: expected newline or end of document after a statement"],
    ),
    "nested giant": ({JOB: "x = " + "[" * 3_900}, [f"{JOB}: is nested too deeply to be a settings file"]),
    "huge number": ({JOB: "cpu = " + "1" * 3_900}, [f"{JOB}: cpu = a huge number is out of range"]),
    "too huge for Python": (
        {JOB: "cpu = 0x" + "f" * 3_900},
        [f"{JOB}: cpu = a huge number is out of range"],
    ),
    "no items": (
        {JOB: "fan_out = []"},
        [f"{JOB}: fan_out = [] has no items: leave the setting out for one task, or name what each task is for"],
    ),
    "parallel without items": (
        {JOB: "max_parallel = 4"},
        [f"{JOB}: max_parallel = 4 means nothing without fan_out: add the items, or remove it"],
    ),
    "too many at once": (
        {JOB: 'fan_out = ["a"]\nmax_parallel = 41'},
        [f"{JOB}: max_parallel = 41 is out of range; allowed: 1 to 40"],
    ),
    "too many items": (
        {JOB: f"fan_out = {[str(i) for i in range(201)]}"},
        [f'{JOB}: fan_out = ["0", "1", "2", "3", "4", …] has 201 entries; allowed: up to 200'],
    ),
    "more attempts of items than a run has events": (
        {JOB: f"retries = 10\nfan_out = {[str(i) for i in range(120)]}"},
        [
            f"{JOB}: fan_out has 120 items, which with retries = 10 can take more than the 25,000 events that AWS "
            "allows one run; allowed: up to 90 items, or fewer retries"
        ],
    ),
    "variables of a whole file": (
        {JOB: "[env]\n" + "\n".join(f'V{i} = "{"x" * 1990}"' for i in range(11))},
        [
            f"{JOB}: [env] and [params] together have 21,913 characters; "
            "allowed: up to 20,000, larger things belong in files"
        ],
    ),
    "name with a line break": (
        {"jobs/a\nb/workload.toml": "", "jobs/a\nb/main.py": ""},
        [rf"jobs/a\nb/workload.toml: 'a\nb' cannot be the name of a job; {NAMES}; rename it to 'a-b'"],
    ),
    "name too long": (
        {f"jobs/{'a' * 31}/workload.toml": "", f"jobs/{'a' * 31}/main.py": ""},
        [f"jobs/{'a' * 31}/workload.toml: '{'a' * 31}' cannot be the name of a job; {NAMES}"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, write_project: Write) -> None:
    files, lines = CASES[case]
    root = write_project(files)
    started = time.process_time()
    with pytest.raises(SpecErrors) as error:
        load_specs(root, "dev")
    assert lines and str(error.value).split("\n") == lines
    assert time.process_time() - started < 1
    assert "hunter2" not in str(error.value), "a secret is shown"


def test_the_table_was_read() -> None:
    assert len(CASES) > 120
