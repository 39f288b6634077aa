"""The control socket: lines of JSON, errors as answers, things that live as long as their connection."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localcloud.config import LocalCloudError
from localcloud.control import Control, NotRunning, ask, clear_after_kill


@pytest.fixture
def ended() -> threading.Event:
    return threading.Event()


@pytest.fixture
def control(ended: threading.Event, tmp_path: Path) -> Iterator[Control]:
    def keep(request: Any, owned: ExitStack) -> dict[str, Any]:
        owned.callback(ended.set)
        return {"kept": request["what"]}

    def fail(request: Any, owned: ExitStack) -> dict[str, Any]:
        raise ValueError("no such stack")

    control = Control({"ping": lambda request, owned: {"pong": True}, "keep": keep, "fail": fail}, tmp_path / "note")
    control.start()
    yield control
    control.close()


def test_ask(control: Control) -> None:
    assert ask(control.path, {"do": "ping"}) == {"pong": True}


def test_only_its_owner_can_reach_it_and_the_path_is_short(control: Control) -> None:
    assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
    assert len(str(control.path)) < 100


def test_what_a_kill_leaves_is_found_by_the_note(tmp_path: Path) -> None:
    note = tmp_path / "note"
    killed = Control({}, note)  # before anybody has been told its address
    clear_after_kill(note)
    assert not killed.path.parent.exists() and not note.exists()
    killed.close()
    clear_after_kill(note)
    note.write_text(str(tmp_path))
    clear_after_kill(note)
    assert tmp_path.exists(), "only a folder of a control socket is removed"


def test_errors_are_answers(control: Control) -> None:
    with pytest.raises(LocalCloudError, match="no such stack"):
        ask(control.path, {"do": "fail"})
    with pytest.raises(LocalCloudError, match="one of: fail, keep, ping"):
        ask(control.path, {"do": "dance"})


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"{}\n", b'{"do": 3}\n', b"\xff\n", b"\n", b'{"do":{}}\n'])
def test_nonsense_is_answered_and_the_connection_lives_on(control: Control, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as lines:
        connection.connect(str(control.path))
        connection.sendall(line)
        assert "error" in json.loads(lines.readline())
        connection.sendall(b'{"do": "ping"}\n')
        assert json.loads(lines.readline()) == {"pong": True}


def test_what_a_connection_owns_ends_with_it(control: Control, ended: threading.Event) -> None:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as lines:
        connection.connect(str(control.path))
        connection.sendall(b'{"do": "keep", "what": "x"}\n')
        assert json.loads(lines.readline()) == {"kept": "x"}
        assert not ended.is_set()
    assert ended.wait(5)


def test_closing_ends_what_connections_own(control: Control, ended: threading.Event) -> None:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as lines:
        connection.connect(str(control.path))
        connection.sendall(b'{"do": "keep", "what": "x"}\n')
        lines.readline()
        control.close()
        assert lines.readline() == b""
    assert ended.wait(5)
    with pytest.raises(NotRunning):
        ask(control.path, {"do": "ping"})


def test_many_at_once(control: Control) -> None:
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(control.path, {"do": "ping"}))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"pong": True}] * 20
