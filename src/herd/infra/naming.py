"""The one owner of physical names and tags.

Names that people type or read (log group, family, service, repository, bucket, schedule) are fixed, so that they can be
found again; where a name passes the limit of its service it is cut and a hash of the whole name is added, so that two
long names never meet. Renaming anything here replaces the resource in every environment.

No two environments of an account share a name: a project has no hyphen, an environment none but before a number
(`pr-17`), and what follows begins with a letter. A permission for `herd-dev-*` therefore covers the environment dev and
its numbered siblings (`dev-2`), and no others.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from herd.runner.contract import names

# AWS keeps for itself: load balancers `internal-…`, security groups `sg-…`, buckets `sthree-…`, capacity providers
# `aws…`, `ecs…`, `fargate…`.
PROJECT_TAG, ENVIRONMENT_TAG = "herd:project", "herd:environment"
MADE_BY_TAG = "herd:made-by"
"""Whose a resource is: permissions, clean-up and what is adopted go by these."""

PROJECT = re.compile(r"(?!internal$|sg$|sthree$|aws|ecs|fargate)[a-z][a-z0-9]{1,11}")

# Limits: AWS service quotas (IAM role, ALB and target group, Scheduler, Step Functions, S3, security group).
ROLE, LOAD_BALANCER, SCHEDULE, MACHINE, BUCKET, SECURITY_GROUP = 64, 32, 64, 80, 63, 255
LAUNCH_TEMPLATE, QUEUE = 128, 80
FUNCTION, RULE, TOPIC, ALARM = 64, 64, 256, 255
_HASH = 8


def boundary_name(project: str, *, of_pull_requests: bool = False) -> str:
    """The policy of `herd bootstrap` that bounds every role of an environment; those of pull requests have their own,
    by which they reach nothing of another environment.
    """
    return f"{project}-{'pr-' if of_pull_requests else ''}boundary"


def fit(name: str, limit: int) -> str:
    """`name` when it fits, else its beginning and a hash of all of it: stable, and different for different names."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{name[: limit - _HASH - 1].rstrip('-_.')}-{digest}"


@dataclass(frozen=True)
class Naming:
    """Names and tags of one environment: `Naming("herd", "dev").family("ingest")` -> `herd-dev-ingest`."""

    project: str
    environment: str

    def __post_init__(self) -> None:
        if not PROJECT.fullmatch(self.project):
            rule = "2 to 12 lower-case letters and digits, a letter first, not aws… or ecs…, like 'herd'"
            raise ValueError(f"{self.project!r} cannot be the name of a project; allowed: {rule}")
        if not names.ENVIRONMENT.fullmatch(self.environment):
            raise ValueError(
                f"{self.environment!r} is not a name for an environment; allowed: {names.ENVIRONMENT_RULE}"
            )

    @property
    def prefix(self) -> str:
        """The beginning of every name, for permissions: `herd-dev`."""
        return f"{self.project}-{self.environment}"

    @property
    def cluster(self) -> str:
        return self.prefix

    @property
    def schedule_group(self) -> str:
        return fit(self.prefix, SCHEDULE)

    def secret(self, name: str) -> str:
        """In Secrets Manager. The slash lets a permission name all of an environment and no sibling's."""
        return f"{self.prefix}/{name}"

    def bucket(self, account: str, purpose: Literal["data", "reports", "logs"]) -> str:
        """Bucket names are shared by all of AWS, hence the account."""
        return fit(f"{self.prefix}-{account}-{purpose}", BUCKET)

    def repository(self, workload: str) -> str:
        return f"{self.prefix}/{workload}"

    @property
    def key_alias(self) -> str:
        return f"alias/{self.prefix}"

    def log_group(self, workload: str) -> str:
        return f"/{self.prefix}/{workload}"

    @property
    def insights_log_group(self) -> str:
        """Where ECS itself writes the metrics of containers, once those are on. The name is ECS's."""
        return f"/aws/ecs/containerinsights/{self.cluster}/performance"

    def family(self, workload: str) -> str:
        """Of the task definition."""
        return f"{self.prefix}-{workload}"

    def service(self, workload: str) -> str:
        return f"{self.prefix}-{workload}"

    def machine(self, workload: str) -> str:
        """The state machine that runs one job."""
        return fit(f"{self.prefix}-{workload}", MACHINE)

    def pipeline(self, root: str) -> str:
        """The state machine of a pipeline. No workload's name has an underscore, so no job's machine is called so."""
        return fit(f"{self.prefix}-{root}_pipeline", MACHINE)

    def schedule(self, workload: str) -> str:
        return fit(f"{self.prefix}-{workload}", SCHEDULE)

    def pipeline_schedule(self, root: str) -> str:
        """Not that of a job: when a job that had a schedule becomes a root, the new one is made before the old goes."""
        return self.schedule(f"{root}_pipeline")

    def role(self, workload: str, purpose: Literal["task", "execution"]) -> str:
        return fit(f"{self.prefix}-{workload}-{purpose}", ROLE)

    def pool(self, name: str) -> str:
        """A pool's Auto Scaling group and capacity provider; no names of those begin with aws, ecs or fargate."""
        return fit(f"{self.prefix}-{name}", LAUNCH_TEMPLATE)

    @property
    def missed_schedules(self) -> str:
        """The queue of starts that Scheduler gave up."""
        return fit(f"{self.prefix}-missed_schedules", QUEUE)

    @property
    def ends(self) -> str:
        """The schedule that has the environment removed; no workload's name has an underscore."""
        return fit(f"{self.prefix}-environment_ends", SCHEDULE)

    @property
    def ends_soon(self) -> str:
        """The schedule that tells its owners so before."""
        return fit(f"{self.prefix}-environment_ends_soon", SCHEDULE)

    @property
    def ends_project(self) -> str:
        """The project of CodeBuild that removes environments: one for all of them, of `herd bootstrap`."""
        return f"{self.project}-ends"

    @property
    def watch(self) -> str:
        """The function that tells when something fails or does not happen."""
        return fit(f"{self.prefix}-watch", FUNCTION)

    @property
    def watch_log_group(self) -> str:
        """No workload's name has an underscore, so none has this log."""
        return self.log_group("watch_function")

    def watch_rule(self, purpose: str) -> str:
        """A rule of EventBridge that starts the watch; `*` for all of them in a permission."""
        return fit(f"{self.prefix}-watch_{purpose}", RULE)

    @property
    def messages(self) -> str:
        """The topic of what the watch tells people."""
        return fit(f"{self.prefix}-messages", TOPIC)

    @property
    def watch_alarms(self) -> str:
        """The topic of alarms about the watch itself."""
        return fit(f"{self.prefix}-watch_alarms", TOPIC)

    def watch_alarm(self, purpose: str) -> str:
        return fit(f"{self.prefix}-watch_{purpose}", ALARM)

    def environment_role(self, service: Literal["scheduler", "states", "instances", "watch"]) -> str:
        return fit(f"{self.prefix}-{service}", ROLE)

    def load_balancer(self, access: Literal["internal", "public"]) -> str:
        return fit(f"{self.prefix}-{access}", LOAD_BALANCER)

    def target_group(self, workload: str) -> str:
        return fit(f"{self.prefix}-{workload}", LOAD_BALANCER)

    def security_group(self, purpose: str) -> str:
        return fit(f"{self.prefix}-{purpose}", SECURITY_GROUP)

    def tags(
        self,
        *,
        workload: str | None = None,
        kind: str | None = None,
        owner: str | None = None,
        company: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Herd's tags win over the company's: permissions and clean-up rely on them."""
        own = {
            PROJECT_TAG: self.project,
            ENVIRONMENT_TAG: self.environment,
            "herd:workload": workload,
            "herd:kind": kind,
            "herd:owner": owner,
        }
        return {**(company or {}), **{key: value for key, value in own.items() if value is not None}}
