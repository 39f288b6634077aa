"""The local cloud's process from outside: a real one is started, asked, and stopped."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from herd import console
from herd.checkout.find import Checkout
from herd.deploy import leftovers, local_stack
from herd.errors import HerdError, WrongInput
from herd.targets import environment_lock, local_cloud
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.toolchain import machine, uv
from tests.herd.outputs import outputs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout that shares this one's code and packages and has a local cloud of its own."""
    root = tmp_path_factory.mktemp("checkout")
    for entry in (".venv", "Pulumi.yaml"):
        (root / entry).symlink_to(ROOT / entry)
    made = Checkout(root, machine.user_cache())
    assert uv.find(made.cache), "uv is missing: `make test` installs it"
    yield made
    local_cloud.stop(made)


def test_it_is_started_once_even_by_two_at_the_same_time(home: Checkout) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(local_cloud.start, [home, home])
    assert first == second
    assert local_cloud.running(home) == first


def test_its_files_are_the_persons_alone(home: Checkout) -> None:
    local_cloud.start(home)
    for file in (home.cloud / "aws" / "credentials", home.cloud / "endpoint.json", home.cloud / "cloud.log"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_only_before_anything_is_made_in_it_it_is_unused(home: Checkout) -> None:
    target = LocalTarget(home, "dev")
    with target.locked():
        assert local_cloud.start(home).is_unused
        leftovers.record_existing(target)
        (memory,) = home.pulumi.glob("*.before.json")
        assert json.loads(memory.read_text()) == []
        target.client("sqs").create_queue(QueueName="planted")
        assert not local_cloud.start(home).is_unused
        leftovers.record_existing(target)
        assert [name for name in json.loads(memory.read_text()) if "planted" in name]
        target.client("sqs").delete_queue(QueueUrl=target.client("sqs").get_queue_url(QueueName="planted")["QueueUrl"])
    local_cloud.stop(home)
    assert not local_cloud.start(home).is_unused


def test_clients_reach_it_and_nothing_of_the_persons(home: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    local_cloud.start(home)
    for name, value in {
        "AWS_PROFILE": "prod",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_ENDPOINT_URL": "https://example.com",
        "AWS_REGION": "us-east-1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = LocalTarget(home, "dev").client("s3")
    s3.create_bucket(Bucket="herd-test", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="herd-test", Key="a", Body=b"b")
    assert s3.get_object(Bucket="herd-test", Key="a")["Body"].read() == b"b"
    assert s3.meta.region_name == "eu-west-1"


def test_what_it_refuses_is_an_error_with_its_words(home: Checkout) -> None:
    cloud = local_cloud.start(home)
    with pytest.raises(HerdError, match="the local cloud"):
        cloud.ask({"do": "dance"})


@pytest.fixture
def released(home: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local cloud that is up was started by an earlier release."""
    earlier = tmp_path / "localcloud"
    shutil.copytree(ROOT / "src/localcloud", earlier, ignore=shutil.ignore_patterns("__pycache__"))
    with (earlier / "version.py").open("a") as file:
        file.write("# an earlier release\n")
    local_cloud.stop(home)
    with monkeypatch.context() as then:
        then.setenv("PYTHONPATH", str(tmp_path))
        local_cloud.start(home)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person is told."""
    said: list[str] = []
    monkeypatch.setattr(console, "note", lambda text, **style: said.append(text))
    return said


def test_one_that_runs_older_code_is_started_again_with_what_it_holds(
    home: Checkout, released: None, notes: list[str]
) -> None:
    before = local_cloud.running(home)
    s3 = LocalTarget(home, "dev").client("s3")
    s3.create_bucket(Bucket="herd-kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    after = local_cloud.start(home)
    assert before and (after.instance, after.port) == (before.instance, before.port) and after.pid != before.pid
    assert notes == ["the local cloud runs the code of an earlier Herd: restarting it with its state"]
    assert "herd-kept" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert local_cloud.start(home) == after, "once is enough"


def test_one_that_runs_older_code_goes_on_while_somebody_is_at_work_in_it(
    home: Checkout, released: None, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = local_cloud.running(home)
    with environment_lock.held(home, "pr-17"), monkeypatch.context() as another:
        another.setattr(os, "getpid", lambda: 1)
        assert local_cloud.start(home) == before
    assert len(notes) == 1 and notes[0].endswith("uses it")


def test_it_is_gone_after_stop(home: Checkout) -> None:
    cloud = local_cloud.start(home)
    assert local_cloud.stop(home) is True
    assert local_cloud.running(home) is None
    with pytest.raises(ProcessLookupError):
        os.kill(cloud.pid, 0)
    assert local_cloud.stop(home) is False


def test_a_start_that_fails_shows_the_reason(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    checkout.python.write_text("#!/bin/sh\necho 'port 80 is taken by another program' >&2\nexit 3\n")
    checkout.python.chmod(0o755)
    bin_ = checkout.root / "bin"
    bin_.mkdir()
    (bin_ / "uv").write_text("#!/bin/sh\n")
    (bin_ / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    with pytest.raises(HerdError) as failed:
        local_cloud.start(checkout)
    assert "ended with status 3" in str(failed.value)
    assert "port 80 is taken by another program" in str(failed.value)


@pytest.mark.parametrize("left_behind", ["", "{", '{"port": 1}', '{"port":1,"pid":1,"instance":"x","control":"/gone"}'])
def test_what_a_killed_one_left_behind_is_not_taken_for_it(checkout: Checkout, left_behind: str) -> None:
    checkout.folder("cloud")
    (checkout.cloud / "endpoint.json").write_text(left_behind)
    assert local_cloud.running(checkout) is None


def test_without_it_commands_say_how_to_start_it(cli: Any, root: Path) -> None:
    state = root / ".herd/pulumi/.pulumi/stacks/herd"
    state.mkdir(parents=True)
    stack = {"type": "pulumi:pulumi:Stack", "outputs": outputs()}
    (state / "dev.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": [stack]}}}))
    result = cli("status")
    assert (result.exit_code, result.stderr) == (1, "the local cloud is not running; `herd up` starts it\n")


def test_the_engine_changes_only_while_there_is_no_environment(home: Checkout) -> None:
    target = LocalTarget(home, "dev")
    stacks = home.pulumi / ".pulumi" / "stacks" / home.project
    stacks.mkdir(parents=True)
    for name in ("dev", "pr-17"):
        (stacks / f"{name}.json").write_text("{}")
    with pytest.raises(HerdError, match="run with the engine process(.|\n)*herd down -e dev\n    herd down -e pr-17"):
        local_stack.choose_engine(target, "docker")
    assert local_cloud.engine(home) == "process"
    local_stack.choose_engine(target, "process")
    shutil.rmtree(stacks)
    local_cloud.stop(home)
    (home.cloud / "engine").write_text("docker\n")
    assert local_cloud.engine(home) == "docker"
    local_stack.choose_engine(target, "process")
    assert local_cloud.engine(home) == "process"
    with pytest.raises(WrongInput, match="--engine says what runs tasks on this machine"):
        local_stack.choose_engine(AwsTarget(home, "prod"), "docker")
