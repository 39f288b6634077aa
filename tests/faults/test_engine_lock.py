"""Pulumi's own lock: of a dead engine it is released, of a living one waited for, of another machine respected."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from herd.checkout.find import Checkout
from herd.engine import lock
from herd.errors import HerdError
from herd.targets.local import LocalTarget
from tests.faults.hostile import eventually

ROOT = Path(__file__).parents[2]
Take = Callable[..., Path]


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    shutil.copy2(ROOT / "Pulumi.yaml", tmp_path)
    return LocalTarget(Checkout(tmp_path, tmp_path / "cache"), "dev")


@pytest.fixture
def take(target: LocalTarget) -> Take:
    folder = target.checkout.pulumi / ".pulumi/locks/organization" / target.checkout.project / "dev"
    folder.mkdir(parents=True)

    def take(pid: int, host: str = "", since: datetime | None = None) -> Path:
        """A lock file as Pulumi 3.259 writes it."""
        moment = since or datetime.now(UTC)
        file = folder / f"{pid}-{host}.json"
        told = {"pid": pid, "username": "x", "hostname": host or socket.gethostname(), "timestamp": moment.isoformat()}
        file.write_text(json.dumps(told))
        return file

    return take


def test_of_a_dead_engine(target: LocalTarget, take: Take) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    file = take(ended.pid)
    assert lock.settle(target)
    assert not file.exists()


def test_half_a_file_that_a_power_cut_left(target: LocalTarget, take: Take) -> None:
    file = take(1)
    file.write_text('{"pid": 1')
    assert lock.settle(target)
    assert not file.exists()


def test_of_a_process_that_only_has_the_number(target: LocalTarget, take: Take) -> None:
    ours = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    file = take(os.getpid(), since=ours - timedelta(days=3))
    assert lock.settle(target)
    assert not file.exists()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(lock.console, "note", lines.append)
    return lines


def test_of_a_living_engine_it_is_waited_for(target: LocalTarget, take: Take, said: list[str]) -> None:
    living = subprocess.Popen(["sleep", "300"])
    file = take(living.pid)
    done: list[bool] = []
    waiting = threading.Thread(target=lambda: done.append(lock.settle(target)))
    waiting.start()
    eventually("it to say that it waits", lambda: said)
    time.sleep(0.5)
    assert file.exists() and not done
    living.kill()
    living.wait()
    waiting.join(60)
    assert done == [True]
    assert len(said) == 1 and f"pulumi (process {living.pid} on " in said[0] and "waiting for it" in said[0]


def test_of_a_living_engine_that_does_not_end(
    target: LocalTarget, take: Take, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.3)
    file = take(os.getpid())
    with pytest.raises(HerdError, match=rf"still locked by pulumi \(process {os.getpid()}"):
        lock.settle(target)
    assert file.exists()


def test_of_another_machine_it_is_respected(target: LocalTarget, take: Take) -> None:
    file = take(1, "another-machine")
    with pytest.raises(HerdError, match=r"another-machine.*cannot see whether") as refused:
        lock.settle(target)
    assert file.exists() and str(file) in str(refused.value)
