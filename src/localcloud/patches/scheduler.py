"""EventBridge Scheduler: updates that are whole, and a word to the agent about each change."""

from __future__ import annotations

from typing import Any

from moto.scheduler import models, responses

from localcloud.patches import hooks


def apply() -> None:
    """Keep what UpdateSchedule drops, refuse groups that are not there, tell the agent."""
    _patch_update()
    _patch_create()
    _tell_of_changes()


def _patch_update() -> None:
    # scheduler/responses.py:52 does not pass ActionAfterCompletion on; on AWS what an update leaves out is reset.
    response = responses.EventBridgeSchedulerResponse
    stock = response.update_schedule

    def update_schedule(self: Any) -> str:
        answer: str = stock(self)
        name = self.uri.split("?")[0].rsplit("/", 1)[-1]
        schedule = self.scheduler_backend.get_schedule(self._get_param("GroupName"), name)
        schedule.action_after_completion = self._get_param("ActionAfterCompletion") or "NONE"
        schedule.state = schedule.state or "ENABLED"
        return answer

    response.update_schedule = update_schedule


def _patch_create() -> None:
    # scheduler/models.py:183 looks the group up in a dictionary: HTTP 500 when it is not there.
    backend = models.EventBridgeSchedulerBackend
    stock = backend.create_schedule

    def create_schedule(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.get_schedule_group(kwargs.get("group_name"))
        schedule = stock(self, *args, **kwargs)
        schedule.action_after_completion = schedule.action_after_completion or "NONE"
        return schedule

    backend.create_schedule = create_schedule


def _tell_of_changes() -> None:
    backend = models.EventBridgeSchedulerBackend
    for name in ("create_schedule", "update_schedule", "delete_schedule", "delete_schedule_group"):
        setattr(backend, name, _telling(getattr(backend, name)))


def _telling(stock: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = stock(self, *args, **kwargs)
        listener = hooks.listener(self.account_id)
        if listener is not None:
            listener.schedules_changed()
        return result

    return method
