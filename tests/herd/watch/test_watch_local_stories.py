"""Stories on the local cloud, by a virtual clock: exactly the messages of its file in local_stories/, to exactly those.

`WRITE_STORIES=1 pytest tests/herd/watch/test_watch_local_stories.py` writes them anew; read the difference.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from herd.runs.alarms import Lost, drill
from tests.herd.infra.program.mocks import write_team
from tests.herd.watch.local_drills import LINKS, Here
from tests.herd.watch.local_hands import Hands
from tests.herd.watch.local_mutations import NO_LINK, RESOURCES, TAKEN
from tests.herd.watch.local_stories import OPS, STORIES, TEAM, USUAL, settings
from tests.herd.watch.local_world import local_world

FOLDER = Path(__file__).with_name("local_stories")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

AGE = re.compile(r"(?<=hours since the newest day )= [0-9.]+")
"""By the machine's clock: see `local_stories.sales`."""

_accounts = itertools.count(520_000_000_000 + os.getpid() * 1000)

pytestmark = pytest.mark.xdist_group("local-world")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hands]:
    """The environment, deployed once; `begin` makes a new day of it. As long as it stands all goes by its clock."""
    account = str(next(_accounts))
    root = write_team(tmp_path_factory.mktemp("team"), TEAM)
    with local_world(Hands, tmp_path_factory.mktemp("world"), account, root, settings(account)) as world:
        world.acts.usual = USUAL
        world.has_copy_of("scores")
        yield world


def written(world: Hands) -> str:
    """All that was sent, as a person would read it. Days are counted from the story's first; names are not chance's."""
    parts = []
    for when, to, text in world.told:
        parts.append(f"day {(when - world.day).days + 1} {when:%H:%M} UTC, to {', '.join(to)}\n\n{text}\n")
    text = ("\n" + "-" * 80 + "\n").join(parts) or "Nothing is told.\n"
    for n in range(-1, 10):
        day = world.day + timedelta(days=n)
        for form in (f"%a {day.day} %b %Y", "%Y-%m-%d", "%Y%m%d", "%A %d %B, %Y", "%d/%m/%y"):
            text = text.replace(day.strftime(form), f"DAY-{n + 1}")
    names: dict[str, str] = {}
    text = UUID.sub(lambda seen: names.setdefault(seen[0], f"RUN-{len(names) + 1}"), text)
    return AGE.sub("= HOURS", text.replace(world.server.account, "ACCOUNT"))


@pytest.mark.parametrize("name", STORIES)
def test_a_story(local: Hands, name: str) -> None:
    STORIES[name](local)
    text = written(local)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("WRITE_STORIES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_file_is_left_of_a_story_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(STORIES)


# With a part of the program taken out


@pytest.mark.parametrize("part", TAKEN)
def test_without_a_part_its_story_is_another(local: Hands, part: str) -> None:
    taken, name = TAKEN[part]
    with taken(local):
        STORIES[name](local)
        text = written(local)
    assert text != (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_every_resource_of_the_watch_is_in_a_story(local: Hands) -> None:
    made = {one.part for one in local.made if one.part.partition(" ")[2].startswith("watch-")}
    assert made - NO_LINK == {part for parts in RESOURCES for part in parts if " watch-" in part}


# `herd alarms test`


def test_a_drill_arrives(local: Hands) -> None:
    local.begin()
    lines = drill(Here(local), "scores")  # type: ignore[arg-type]
    assert lines[-1] == f"it is in the inbox of {OPS}: `herd inbox`"
    assert [line for line in lines if "ticks" in line and "every five minutes" in line]
    for rule in ("runs", "deployments", "alarms"):
        assert any(f"herd-dev-watch_{rule}" in line for line in lines), lines


@pytest.mark.parametrize("link", LINKS)
def test_a_broken_link_is_named(local: Hands, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herd.runs.alarms.ARRIVAL_SECONDS", 0.2)
    local.begin()
    broken, words = LINKS[link]
    with broken(local), pytest.raises(Lost) as lost:
        drill(Here(local), "model")  # type: ignore[arg-type]
    assert words in str(lost.value)


@pytest.mark.parametrize("rule", ["deployments", "alarms"])
def test_what_a_service_is_heard_by_is_looked_at_for_services_only(local: Hands, rule: str) -> None:
    local.begin()
    with local.rule_off(rule):
        with pytest.raises(Lost, match=f"the rule herd-dev-watch_{rule} is switched off"):
            drill(Here(local), "scores")  # type: ignore[arg-type]
        assert drill(Here(local), "model")  # type: ignore[arg-type]
    assert drill(Here(local), "scores")  # type: ignore[arg-type]
