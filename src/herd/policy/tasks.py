"""Rules about what runs: task definitions, services, the cluster."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from herd.policy.documents import containers
from herd.policy.model import UNKNOWN, Resource, Rules, Stack

TASK = "aws:ecs/taskDefinition:TaskDefinition"
SERVICE = "aws:ecs/service:Service"
rules = Rules()


@rules.each(
    "tasks-not-privileged",
    TASK,
    says="No container is privileged.",
    why="A privileged container is root on the machine that it runs on, and so has every other task's credentials.",
    control="ECS.4",
)
def not_privileged(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        if container.get("privileged"):
            yield f"container {name} is privileged; take `privileged` away"


@rules.each(
    "tasks-own-namespaces",
    TASK,
    says="Tasks share neither processes, memory nor network with the machine that they run on.",
    why="With the host's namespaces one task sees the processes and the traffic of all others there.",
    control="ECS.3",
)
def own_namespaces(task: Resource, stack: Stack) -> Iterator[str]:
    for key in ("pidMode", "ipcMode"):
        if task.props.get(key) == "host":
            yield f'{key} is "host"; leave it out'
    if task.lacks("networkMode", "awsvpc"):
        yield 'networkMode is not "awsvpc", so the task has no security group of its own'


@rules.each(
    "tasks-no-capabilities",
    TASK,
    says="Containers drop all Linux capabilities and add none.",
    why="A capability such as SYS_ADMIN or NET_RAW is most of what an attacker needs to leave the container.",
    link="https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html",
)
def no_capabilities(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        capabilities = (container.get("linuxParameters") or {}).get("capabilities") or {}
        if added := capabilities.get("add"):
            yield f"container {name} adds {', '.join(added)}; take `add` away"
        if "ALL" not in (capabilities.get("drop") or []):
            yield f'container {name} keeps capabilities; set drop to ["ALL"]'


@rules.each(
    "tasks-not-root",
    TASK,
    says="Each container names a user that is not root.",
    why="Without one the image decides, and most images run as root.",
    control="ECS.20",
)
def not_root(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        user = str(container.get("user") or "").split(":")[0]
        if user in ("", "root", "0"):
            yield f"container {name} runs as {'root' if user else 'whatever user its image says'}; set `user`"


@rules.each(
    "tasks-read-only-root",
    TASK,
    says="A container's own files cannot be written; what is temporary goes to a volume.",
    why="What breaks into a program then finds no place to stay, and programs cannot depend on leftovers.",
    control="ECS.5",
)
def read_only_root(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        if not container.get("readonlyRootFilesystem"):
            yield f"container {name} can write to its root file system; set readonlyRootFilesystem"


SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET|AUTH)_?KEY)(_|$)",
    re.IGNORECASE,
)
NOT_SECRET = re.compile(r"(_(URL|URI|ARN|NAME|FILE|PATH|ID|TTL|SECONDS|LIMIT|COUNT)|^MAX_.*|^N_.*)$", re.IGNORECASE)
"""A name that says where a secret is, or how many tokens there are, holds none."""

USER_INFO = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
KNOWN_KEYS = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bxox[abp]-[A-Za-z0-9-]{10,}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bsk-[A-Za-z0-9_-]{32,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."
)
RANDOM = re.compile(r"^[A-Za-z0-9+/=_-]{24,}$")
HEXADECIMAL = re.compile(r"^(sha256:)?[0-9a-fA-F-]+$")
RANDOM_BITS = 4.2
"""Bits a character from which 24 and more characters look drawn by lot. Names and paths have below 4."""


@rules.each(
    "tasks-no-secret-in-environment",
    TASK,
    says="No secret stands in a container's variables; it is named under `secrets`.",
    why="Variables are shown by the ECS console and API to everybody who may look, and are kept in Pulumi's state.",
    control="ECS.8",
)
def no_secret_in_environment(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        for entry in container.get("environment") or []:
            if reason := looks_secret(str(entry.get("name", "")), str(entry.get("value", ""))):
                yield (
                    f"container {name} has {entry.get('name')} in the open and {reason}; "
                    "keep it with `herd secret set` and name it under [secrets]"
                )


def looks_secret(name: str, value: str) -> str:
    """Why a variable looks like a secret, or nothing. The value itself is never part of the answer."""
    if not value:
        return ""
    if USER_INFO.search(value):
        return "its URL has a password in it"
    if KNOWN_KEYS.search(value):
        return "its value is a key"
    if SECRET_NAME.search(name) and not NOT_SECRET.search(name):
        return "its name says that it is a secret"
    if RANDOM.match(value) and not HEXADECIMAL.match(value) and _bits(value) >= RANDOM_BITS:
        return "its value looks random, as keys do"
    return ""


@rules.each(
    "tasks-logged",
    TASK,
    says="Each container has a log driver, and does not make its log group itself.",
    why="A log group that a task makes has no retention, no owner and no end; a task without a log fails in silence.",
    control="ECS.9",
)
def logged(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        log = container.get("logConfiguration") or {}
        if not log.get("logDriver") or log["logDriver"] == "none":
            yield f"container {name} has no log; set logConfiguration"
        elif str((log.get("options") or {}).get("awslogs-create-group", "")).lower() == "true":
            yield f"container {name} makes its log group itself; declare the group and drop awslogs-create-group"


@rules.whole(
    "tasks-own-log-group",
    TASK,
    says="The log group of a container belongs to the environment.",
    why="A group that nobody declares keeps its lines for ever and stays when the environment goes.",
    link="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html",
)
def own_log_group(stack_resources: Iterable[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    resources = list(stack_resources)
    groups = [r.props.get("name") for r in resources if r.type == "aws:cloudwatch/logGroup:LogGroup"]
    if any(group is UNKNOWN for group in groups):
        return
    for task in resources:
        for name, container in _named(task) if task.type == TASK else ():
            group = ((container.get("logConfiguration") or {}).get("options") or {}).get("awslogs-group")
            if group and group not in groups:
                yield task, f"container {name} writes to {group}, a log group that this environment does not have"


@rules.each(
    "tasks-image-by-digest",
    TASK,
    says="Images are named by digest, never by a tag alone.",
    why="A tag can be moved: two tasks of one revision may then run different programs, one of them never reviewed.",
    link="https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
)
def image_by_digest(task: Resource, stack: Stack) -> Iterator[str]:
    for name, container in _named(task):
        if "@sha256:" not in str(container.get("image", "")):
            yield f"the image of container {name} has no digest; name it as repository@sha256:…"


@rules.each(
    "tasks-two-roles",
    TASK,
    says="The role that starts a task and the role that its code has are two.",
    why="The execution role can read the workload's secrets and pull images; code that has it can as well.",
    link="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security-ecs-iam-role-overview.html",
)
def two_roles(task: Resource, stack: Stack) -> Iterator[str]:
    execution, own = task.props.get("executionRoleArn"), task.props.get("taskRoleArn")
    same_source = bool(task.links.get("executionRoleArn")) and (
        task.links.get("executionRoleArn") == task.links.get("taskRoleArn")
    )
    if execution and (execution == own or same_source):
        yield "its execution role is also its task role; give it two"


@rules.each(
    "tasks-encrypted-volumes",
    TASK,
    says="Shared volumes (EFS) are encrypted on their way.",
    why="NFS is plain text otherwise.",
    control="ECS.18",
)
def encrypted_volumes(task: Resource, stack: Stack) -> Iterator[str]:
    for volume in task.props.get("volumes") or []:
        shared = volume.get("efsVolumeConfiguration")
        if shared and shared.get("transitEncryption") != "ENABLED":
            yield f"volume {volume.get('name')} is not encrypted on its way; set transitEncryption"


@rules.each(
    "services-roll-back",
    SERVICE,
    says="A service whose new version does not come up goes back to the old one by itself.",
    why="Without the circuit breaker ECS tries the broken version for ever.",
    link="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
)
def roll_back(service: Resource, stack: Stack) -> Iterator[str]:
    breaker = service.props.get("deploymentCircuitBreaker") or {}
    if not (breaker.get("enable") and breaker.get("rollback")):
        yield "has no deployment circuit breaker with rollback"


@rules.each(
    "services-no-shell-in-prod",
    SERVICE,
    says="Nobody opens a shell in a service's containers in prod.",
    why="ECS Exec is a way around reviews, and what is typed there leaves no trace unless the cluster logs it.",
    link="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html",
)
def no_shell(service: Resource, stack: Stack) -> Iterator[str]:
    if stack.is_prod and service.props.get("enableExecuteCommand"):
        yield "lets people run commands in its containers; turn enableExecuteCommand off"


@rules.each(
    "services-private",
    SERVICE,
    says="Where the network is private (in prod) tasks have no public address.",
    why="What cannot be reached cannot be attacked; the load balancer is the only way in.",
    control="ECS.2",
)
def private(service: Resource, stack: Stack) -> Iterator[str]:
    network = service.props.get("networkConfiguration") or {}
    if stack.setting("network", dev="public", prod="nat") != "public" and network.get("assignPublicIp") is True:
        yield "its tasks get public addresses; place them in private subnets"


def _named(task: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        definitions = containers(task.props.get("containerDefinitions"))
    except ValueError:
        return
    for container in definitions:
        yield str(container.get("name", "?")), container


def _bits(value: str) -> float:
    """Shannon entropy, bits a character."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
