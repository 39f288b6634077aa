"""`herd down` leaves nothing, or names what is left: also without its local cloud, and with half of one."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from herd.checkout import stack_config
from herd.targets import local_cloud
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-nothing-left")]


@pytest.fixture(scope="module")
def world(worlds: Callable[[str], World]) -> World:
    """Small: only a service."""
    made = worlds("left")
    for folder in ("jobs", "reports"):
        shutil.rmtree(made.folder / folder)
    return made


def up(world: World) -> psutil.Process:
    """The local cloud, with the environment in it."""
    world.herd("up", "--no-run")
    cloud = world.cloud_process()
    assert cloud is not None
    return cloud


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(60)


def test_where_there_never_was_anything(world: World) -> None:
    assert "was not up" in world.herd("down").stdout
    world.assert_nothing_left()


def test_where_an_up_was_killed_before_it_had_made_anything(world: World) -> None:
    """Pulumi writes the settings of a stack before the stack."""
    copy = stack_config.path_of(world.checkout, "dev")
    copy.write_text("encryptionsalt: v1:\n")
    assert "was not up" in world.herd("down").stdout
    assert not copy.exists()
    world.assert_nothing_left()


def test_a_suspended_local_cloud_is_started_again(world: World) -> None:
    cloud = up(world)
    cloud.send_signal(signal.SIGSTOP)
    done = world.herd("status")
    assert "gamma" in done.stdout
    said = f"the local cloud (process {cloud.pid}) was suspended; restarting it with its state"
    assert said in done.stderr, done.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"port": null, "pid": 1, "instance": "x", "control": "/nowhere"}'])
def test_an_address_file_that_cannot_be_read(world: World, text: str) -> None:
    if text == "{":
        up(world)
        (world.checkout.cloud / "endpoint.json").write_text(text)
        assert "gamma" in world.herd("status").stdout
    else:  # said of the file alone: starting the cloud anew is the same for all
        file = world.checkout.cloud / "endpoint.json"
        good = file.read_text()
        file.write_text(text)
        assert local_cloud.running(world.checkout) is None
        file.write_text(good)
        assert local_cloud.running(world.checkout) is not None


def test_what_was_planted_is_named(world: World) -> None:
    up(world)
    queues = world.target().client("sqs")
    url = queues.create_queue(QueueName="herd-dev-planted")["QueueUrl"]
    done = world.herd("down", check=False)
    assert done.returncode == 1
    assert "this is left of it" in done.stderr and "queue " in done.stderr and "herd-dev-planted" in done.stderr
    queues.delete_queue(QueueUrl=url)
    world.herd("down")
    world.assert_nothing_left()


def test_what_a_check_of_prod_staged_is_not_taken_for_something_left(world: World) -> None:
    up(world)
    world.herd("check")
    assert (world.checkout.state / "build" / "prod").exists()
    world.herd("down")
    assert not (world.checkout.state / "build" / "dev").exists()
    world.assert_nothing_left()


def test_the_local_cloud_is_gone_and_its_port_is_taken(world: World) -> None:
    cloud = up(world)
    port = local_cloud.port(world.checkout)
    assert port is not None
    kill(cloud)
    with taken(port):
        done = world.herd("down")
        assert "nothing is left" in done.stderr, done.stderr
        assert local_cloud.port(world.checkout) == port
    world.assert_nothing_left()


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


def test_half_of_the_local_cloud_is_gone(world: World) -> None:
    """What is left is enough to be taken down; a copy of it is kept."""
    kill(up(world))
    for name in ("runtime", "images"):
        shutil.rmtree(world.checkout.cloud / name)
    done = world.herd("down")
    assert "runtime.sqlite cannot be used: it is missing" in done.stderr and "set-aside-" in done.stderr, done.stderr
    world.assert_nothing_left()


def test_a_damaged_ledger_is_said_in_words(world: World) -> None:
    up(world)
    world.herd("stop")
    for path in (world.checkout.cloud / "plugins").glob("ledger.sqlite*"):
        path.write_bytes(b"no database " * 500)
    done = world.herd("up", check=False)
    assert done.returncode == 1
    assert "ledger.sqlite cannot be used: it is damaged" in done.stderr, done.stderr
    assert "`herd doctor --set-aside`" in done.stderr and "Traceback" not in done.stderr
    down = world.herd("down")
    assert "set-aside-" in down.stderr and "had already lost" in down.stdout
    world.assert_nothing_left()


def test_a_local_cloud_whose_checkout_was_removed_ends(world: World) -> None:
    cloud = up(world)
    tasks = world.containers()
    assert tasks
    control = Path(world.target().cloud.control)
    shutil.rmtree(world.folder, ignore_errors=True)
    world.wait_for("the local cloud to end", lambda: not cloud.is_running() or cloud.status() == "zombie", 90)
    world.wait_for("its tasks to end", lambda: not any(task.is_running() for task in tasks))
    assert not control.exists()
