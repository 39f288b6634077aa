"""What jobs and reports share: a state machine that runs them, and a schedule that starts it."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi_aws.scheduler.schedule import Schedule as AwsSchedule
from pulumi_aws.sfn.state_machine import StateMachine

from herd.infra.context import Component
from herd.infra.spec.deadlines import deadline_minutes
from herd.infra.spec.load import BatchSpec, Schedule
from herd.infra.states.asl import Target
from herd.infra.states.job import job_definition
from herd.infra.workloads.common import Place, Platform, Workload, schedule_export
from herd.runner.contract.due import BY_SCHEDULE
from herd.runner.contract.schedule import end_of

START_RETRIES = 3
"""How often Scheduler tries to start a machine, within the hour; a start that is later than that is of no use."""


class BatchWorkload(Workload):
    """A job or a report. Ten resources at most, the component included: an environment's cost grows with them.

    One that belongs to a pipeline is started by that and has no schedule of its own.
    """

    def __init__(
        self,
        kind: str,
        spec: BatchSpec,
        platform: Platform,
        pipeline: str | None,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__(kind, spec, platform, parent)
        self.spec = spec
        family = self.context.naming.family(spec.name)
        place = platform.place(spec)
        self.machine = StateMachine(
            self.child("machine"),
            name=self.context.naming.machine(spec.name),
            role_arn=platform.roles.states.role.arn,
            definition=pulumi.Output.all(platform.target, place.capacity_provider, *place.security_groups).apply(
                lambda known: json.dumps(job_definition(spec, family, at(place, *known)))
            ),
            tags=self.context.tags(spec),
            # Creating a machine fails while its role may not yet make the rules by which it hears of ended tasks. The
            # definition names the task definition by family only, so Pulumi would not know of it.
            opts=self.options(
                depends_on=[*platform.roles.states.ready, self.task_definition, platform.cluster.capacity]
            ),
        )
        self.pipeline = pipeline
        if spec.schedule is not None and pipeline is None:
            when = When(spec.schedule, spec.timezone, spec.paused)
            schedule(self.context.naming.schedule(spec.name), when, (spec,), self.machine, platform, self)

    @property
    def _is_due(self) -> bool:
        """Does a schedule of its own start it?"""
        return self.spec.schedule is not None and self.pipeline is None and not self.spec.paused

    def exports(self) -> dict[str, Any]:
        return super().exports() | {
            "kind": self.spec.kind,
            "schedule": schedule_export(self.spec.schedule, self.spec.timezone),
            "machine": self.machine.arn,
            "pipeline": self.pipeline,
            "review_by": self.spec.review_by.isoformat(),
            "timezone": self.spec.timezone,
            "deadline_minutes": deadline_minutes(self.spec) if self._is_due else None,
            "paused": self.spec.paused,
        }


def at(place: Place, target: Target, provider: str, *groups: str) -> Target:
    """The environment's target as one job has it."""
    return replace(
        target,
        capacity_provider=provider,
        security_groups=(*target.security_groups, *groups),
        assign_public_ip=place.assign_public_ip,
    )


@dataclass(frozen=True)
class When:
    """`paused`: why it rests."""

    schedule: Schedule
    timezone: str
    paused: str | None = None


def schedule(
    name: str,
    when: When,
    vouched: Collection[BatchSpec],
    machine: StateMachine,
    platform: Platform,
    parent: Component,
) -> AwsSchedule:
    """Starts `machine`, that of a job or pipeline, at `when`, while each of `vouched` is looked over in time.

    It ends with the first of their days. One that is known to have expired turns it off; an end that lies in the past
    is then not sent, because only who knows a clock can say whether AWS would take it. One that is paused is off too,
    and not removed: whoever looks at it on AWS finds the reason, and a rate goes on counting from where it began.
    """
    context = platform.context
    settings = context.settings
    expired = any(spec.name in settings.expired for spec in vouched)
    end = min(end_of(spec.review_by, spec.timezone) for spec in vouched)
    return AwsSchedule(
        parent.child("schedule"),
        name=name,
        description=f"paused: {when.paused}" if when.paused else None,
        group_name=platform.schedule_group.name,
        schedule_expression=when.schedule.expression,
        schedule_expression_timezone=when.timezone,
        end_date=None if expired else end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        state="ENABLED" if settings.schedules and not expired and not when.paused else "DISABLED",
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": machine.arn,
            "role_arn": platform.roles.scheduler.role.arn,
            "input": json.dumps(
                {"trigger": BY_SCHEDULE, "scheduled_time": "<aws.scheduler.scheduled-time>", "params": {}}
            ),
            "dead_letter_config": {"arn": platform.missed_schedules.arn} if platform.missed_schedules else None,
            "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": START_RETRIES},
        },
        opts=parent.options(depends_on=platform.roles.scheduler.ready),
    )
