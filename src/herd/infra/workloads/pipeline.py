"""A pipeline: the machine that starts the machines of the jobs joined by `after`, in order."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws.sfn.state_machine import StateMachine

from herd.infra.context import Component
from herd.infra.spec.load import Pipeline
from herd.infra.states.pipeline import pipeline_definition
from herd.infra.workloads.batch import BatchWorkload, When, schedule
from herd.infra.workloads.common import Platform, schedule_export


class PipelineMachine(Component):
    """Jobs joined by `after`: StateMachine, and a Schedule if its roots have one.

        pipeline = PipelineMachine(project.specs.pipelines[0], jobs, platform, project)
        pipeline.machine.arn

    It starts nothing more once the first `review_by` among its jobs has passed: running on without one of them would
    publish results that nobody vouches for.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        jobs: Mapping[str, BatchWorkload],
        platform: Platform,
        parent: pulumi.Resource,
    ) -> None:
        super().__init__("Pipeline", f"{pipeline.name}-pipeline", parent)
        self.pipeline = pipeline
        context = platform.context
        members = [jobs[name] for level in pipeline.levels for name in level]
        specs = {member.spec.name: member.spec for member in members}
        machines = {name: context.machine_arn(context.naming.machine(name)) for name in specs}
        self.machine = StateMachine(
            self.child("machine"),
            name=context.naming.pipeline(pipeline.name),
            role_arn=platform.roles.states.role.arn,
            definition=platform.target.apply(
                lambda target: json.dumps(pipeline_definition(pipeline, specs, machines, target))
            ),
            tags=context.tags(),
            opts=self.options(depends_on=[*platform.roles.states.ready, *(member.machine for member in members)]),
        )
        if pipeline.schedule is not None:
            name = context.naming.pipeline_schedule(pipeline.name)
            when = When(pipeline.schedule, pipeline.timezone, pipeline.paused)
            schedule(name, when, specs.values(), self.machine, platform, self)
        self.register_outputs({})

    def exports(self) -> dict[str, Any]:
        return {
            "machine": self.machine.arn,
            "levels": [list(level) for level in self.pipeline.levels],
            "schedule": schedule_export(self.pipeline.schedule, self.pipeline.timezone),
            "deadline_minutes": self.pipeline.deadline_minutes if self.pipeline.is_due else None,
            "paused": self.pipeline.paused,
        }
