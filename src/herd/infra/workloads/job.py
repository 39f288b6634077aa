"""A job: trains a model, updates a dataset, writes to a database."""

import pulumi

from herd.infra.spec.load import JobSpec
from herd.infra.workloads.batch import BatchWorkload
from herd.infra.workloads.common import Platform


class Job(BatchWorkload):
    """A folder of jobs/: it runs on its schedule, or in its pipeline, and publishes to the data bucket.

        job = Job(spec, platform, None, project)
        job.machine.arn, job.task_role.role.name, job.log_group.name

    `pipeline`: the name of the one that runs it.
    Docker image, LogGroup, execution and task Role with a policy each, TaskDefinition, StateMachine, Schedule. Costs
    nothing while it does not run.
    """

    def __init__(self, spec: JobSpec, platform: Platform, pipeline: str | None, parent: pulumi.Resource) -> None:
        super().__init__("Job", spec, platform, pipeline, parent)
        self.register_outputs({})
