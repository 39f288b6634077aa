"""What the stories hold together: with any of these taken out of the program, the story beside it is another one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.herd.watch.local_hands import Hands
from tests.herd.watch.local_stories import ANA, BEN, BOSS, OPS

Taken = Callable[[Hands], AbstractContextManager[Any]]

SUBSCRIPTION = "TopicSubscription watch-"
BY_RULES, FUNCTION = "Permission watch-by-rules", "Function watch-function"

RESOURCES: dict[tuple[str, ...], str] = {
    ("EventRule watch-ticks", "EventTarget watch-ticks-to-function"): "never_fires",
    ("EventTarget watch-ticks-to-function",): "never_fires",
    ("EventRule watch-runs", "EventTarget watch-runs-to-function"): "its_end_is_told_twice",
    ("EventTarget watch-runs-to-function",): "its_end_is_told_twice",
    ("EventRule watch-deployments", "EventTarget watch-deployments-to-function"): "a_service_is_rolled_back",
    ("EventTarget watch-deployments-to-function",): "a_service_is_rolled_back",
    ("EventRule watch-alarms", "EventTarget watch-alarms-to-function"): "a_service_answers_with_errors",
    ("EventTarget watch-alarms-to-function",): "a_service_answers_with_errors",
    (BY_RULES,): "its_end_is_told_twice",
    (BY_RULES, FUNCTION): "its_end_is_told_twice",
    (f"{SUBSCRIPTION}to-{ANA}",): "its_end_is_told_twice",
    (f"{SUBSCRIPTION}to-{BOSS}",): "its_end_is_told_twice",
    (f"{SUBSCRIPTION}to-{BEN}",): "a_drill",
    (f"{SUBSCRIPTION}to-{OPS}",): "a_service_is_rolled_back",
    (
        "Topic watch-messages",
        *(f"{SUBSCRIPTION}to-{address}" for address in (ANA, BEN, BOSS, OPS)),
    ): "its_end_is_told_twice",
    ("Topic watch-alarms", f"{SUBSCRIPTION}alarms-to-{BOSS}"): "the_watch_is_not_started",
    (f"{SUBSCRIPTION}alarms-to-{BOSS}",): "the_watch_is_not_started",
    ("MetricAlarm watch-silent",): "the_watch_is_not_started",
    ("MetricAlarm watch-errors",): "the_watch_s_role_is_broken",
    ("MetricAlarm watch-missed-starts",): "the_queue_of_missed_starts_fills",
    ("MetricAlarm watch-scores-copies",): "a_service_has_no_healthy_copy",
    ("MetricAlarm watch-scores-errors",): "a_service_answers_with_errors",
    ("Schedule load-schedule",): "is_in_time",
}
"""Resources of the program -> a story that needs them."""

NO_LINK = {"LogGroup watch-log"}
"""What the watch has beside: nothing is told by it."""

PARTS: dict[str, tuple[Taken, str]] = {
    "the marker of a start": (lambda world: world.without_state("load", "Begun"), "is_late"),
    **{
        f"the watch's permission {action}": (
            lambda world, action=action: world.role_without("watch", action),
            name,
        )
        for action, name in {
            "scheduler:ListSchedules": "a_schedule_is_switched_off_by_hand",
            "sns:ListSubscriptionsByTopic": "a_subscription_is_ended",
            "logs:GetLogEvents": "its_end_is_told_twice",
            "states:StartExecution": "never_fires_and_is_made_up_for",
            "states:DescribeExecution": "its_end_is_told_by_nobody",
            "sns:Publish": "its_end_is_told_twice",
        }.items()
    },
}
"""What a resource says -> a story that needs it."""

TAKEN: dict[str, tuple[Taken, str]] = {
    **{", ".join(parts): (lambda world, parts=parts: world.without(*parts), name) for parts, name in RESOURCES.items()},
    **PARTS,
}
