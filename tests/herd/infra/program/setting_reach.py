"""What each setting reaches: the properties of resources that the program registers differently when it changes.

`.venv/bin/python -m tests.herd.infra.program.setting_reach` writes the table by which `herd diff` tells what follows
from a setting that differs (src/herd/review/follows.toml); test_program_stack.py and test_program_settings.py hold it
to the program.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from herd.infra.settings.schema import PROFILES
from herd.review import follows, modulo_names
from herd.review.difference import unlike
from herd.review.modulo_names import Place
from tests.herd.infra.program import stack_changes
from tests.herd.infra.program.mocks import ACCOUNT, REGION, SETTINGS, TEAM, Program, plain, run_program, write_team

WORKLOADS = {path.split("/")[1] for path in TEAM | stack_changes.WIDE_TEAM if path.count("/") > 1}

OF_TEAM: Mapping[str, Mapping[str, Any]] = {
    "schedules": {"schedules": False},
    "expired": {"expired": ("ingest", "lonely")},
    "domain": {"domain": "data.example.com", "dns_zone": "example.com"},
}
"""Settings that reach more in a team with a pipeline and services, or where there was none before."""

HEAD = """\
# Which properties of resources each setting reaches, by type: `*` stands for names that a team chooses.
# Source: the program under mocks, each setting changed by itself.
# Written by `python -m tests.herd.infra.program.setting_reach`; read each new line before you keep it.
"""


def states(program: Program) -> list[dict[str, Any]]:
    """What was registered, as Pulumi's state has it."""
    return [
        {
            "urn": resource.urn,
            "type": resource.type,
            "custom": not resource.is_component,
            "parent": resource.parent,
            "inputs": plain(resource.inputs),
            "outputs": {},
        }
        for resource in program.resources
    ]


def reached(before: Program, after: Program, environment: str = "dev") -> set[str]:
    """The places (`herd.review.follows.place`) at which two runs differ."""
    place = Place("herd", environment, ACCOUNT, REGION)
    was, is_ = (modulo_names.plain(states(ran), place).resources for ran in (before, after))
    places = {follows.place(key[0], follows.EXISTS) for key in was.keys() ^ is_.keys()}
    for key in was.keys() & is_.keys():
        places |= {follows.place(key[0], _short(path)) for path, _, _ in unlike(was[key].inputs, is_[key].inputs)}
    return places


def _short(path: tuple[str, ...]) -> tuple[str, ...]:
    """Without what ends in the name of a workload: then all of it is meant."""
    return path[:1] if path[-1].partition(".")[0] in WORKLOADS else path


def of_stack() -> dict[str, set[str]]:
    """Setting of the stack -> what it reaches, in any profile."""
    table: dict[str, set[str]] = {}
    for profile in PROFILES:
        for change in stack_changes.CHANGES:
            places = reached(*stack_changes.before_and_after(profile, change), profile)
            table.setdefault(change.partition(" ")[0], set()).update(places)
    with tempfile.TemporaryDirectory() as folder:
        root = write_team(Path(folder), TEAM)
        before = run_program(root)
        for setting, given in OF_TEAM.items():
            table[setting] |= reached(before, run_program(root, replace(SETTINGS, **given)))
    return table


def text(of: Mapping[str, Mapping[str, set[str]]]) -> str:
    return HEAD + "".join(_tables(of))


def _tables(of: Mapping[str, Mapping[str, set[str]]]) -> Iterator[str]:
    for kind, table in of.items():
        yield f"\n[{kind}]\n"
        for setting, places in sorted(table.items()):
            lines = "".join(f'    "{place}",\n' for place in sorted(places))
            yield f"{setting} = [\n{lines}]\n" if places else f"{setting} = []\n"


def main() -> None:
    from tests.herd.infra.program import test_program_settings as of_workloads

    follows.TABLE.write_text(text({"stack": of_stack(), "workload": of_workloads.reach()}), encoding="utf-8")
    sys.stdout.write(f"{follows.TABLE}\n")


if __name__ == "__main__":
    main()
