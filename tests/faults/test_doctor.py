"""`herd doctor`: for each state that a checkout may be broken in, what it says, and whether `--fix` repairs it.

Each row breaks a healthy checkout in one way: exactly one finding changes, and is good again after a repair.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from herd import console
from herd.checkout.find import Checkout
from herd.commands import machine
from herd.doctor import checks, local_state
from herd.doctor.local_state import Finding
from herd.errors import HerdError
from herd.toolchain import packages, preflight
from localcloud.journal.lines import File, Header, Line
from localcloud.runtime.store import Store

ROOT = Path(__file__).parents[2]
KEY = "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
DEAD = 2**22 + 7
"""A process number that Linux never gives out."""


@dataclass
class Patient:
    """A healthy checkout, and what has to be undone after it was broken."""

    checkout: Checkout
    undo: ExitStack
    monkeypatch: pytest.MonkeyPatch

    def put(self, path: str, text: str) -> Path:
        file = self.checkout.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "defaults.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, root)
    shutil.copytree(ROOT / "images", root / "images")
    (root / ".venv").mkdir()
    for entry in (ROOT / ".venv").iterdir():
        if entry.name != packages.STAMP:
            (root / ".venv" / entry.name).symlink_to(entry)
    (root / ".venv" / packages.STAMP).write_text(json.dumps(packages._wanted(root, packages.DEVELOP)))
    for command in (["init", "-q"], ["add", "Pulumi.dev.yaml"], ["commit", "-qm", "settings"]):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(root), *who, *command], check=True, capture_output=True)
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setattr(preflight, "LEAST_FREE_GB", 0)
    (tmp_path / "bin").mkdir()
    for tool, said in {
        "pulumi": "echo v3.259.0",
        "uv": "true",
        "chromium": "echo Chromium 120.0.6099.1",
        "chromedriver": "echo ChromeDriver 120.0.6099.1",
    }.items():
        (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\n{said}\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    checkout = Checkout(root, tmp_path / "cache" / "herd")
    for folder in ("cloud", "cloud/aws", "pulumi"):
        checkout.folder(folder)
    with ExitStack() as undo:
        yield Patient(checkout, undo, monkeypatch)


@pytest.fixture(autouse=True)
def consoles_of_this_test() -> Iterator[None]:
    """They are made once, for the streams of then; pytest gives each test streams of its own."""
    for made in (console.out, console.err):
        made.cache_clear()
    yield
    for made in (console.out, console.err):
        made.cache_clear()


# --- ways to break it ---


def kill_the_cloud(patient: Patient) -> None:
    told = {"port": 1, "pid": DEAD, "instance": "x", "control": "/nonexistent/control", "version": "0", "started": ""}
    patient.put(".herd/cloud/endpoint.json", json.dumps(told)).chmod(0o600)


def hang_the_cloud(patient: Patient) -> None:
    lock = patient.undo.enter_context(patient.put(".herd/cloud/lock", "4711").open("r+"))
    fcntl.flock(lock, fcntl.LOCK_EX)


def copy_the_checkout(patient: Patient) -> None:
    from localcloud.control import Control

    elsewhere = Path(patient.undo.enter_context(tempfile.TemporaryDirectory()))
    other = Control({"ping": lambda request, owned: {"home": "/somebody/else/.herd/cloud"}}, elsewhere / "control")
    other.start()
    patient.undo.callback(other.close)
    told = {"port": 1, "pid": os.getpid(), "instance": "x", "control": str(other.path), "version": "0", "started": ""}
    patient.put(".herd/cloud/endpoint.json", json.dumps(told)).chmod(0o600)


def leave_a_pulumi_lock(patient: Patient) -> None:
    lock = {"pid": DEAD, "username": "x", "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00+00:00"}
    patient.put(".herd/pulumi/.pulumi/locks/organization/herd/dev/abc.json", json.dumps(lock))


def leave_a_lock_of_another_machine(patient: Patient) -> None:
    lock = {"pid": 7, "username": "x", "hostname": "another-machine", "timestamp": "2026-01-01T00:00:00+00:00"}
    patient.put(".herd/pulumi/.pulumi/locks/organization/herd/dev/abc.json", json.dumps(lock))


def deploy(patient: Patient, **latest: object) -> None:
    patient.put(".herd/pulumi/passphrase", "words").chmod(0o600)
    state = {"version": 3, "checkpoint": {"stack": "organization/herd/dev", "latest": latest}}
    patient.put(".herd/pulumi/.pulumi/stacks/herd/dev.json", json.dumps(state))


def leave_a_pending_operation(patient: Patient) -> None:
    urn = "urn:pulumi:dev::herd::aws:s3/bucket:Bucket::data"
    deploy(patient, pending_operations=[{"type": "creating", "resource": {"urn": urn}}])


def spoil_the_state(patient: Patient) -> None:
    deploy(patient)
    patient.put(".herd/pulumi/.pulumi/stacks/herd/dev.json", '{"version": 3, "checkpo')


def lose_the_passphrase(patient: Patient) -> None:
    deploy(patient)
    (patient.checkout.pulumi / "passphrase").unlink()


def lose_the_passphrases_words(patient: Patient) -> None:
    deploy(patient)
    (patient.checkout.pulumi / "passphrase").write_text("")


def spoil_the_port(patient: Patient) -> None:
    patient.put(".herd/cloud/port", "4o96\n").chmod(0o600)


def take_the_port(patient: Patient) -> None:
    stranger = patient.undo.enter_context(socket.create_server(("127.0.0.1", 0)))
    patient.put(".herd/cloud/port", f"{stranger.getsockname()[1]}\n").chmod(0o600)


def take_the_port_of_what_is_deployed(patient: Patient) -> None:
    deploy(patient)
    take_the_port(patient)


def write_a_journal(patient: Patient) -> Path:
    folder = patient.checkout.folder("cloud", "journal")
    lines = [Line(n, 1.0, "POST", "/", [], "ecs", "eu-west-1", "root", "") for n in range(1, 4)]
    File.create(folder / "requests", Header("0" * 32, 1.0), lines).close()
    patient.put(".herd/cloud/journal/key", base64.b64encode(b"k" * 32).decode()).chmod(0o600)
    Store(patient.checkout.folder("cloud", "runtime") / "runtime.sqlite").close()
    return folder / "requests"


def corrupt_the_journal(patient: Patient) -> None:
    path = write_a_journal(patient)
    path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":7'))


def lose_the_journals_key(patient: Patient) -> None:
    write_a_journal(patient).with_name("key").unlink()


def corrupt_the_ledger(patient: Patient) -> None:
    write_a_journal(patient)
    patient.put(".herd/cloud/plugins/ledger.sqlite", "this is no database " * 100).chmod(0o600)


def lose_the_store(patient: Patient) -> None:
    write_a_journal(patient)
    (patient.checkout.cloud / "runtime/runtime.sqlite").write_bytes(b"")


def hide(*tools: str) -> Callable[[Patient], None]:
    def break_(patient: Patient) -> None:
        folder = patient.checkout.root.parent / "bin"
        for tool in tools:
            (folder / tool).unlink()
        patient.monkeypatch.setenv("PATH", str(folder))

    return break_


def open_a_secret(patient: Patient) -> None:
    patient.put(".herd/cloud/aws/credentials", KEY).chmod(0o644)


def spoil_the_credentials(patient: Patient) -> None:
    patient.put(".herd/cloud/aws/credentials", "[default\n").chmod(0o600)


def open_the_state_folder(patient: Patient) -> None:
    patient.checkout.state.chmod(0o755)


def change_the_packages(patient: Patient) -> None:
    lock = patient.checkout.root / packages.RUN
    lock.write_text(lock.read_text() + "one==1\n")


def half_build_an_image(patient: Patient) -> None:
    patient.put(".herd/cloud/images/images/0123.partial/rootfs/x", "")


def half_make_a_venv(patient: Patient) -> None:
    (patient.checkout.cache / "venvs/0123/bin").mkdir(parents=True)


def half_make_packages(patient: Patient) -> None:
    (patient.checkout.cache / "checkouts/0123.new").mkdir(parents=True)


def lose_the_settings(patient: Patient) -> None:
    (patient.checkout.root / "Pulumi.dev.yaml").unlink()


def fill_the_disk(patient: Patient) -> None:
    patient.monkeypatch.setattr(preflight, "LEAST_FREE_GB", 10**9)


def misspell(patient: Patient) -> None:
    patient.put("jobs/churn/workload.toml", "scheduel = 1\n")


def leave_a_task(patient: Patient) -> None:
    program = patient.put(".herd/cloud/images/images/0123/rootfs/opt/venv/bin/python", "")
    shutil.copy2("/bin/sleep", program)
    task = subprocess.Popen([program, "600"])
    patient.undo.callback(task.wait)
    patient.undo.callback(task.kill)


def use_a_foreign_shell(patient: Patient) -> None:
    patient.monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///somebody/else/.herd/pulumi")


@dataclass(frozen=True)
class Row:
    """How to break it; which finding changes; a part of what it says; whether `--fix` repairs it."""

    break_: Callable[[Patient], None]
    what: str
    says: str
    repaired: bool


ROWS = {
    "killed cloud": Row(kill_the_cloud, "local cloud", f"endpoint.json names process {DEAD}, which has ended", True),
    "cloud that hangs": Row(hang_the_cloud, "local cloud", "process 4711 does not answer", False),
    "copied checkout": Row(copy_the_checkout, "local cloud", "of another checkout, of which this one is a copy", True),
    "stale lock of Pulumi": Row(leave_a_pulumi_lock, "locks", f"engine that was killed: pulumi (process {DEAD}", True),
    "lock of another machine": Row(leave_a_lock_of_another_machine, "locks", "another-machine", False),
    "lost passphrase": Row(lose_the_passphrase, "Pulumi's state", "passphrase is missing or empty", False),
    "empty passphrase": Row(lose_the_passphrases_words, "Pulumi's state", "passphrase is missing or empty", False),
    "port file without a port": Row(spoil_the_port, "port", "port holds no number", False),
    "other packages": Row(change_the_packages, "packages", "`make up` installs them", False),
    "pending operation": Row(leave_a_pending_operation, "Pulumi's state", "during dev: data", False),
    "spoilt state": Row(spoil_the_state, "Pulumi's state", "dev.json, Pulumi's state, cannot be read", False),
    "spoilt credentials": Row(spoil_the_credentials, "credentials", "or remove it, and the next start", False),
    "taken port": Row(take_the_port, "port", f"is taken by another program (process {os.getpid()}", True),
    "taken port, deployed": Row(take_the_port_of_what_is_deployed, "port", "is taken by another program", False),
    "corrupt journal": Row(corrupt_the_journal, "kept state", "requests, line 3: its checksum does not fit", False),
    "journal without key": Row(lose_the_journals_key, "kept state", "key is missing", False),
    "corrupt ledger": Row(corrupt_the_ledger, "kept state", "ledger.sqlite cannot be used: it is damaged", False),
    "lost store": Row(lose_the_store, "kept state", "or go on without what is lost", False),
    "no uv": Row(hide("uv"), "uv", "`make up` installs it", False),
    "no Pulumi, no Go": Row(hide("pulumi"), "Pulumi", "https://www.pulumi.com/docs/install/", False),
    "readable credentials": Row(open_a_secret, "permissions", ".herd/cloud/aws/credentials", True),
    "open state folder": Row(open_the_state_folder, "permissions", "open to others: .herd", True),
    "half-built image": Row(half_build_an_image, "half-built", "0123.partial", True),
    "half-made venv": Row(half_make_a_venv, "half-built", "venvs/0123", True),
    "half-made packages": Row(half_make_packages, "half-built", "checkouts/0123.new", True),
    "no settings of the stack": Row(lose_the_settings, "stack settings", "Pulumi.dev.yaml is missing", True),
    "disk nearly full": Row(fill_the_disk, "disk", "GB free", False),
    "wrong settings": Row(misspell, "settings", "did you mean 'schedule'", False),
    "left-over task": Row(leave_a_task, "processes", "tasks of a local cloud that ended", True),
    "shell of another checkout": Row(use_a_foreign_shell, "this shell", "variables of another environment", False),
}

NEEDS_NETWORK = {"no uv", "other packages"}
"""Repaired too, but by an installation that is tested with the toolchain."""


def findings() -> dict[str, Finding]:
    return {finding.what: finding for finding in checks.run_checks()}


@pytest.mark.parametrize("name", ROWS)
def test_each_broken_state_is_found_explained_and_repaired_if_that_is_safe(patient: Patient, name: str) -> None:
    row = ROWS[name]
    before = findings()
    assert before[row.what].good, before[row.what]
    row.break_(patient)
    broken = findings()
    changed = [what for what, finding in broken.items() if finding.good != before[what].good]
    assert changed == [row.what]
    finding = broken[row.what]
    assert row.says in f"{finding.state}\n{finding.advice}" and finding.advice
    if name in NEEDS_NETWORK:
        assert finding.repair is not None
        return
    assert (finding.repair is not None) == row.repaired
    done = checks.fix([finding])
    after = findings()
    assert len(done) == row.repaired and after[row.what].good == row.repaired
    assert [what for what, found in after.items() if found.good != before[what].good] == (
        [] if row.repaired else [row.what]
    )


def test_what_somebody_works_on_is_left_alone(patient: Patient) -> None:
    half_make_a_venv(patient)
    half_build_an_image(patient)
    for lock in (
        patient.checkout.cache / "venvs/0123.lock",
        patient.checkout.cloud / "images/images/images.lock",
    ):
        lock.touch()
        fcntl.flock(patient.undo.enter_context(lock.open("r+")), fcntl.LOCK_EX)
    assert findings()["half-built"].good


def test_a_task_that_ends_before_it_is_ended_is_no_failure(patient: Patient) -> None:
    leave_a_task(patient)
    [task] = local_state._tasks(patient.checkout)
    found = findings()["processes"]
    task.kill()
    task.wait()
    assert checks.fix([found]) == ["processes: 1 ended"]


def test_a_torn_last_line_of_the_journal_is_no_damage_and_stays(patient: Patient) -> None:
    path = write_a_journal(patient)
    torn = path.read_bytes()[:-20]
    path.write_bytes(torn)
    assert findings()["kept state"].good
    assert path.read_bytes() == torn, "doctor changes nothing"


def test_what_is_lost_is_set_aside_only_when_a_person_wants_it(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_the_store(patient)
    for fix in (False, True):
        with pytest.raises(HerdError, match="herd doctor --set-aside"):
            machine.doctor(fix=fix)
    assert not list(patient.checkout.cloud.glob("set-aside-*"))
    machine.doctor(set_aside=True)
    (aside,) = patient.checkout.cloud.glob("set-aside-*")
    assert str(aside) in capsys.readouterr().out and (aside / "runtime/runtime.sqlite").read_bytes() == b""
    assert findings()["kept state"].good
    machine.doctor(set_aside=True)
    assert "nothing is lost" in capsys.readouterr().out


def test_a_missing_browser_is_a_note_only(patient: Patient) -> None:
    hide("chromedriver")(patient)
    browser = findings()["browser"]
    assert (browser.good, browser.note) == (True, True) and "only the project's own tests need one" in browser.state


def test_a_repair_that_fails_is_said(patient: Patient) -> None:
    def fail() -> str:
        raise PermissionError(1, "Operation not permitted")

    assert checks.fix([Finding("x", False, "y", "z", fail)]) == [
        "x: could not be repaired: [Errno 1] Operation not permitted"
    ]


def test_the_command_says_what_fix_would_repair_and_then_does(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    open_a_secret(patient)
    misspell(patient)
    with pytest.raises(HerdError) as told:
        machine.doctor(fix=False)
    assert "chmod" in str(told.value) and "`herd doctor --fix` repairs:" in str(told.value)
    with pytest.raises(HerdError) as told:
        machine.doctor(fix=True)
    assert "chmod" not in str(told.value) and "did you mean 'schedule'" in str(told.value)
    assert "permissions: closed to others" in capsys.readouterr().out
    secret = patient.checkout.cloud / "aws/credentials"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_it_is_quick(patient: Patient) -> None:
    began = time.process_time()
    findings()
    assert time.process_time() - began < 1.0
