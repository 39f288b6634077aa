"""Each story gives exactly the messages of its file in stories/: when, to whom, and every word.

`WRITE_STORIES=1 pytest tests/herd/watch/test_watch_stories.py` writes them anew; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.herd.watch.stories import STORIES
from tests.herd.watch.world import World

FOLDER = Path(__file__).with_name("stories")


def written(world: World) -> str:
    """All that was sent and started, as a person would read it."""
    parts = []
    for when, message in world.sent:
        assert message.subject == message.body.partition("\n")[0] or len(message.subject) <= 99
        head = f"at {when:%a %d %b %Y %H:%M} UTC, to {', '.join(message.to)}"
        rest = (
            message.body
            if message.subject == message.body.partition("\n")[0]
            else f"{message.subject}\n~\n{message.body}"
        )
        parts.append(f"{head}\n\n{rest}")
    parts += [f"starts {start.run_id} of {start.machine} with {start.input}\n" for start in world.started]
    return ("\n" + "-" * 80 + "\n").join(parts) or "Nothing is told.\n"


@pytest.mark.parametrize("name", STORIES)
def test_a_story(name: str) -> None:
    text = written(STORIES[name]())
    path = FOLDER / f"{name}.txt"
    if os.environ.get("WRITE_STORIES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_file_is_left_of_a_story_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(STORIES)
