"""The agent's one thread: steps are called when they are due, none keeps another from its turn, and it ends at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcloud.agent import worker as worker_module
from localcloud.agent.worker import Worker

LONG_SECONDS = 60.0


class Calls:
    """A step's action that notes its calls, and does and answers what a test says."""

    def __init__(self, again: float | None = None, does: Callable[[], object] = lambda: None):
        self.again, self.does = again, does
        self.times: list[float] = []
        self._changed = threading.Condition()

    def __call__(self) -> float | None:
        with self._changed:
            self.times.append(time.monotonic())
            self._changed.notify_all()
        self.does()
        return self.again

    def wait_for(self, count: int) -> list[float]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.times) >= count, LONG_SECONDS), f"{len(self.times)} calls"
            return list(self.times)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test")
    yield worker
    worker.stop()


def test_a_step_is_called_at_once_and_then_as_often_as_it_says(worker: Worker) -> None:
    often, woken = Calls(again=0.02), Calls()
    worker.add("often", often)
    worker.add("woken", woken)
    worker.start()
    times = often.wait_for(4)
    assert all(later - earlier >= 0.02 for earlier, later in zip(times, times[1:], strict=False))
    assert len(woken.times) == 1


def test_a_step_that_is_woken_is_called_before_it_would_be(worker: Worker) -> None:
    calls = Calls(again=3600.0)
    step = worker.add("rare", calls)
    worker.start()
    calls.wait_for(1)
    step.wake(1800.0)
    step.wake()
    calls.wait_for(2)
    step.wake(0.05)
    first, second = calls.wait_for(3)[1:]
    assert second - first >= 0.05


def test_the_soonest_of_several_wakes_counts_and_they_make_one_call(worker: Worker) -> None:
    calls, after = Calls(), Calls()
    step = worker.add("step", calls)
    worker.start()
    calls.wait_for(1)
    for seconds in (3600.0, 0.05, 1800.0):
        step.wake(seconds)
    calls.wait_for(2)
    worker.add("after", after)
    after.wait_for(1)
    assert step.due == float("inf") and len(calls.times) == 2


def test_a_wake_during_the_call_is_not_lost(worker: Worker) -> None:
    """What changed after the step had looked is looked at by the next call."""
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(LONG_SECONDS)

    calls = Calls(does=wait)
    step = worker.add("step", calls)
    worker.start()
    assert inside.wait(LONG_SECONDS)
    step.wake()
    go_on.set()
    calls.wait_for(2)


def test_a_step_that_is_always_due_keeps_no_other_from_its_turn(worker: Worker) -> None:
    order: list[str] = []
    greedy = Calls(again=0.0, does=lambda: order.append("greedy"))
    modest = Calls(again=0.0, does=lambda: order.append("modest"))
    worker.add("greedy", greedy)
    worker.add("modest", modest)
    worker.start()
    modest.wait_for(20)
    worker.stop()
    assert 0 <= order.count("greedy") - order.count("modest") <= 1


def test_a_step_that_fails_is_logged_and_called_again(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.02)
    failing, other = Calls(), Calls(again=0.01)
    failing.does = lambda: 1 / 0 if len(failing.times) < 3 else None
    worker.add("failing", failing)
    worker.add("other", other)
    worker.start()
    failing.wait_for(3)
    other.wait_for(5)
    worker.stop()
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "test: step failing failed; it is called again in 0.02 s"
    ] * 2
    assert "ZeroDivisionError" in caplog.text


def test_a_slow_step_is_named(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "SLOW_SECONDS", 0.0)
    slow, other = Calls(), Calls()
    worker.add("slow", slow)
    worker.add("other", other)
    worker.start()
    other.wait_for(1)
    assert "step slow took 0.0 s; the others waited for it" in caplog.text


def test_it_ends_at_once_however_long_it_would_have_waited(worker: Worker) -> None:
    calls = Calls(again=3600.0)
    worker.add("rare", calls)
    worker.start()
    calls.wait_for(1)
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < worker_module.STOP_SECONDS
    assert not any(thread.name == "test" for thread in threading.enumerate())


def test_a_step_that_was_removed_is_called_no_more_and_is_not_under_way(worker: Worker) -> None:
    inside, go_on, gone = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(LONG_SECONDS)

    calls, other = Calls(again=0.0, does=wait), Calls(again=0.01)
    step = worker.add("step", calls)
    worker.add("other", other)
    worker.start()
    assert inside.wait(LONG_SECONDS)
    remover = threading.Thread(target=lambda: (step.remove(), gone.set()))
    remover.start()
    assert not gone.wait(0.05), "it went on while the step was being called"
    go_on.set()
    assert gone.wait(LONG_SECONDS)
    remover.join()
    step.wake()
    other.wait_for(len(other.times) + 3)
    assert len(calls.times) == 1


def test_a_step_may_remove_itself(worker: Worker) -> None:
    calls, other = Calls(again=0.0), Calls()
    step = worker.add("step", calls)
    calls.does = lambda: step.remove()
    worker.start()
    calls.wait_for(1)
    worker.add("other", other)
    other.wait_for(1)
    assert len(calls.times) == 1


def test_it_takes_no_processor_time_while_nothing_is_due(worker: Worker) -> None:
    calls = [Calls(again=3600.0), Calls(), Calls(again=float(10**12))]
    for number, each in enumerate(calls):
        worker.add(str(number), each)
    worker.start()
    for each in calls:
        each.wait_for(1)
    thread = next(thread for thread in threading.enumerate() if thread.name == "test")
    clock = time.pthread_getcpuclockid(thread.ident)  # type: ignore[arg-type]
    before = time.clock_gettime(clock)
    threading.Event().wait(0.3)
    assert time.clock_gettime(clock) - before < 0.01
    assert [len(each.times) for each in calls] == [1, 1, 1]


def test_the_agent_has_one_thread_of_its_own(cloud: Any) -> None:
    """Services, health checks, schedules and logs share it; pools have threads while they work."""
    names = {thread.name for thread in threading.enumerate()}
    assert "agent" in names and not names & {"services", "health-checks", "schedules", "logs"}


def test_a_delivery_that_takes_long_holds_up_no_log_lines_and_no_other_schedule(
    cloud: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    deliver = cloud.agent._delivery.deliver

    def slowly(target: Any, payload: str, *more: Any) -> None:
        if payload == "slow":
            inside.set()
            assert go_on.wait(LONG_SECONDS)
        deliver(target, payload, *more)

    monkeypatch.setattr(cloud.agent._delivery, "deliver", slowly)
    sqs, queues = cloud.server.client("sqs"), {}
    try:
        for name in ("slow", "prompt"):
            queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
            cloud.server.client("scheduler").create_schedule(
                Name=name,
                ScheduleExpression="rate(1 hour)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={
                    "Arn": f"arn:aws:sqs:eu-west-1:{cloud.server.account}:{name}",
                    "RoleArn": f"arn:aws:iam::{cloud.server.account}:role/r",
                    "Input": name,
                },
            )
            if name == "slow":
                assert inside.wait(LONG_SECONDS)
        wait_until(lambda: sqs.receive_message(QueueUrl=queues["prompt"]).get("Messages"))
        task = cloud.run(cloud.define("sh", "-c", "echo written; sleep 60"))
        wait_until(lambda: cloud.task(task)["lastStatus"] == "RUNNING" and cloud.lines(task) == ["written"])
        assert not sqs.receive_message(QueueUrl=queues["slow"]).get("Messages")
    finally:
        go_on.set()
    wait_until(lambda: sqs.receive_message(QueueUrl=queues["slow"]).get("Messages"))
