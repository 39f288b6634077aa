"""What a local cloud keeps and cannot use: the start stops with a sentence, and nothing of it is removed or changed."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import backends, salvage
from localcloud.cloud import LocalCloud
from localcloud.config import Config, LocalCloudError
from localcloud.state import FOLDERS, forget

ACCOUNTS = itertools.count(700_000_000_000 + os.getpid() * 1000)
URN = "urn:pulumi:dev::p::aws:cloudwatch/logGroup:LogGroup::logs"
MACHINE = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
CONTENT = {f"k{number}": f"content {number} ".encode() * 50 for number in range(4)}


def config_of(home: Path, account: str) -> Config:
    return Config(home, home.parent / "cache", Path("/bin/true"), account)


@contextmanager
def serving(home: Path, account: str) -> Iterator[LocalCloud]:
    """A local cloud in this process, as the first of its account."""
    backends.forget(account)
    cloud = LocalCloud(config_of(home, account), port=0)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()


def make(cloud: LocalCloud) -> None:
    """A bit of everything that is kept."""
    client = cloud.server.client
    provider = cloud.plugins.provider("aws")
    provider.configure("eu-west-1", {})
    provider.create(URN, {"name": "/g"}, False)
    client("s3").create_bucket(Bucket="bbb", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, content in CONTENT.items():
        client("s3").put_object(Bucket="bbb", Key=key, Body=content)
    client("logs").create_log_stream(logGroupName="/g", logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "hello"}
    client("logs").put_log_events(logGroupName="/g", logStreamName="s", logEvents=[event])
    role = client("iam").create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    machine = client("stepfunctions").create_state_machine(name="m", definition=MACHINE, roleArn=role)
    arn = client("stepfunctions").start_execution(stateMachineArn=machine["stateMachineArn"], name="n")["executionArn"]
    while client("stepfunctions").describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(0.01)


def held(cloud: LocalCloud) -> dict[str, Any]:
    """All that `make` made."""
    client = cloud.server.client
    keys = [found["Key"] for found in client("s3").list_objects_v2(Bucket="bbb").get("Contents", [])]
    machines = client("stepfunctions").list_state_machines()["stateMachines"]
    return {
        "objects": {key: client("s3").get_object(Bucket="bbb", Key=key)["Body"].read() for key in keys},
        "logs": [event["message"] for event in client("logs").filter_log_events(logGroupName="/g")["events"]],
        "runs": [
            found["name"]
            for machine in machines
            for found in client("stepfunctions").list_executions(stateMachineArn=machine["stateMachineArn"])[
                "executions"
            ]
        ],
        "stacks": cloud.plugins.stacks(),
    }


WHOLE = {"objects": CONTENT, "logs": ["hello"], "runs": ["n"], "stacks": {"p/dev": 1}}


@dataclass(frozen=True)
class Kept:
    """The files of a cloud that was stopped, and of one that was killed; whose they are."""

    stopped: Path
    killed: Path
    account: str


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    account = str(next(ACCOUNTS))
    with serving(folder / "cloud", account) as cloud:
        make(cloud)
        assert held(cloud) == WHOLE
        shutil.copytree(folder / "cloud", folder / "killed")
    return Kept(folder / "cloud", folder / "killed", account)


def files(home: Path) -> dict[str, Any]:
    """Everything that is kept: of a database that can be read its rows, without what it says of its own starts."""
    found: dict[str, Any] = {}
    for path in (path for name in FOLDERS for path in sorted((home / name).rglob("*")) if path.is_file()):
        if path.stat().st_size and not path.name.endswith(("-shm", ".lock")):
            found[str(path.relative_to(home))] = path.read_bytes()
    for name in [name for name in found if name.endswith(".sqlite")]:
        how = "ro" if (home / f"{name}-wal").exists() else "ro&immutable=1"
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{home / name}?mode={how}", uri=True)) as file:
            found[name] = [line for line in file.iterdump() if '"fact"' not in line]
            found.pop(f"{name}-wal", None)
    return found


# --- ways to spoil it ---


def cut(path: str, share: float) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        file = home / path
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return spoil


def remove(path: str) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        file = home / path
        shutil.rmtree(file) if file.is_dir() else file.unlink()

    return spoil


def garbage(path: str) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        (home / path).write_bytes(b"\xff\x00 no such thing " * 100)

    return spoil


def make_newer(home: Path) -> None:
    with closing(sqlite3.connect(home / "runtime/runtime.sqlite")) as file:
        file.execute("PRAGMA user_version = 99")


def spoil_a_page(home: Path) -> None:
    file = home / "runtime/runtime.sqlite"
    data = bytearray(file.read_bytes())
    data[4096 * 2 : 4096 * 3] = b"\x5a" * 4096
    file.write_bytes(data)


def put_a_folder(home: Path) -> None:
    (home / STORE).unlink()
    (home / STORE).mkdir()


def lose_the_names(home: Path) -> None:
    (home / "images/images/ab").mkdir()
    (home / "images/images/ab/image.json").write_text("{}")
    (home / "images/images/names.json").unlink()


def an_object(spoil: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda home: spoil(sorted((home / "runtime/objects").glob("*/*"))[0])


STORE, AHEAD = "runtime/runtime.sqlite", "runtime/runtime.sqlite-wal"

SPOILT: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "store cut short": ("stopped", cut(STORE, 0.6), "runtime.sqlite cannot be used: it is damaged"),
    "store almost empty": ("stopped", cut(STORE, 0.001), "runtime.sqlite cannot be used: it is damaged"),
    "store empty": ("stopped", cut(STORE, 0), "runtime.sqlite cannot be used: it is missing"),
    "store gone": ("stopped", remove(STORE), "runtime.sqlite cannot be used: it is missing"),
    "store with all its files gone": ("killed", remove("runtime"), "runtime.sqlite cannot be used: it is missing"),
    "store overwritten": ("stopped", garbage(STORE), "runtime.sqlite cannot be used: it is damaged"),
    "a page overwritten": ("stopped", spoil_a_page, "runtime.sqlite cannot be used: it is damaged"),
    "a folder in its place": ("killed", put_a_folder, STORE),
    "what was written ahead gone": ("killed", remove(AHEAD), "runtime.sqlite-wal cannot be used: it is missing"),
    "of a newer version": ("stopped", make_newer, "a newer version wrote it (format 99, known: 2)"),
    "an object cut short": ("stopped", an_object(lambda file: file.write_bytes(b"co") and None), "has 2 of 500 bytes"),
    "an object gone": ("stopped", an_object(lambda file: file.unlink()), "s3://bbb/k"),
    "all objects gone": ("killed", remove("runtime/objects"), "and 1 more"),
    "journal empty": ("stopped", cut("journal/requests", 0), "journal/requests is empty"),
    "journal gone": ("stopped", remove("journal/requests"), "journal/requests cannot be used: it is missing"),
    "journal's folder gone": ("stopped", remove("journal"), "journal/requests cannot be used: it is missing"),
    "journal's head cut": ("stopped", cut("journal/requests", 0.01), "journal/requests, line 1: "),
    "journal overwritten": ("stopped", garbage("journal/requests"), "journal/requests, line 1: "),
    "journal's key overwritten": ("stopped", garbage("journal/key"), "journal/key holds no key"),
    "journal's key gone": ("stopped", remove("journal/key"), "journal/key is missing"),
    "ledger empty": ("stopped", cut("plugins/ledger.sqlite", 0), "ledger.sqlite cannot be used: it is missing"),
    "ledger gone": ("stopped", remove("plugins/ledger.sqlite"), "ledger.sqlite cannot be used: it is missing"),
    "ledger cut short": ("stopped", cut("plugins/ledger.sqlite", 0.5), "ledger.sqlite cannot be used: it is damaged"),
    "ledger's key overwritten": ("stopped", garbage("plugins/ledger.key"), "ledger.key cannot be used: it is damaged"),
    "ledger's key empty": ("stopped", cut("plugins/ledger.key", 0), "ledger.key cannot be used: it is damaged"),
    "ledger's key gone": ("stopped", remove("plugins/ledger.key"), "ledger.key cannot be used: it is missing"),
    "names of images gone": ("stopped", lose_the_names, "it is missing (but there are images)"),
    "names of images overwritten": ("stopped", garbage("images/images/names.json"), "names.json cannot be used: it is"),
    "credentials overwritten": ("stopped", garbage("aws/credentials"), "aws/credentials"),
    "credentials empty": ("stopped", cut("aws/credentials", 0), "aws/credentials"),
    "credentials of another shape": (
        "stopped", lambda home: (home / "aws/credentials").write_text("[default]\nx = 1\n") and None,
        "aws/credentials",
    ),
    "port overwritten": ("stopped", garbage("port"), "port holds no number"),
    "port empty": ("stopped", cut("port", 0), "port holds no number"),
    "port too high": ("stopped", lambda home: (home / "port").write_text("123456") and None, "port holds no number"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_used_stops_the_start_and_stays(kept: Kept, tmp_path: Path, name: str) -> None:
    which, spoil, says = SPOILT[name]
    home = tmp_path / "cloud"
    shutil.copytree(getattr(kept, which), home)
    if name.startswith("port"):
        (home / "port").write_text("4096")
    spoil(home)
    before = files(home)
    for attempt in range(2):
        with pytest.raises(LocalCloudError) as refused:
            backends.forget(kept.account)
            LocalCloud(config_of(home, kept.account), port=None if name.startswith("port") else 0).start()
        assert says in str(refused.value), attempt
        assert str(home) in str(refused.value)
        assert files(home) == before, attempt


@pytest.mark.parametrize("which", ["stopped", "killed"])
def test_what_is_put_back_is_there_again(kept: Kept, tmp_path: Path, which: str) -> None:
    home, whole = tmp_path / "cloud", getattr(kept, which)
    shutil.copytree(whole, home)
    (home / STORE).write_bytes(b"")
    with pytest.raises(LocalCloudError, match="or empty"):
        LocalCloud(config_of(home, kept.account), port=0).start()
    shutil.copy2(whole / STORE, home / STORE)
    with serving(home, kept.account) as cloud:
        assert held(cloud) == WHOLE


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_journal_that_lost_its_end_takes_nothing_with_it(kept: Kept, tmp_path: Path, share: float) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.stopped, home)
    journal = home / "journal/requests"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: 1 + int((len(lines) - 1) * share)]))
    objects = {path: content for path, content in files(home).items() if "/objects/" in path}
    for starts in (1, 2):
        with serving(home, kept.account) as cloud:
            assert cloud._state.losses == 1, "it is counted once"
        assert objects.items() <= files(home).items(), starts
    shutil.copy2(kept.stopped / "journal/requests", journal)
    with serving(home, kept.account) as cloud:
        assert held(cloud) == WHOLE


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_store_that_lost_its_last_rows_takes_no_object_with_it(kept: Kept, tmp_path: Path, share: float) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.killed, home)
    cut(AHEAD, share)(home)
    objects = {path: content for path, content in files(home).items() if "/objects/" in path}
    assert len(objects) == len(CONTENT)
    with pytest.raises(LocalCloudError, match="set-aside"):
        backends.forget(kept.account)
        LocalCloud(config_of(home, kept.account), port=0).start()
    assert objects.items() <= files(home).items()
    aside = salvage.set_aside(config_of(home, kept.account))
    assert aside is not None and objects.items() <= files(aside).items()
    with serving(home, kept.account) as cloud:
        assert held(cloud)["objects"].items() <= CONTENT.items()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_after_a_power_cut_the_same_is_a_loss(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """The machine ended with it: what is there goes on, and the next `up` looks what is missing."""
    home = tmp_path / "cloud"
    shutil.copytree(kept.killed, home)
    cut(AHEAD, share)(home)
    objects = {path: content for path, content in files(home).items() if "/objects/" in path}
    monkeypatch.setattr("localcloud.runtime.store._boot", lambda: "another boot")
    for _ in range(2):
        with serving(home, kept.account) as cloud:
            assert cloud._state.losses == 1
            assert held(cloud)["objects"].items() <= CONTENT.items()
        assert objects.items() <= files(home).items()


def test_what_was_asked_after_a_loss_has_numbers_of_its_own(kept: Kept, tmp_path: Path) -> None:
    """The numbers decide over identifiers: what Pulumi still knows of the lost must not be somebody else's."""
    home = tmp_path / "cloud"
    shutil.copytree(kept.stopped, home)
    with serving(home, kept.account) as cloud:
        lost = cloud.server.client("ec2").create_security_group(GroupName="a", Description="a")["GroupId"]
    journal = home / "journal/requests"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    for _ in range(2):
        with serving(home, kept.account):
            pass
    with serving(home, kept.account) as cloud:
        assert cloud.server.client("ec2").create_security_group(GroupName="b", Description="b")["GroupId"] != lost


def test_what_was_removed_in_the_lost_second_does_not_come_back(kept: Kept, tmp_path: Path) -> None:
    """Nobody would know it any more, and its name would be taken for ever."""
    home, urn = tmp_path / "cloud", URN.replace("::logs", "::more")
    shutil.copytree(kept.stopped, home)
    journal = home / "journal/requests"
    with serving(home, kept.account) as cloud:
        provider = cloud.plugins.provider("aws")
        provider.configure("eu-west-1", {})
        identifier, outputs = provider.create(urn, {"name": "/more", "retentionInDays": 7}, False)
        size = journal.stat().st_size
        provider.delete(urn, identifier, outputs)
    journal.write_bytes(journal.read_bytes()[:size])
    with serving(home, kept.account) as cloud:
        groups = cloud.server.client("logs").describe_log_groups()["logGroups"]
        assert [group["logGroupName"] for group in groups] == ["/g"]
        assert held(cloud) == WHOLE


# --- what is no damage ---


def fails_with(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full (No space left on device). Nothing was removed: make room, and try again"),
        (errno.EIO, "the disk does not give it (Input/output error). Nothing was removed: look at the disk"),
        (errno.EACCES, "this user may not read and write it (Permission denied). Nothing was removed: give it back"),
        (errno.EBUSY, "another program holds it (Device or resource busy). Nothing was removed: end that program"),
    ],
)
def test_what_the_disk_does_not_give_is_not_taken_for_missing(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.killed, home)
    before = files(home)
    for name in ("read_bytes", "stat"):
        genuine = getattr(Path, name)

        def selective(self: Path, *args: Any, genuine: Any = genuine, **more: Any) -> Any:
            if self.name in ("requests", "runtime.sqlite") or "/objects/" in str(self):
                fails_with(number)()
            return genuine(self, *args, **more)

        with monkeypatch.context() as patched, pytest.raises(LocalCloudError) as refused:
            patched.setattr(Path, name, selective)
            backends.forget(kept.account)
            LocalCloud(config_of(home, kept.account), port=0).start()
        assert says in str(refused.value)
        assert "forget" not in str(refused.value), "nothing is lost that one would have to go on without"
    assert files(home) == before


def test_a_store_that_another_program_holds_is_waited_for_and_then_said(kept: Kept, tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.stopped, home)
    with closing(sqlite3.connect(home / STORE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LocalCloudError, match="another program holds it"):
            backends.forget(kept.account)
            LocalCloud(config_of(home, kept.account), port=0).start()
    with serving(home, kept.account) as cloud:
        assert held(cloud) == WHOLE


def test_a_store_of_before_there_were_facts_is_taken_over(kept: Kept, tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.stopped, home)
    with closing(sqlite3.connect(home / STORE, isolation_level=None)) as file:
        file.executescript("DROP TABLE fact; DROP TABLE unreferenced; PRAGMA user_version = 0;")
    with serving(home, kept.account) as cloud:
        assert (held(cloud), cloud._state.losses) == (WHOLE, 0)


def test_to_forget_needs_no_readable_state(kept: Kept, tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(kept.stopped, home)
    cut(STORE, 0)(home)
    (home / "functions/code/digest").mkdir(parents=True)
    (home / "databases").mkdir()
    (home / "functions/code/digest/app.py").touch(0o444)
    assert {path.name for path in forget(config_of(home, kept.account), keep=False)} == set(FOLDERS)
    with serving(home, kept.account) as cloud:
        assert cloud.plugins.stacks() == {}


# --- the way out ---


@pytest.mark.parametrize(
    ("which", "spoil", "stays"),
    [
        ("killed", remove(AHEAD), {"stacks": WHOLE["stacks"]}),
        ("stopped", an_object(lambda file: file.unlink()), {**WHOLE, "objects": 3}),
        ("stopped", cut(STORE, 0), {"stacks": WHOLE["stacks"], "objects": 0, "logs": [], "runs": []}),
        ("stopped", cut("journal/requests", 0), {"stacks": {}}),
        ("stopped", remove("plugins/ledger.key"), {"stacks": {}}),
        ("stopped", lose_the_names, WHOLE),
        ("stopped", lambda home: None, WHOLE),
    ],
    ids=["written ahead", "an object", "store", "journal", "ledger's key", "images", "nothing"],
)
def test_to_set_aside_keeps_all_in_a_copy_and_goes_on_with_the_rest(
    kept: Kept, tmp_path: Path, which: str, spoil: Callable[[Path], None], stays: dict[str, Any]
) -> None:
    home = tmp_path / "cloud"
    shutil.copytree(getattr(kept, which), home)
    spoil(home)
    before = files(home)
    aside = salvage.set_aside(config_of(home, kept.account))
    assert (aside is None) == (files(home) == before)
    if aside is not None:
        copied = {name: content for name, content in before.items() if (aside / name).exists()}
        assert copied and files(aside).items() >= copied.items()
    with serving(home, kept.account) as cloud:
        assert cloud.plugins.stacks() == stays["stacks"]
        if "objects" in stays:
            found = held(cloud)
            assert found["objects"].items() <= CONTENT.items()
            assert len(found["objects"]) == (len(CONTENT) if stays == WHOLE else stays["objects"])
            assert (found["logs"], found["runs"]) == (stays["logs"], stays["runs"])


# --- a full disk, for real ---


def test_a_start_on_a_full_disk_stops_and_everything_is_there_afterwards(kept: Kept, tmp_path: Path) -> None:
    home = tmp_path / "cloud"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "herd-test", str(home)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk was not tried: this user may not mount a file system")
    try:
        shutil.copytree(kept.stopped, home, dirs_exist_ok=True)
        before = files(home)
        with (home / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 16, 64):
                with pytest.raises(OSError, match="No space left"):
                    while True:
                        filler.write(b"\0" * size)
        for _ in range(3):
            command = [sys.executable, "-m", "localcloud", "serve", "--home", home, "--cache", home, "--uv", "uv"]
            done = subprocess.run(
                [*command, "--port", "0", "--account", kept.account], capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
            assert done.stderr.startswith(f"localcloud: {home}") and done.stderr.count("\n") == 1
            assert "the disk is full" in done.stderr and "make room, and try again" in done.stderr
        (home / "filler").unlink()
        assert before.items() <= files(home).items()
        with serving(home, kept.account) as cloud:
            assert held(cloud) == WHOLE
        with (home / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"\0" * 64)
        forget(config_of(home, kept.account), keep=False)
        assert files(home) == {}, "a full disk can be emptied"
    finally:
        subprocess.run(["umount", "-l", str(home)], check=False)
