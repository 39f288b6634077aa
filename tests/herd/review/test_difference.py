"""What `herd diff` says of two environments: nothing of two copies, and each difference that is planted in one."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from herd.infra.settings.schema import PROFILES
from herd.review.difference import Difference, Environment, differences
from herd.review.modulo_names import Place
from herd.review.settings import Change, Written
from tests.herd.infra.program.mocks import ACCOUNT, REGION, SETTINGS, TEAM, run_program, write_team
from tests.herd.infra.program.setting_reach import states
from tests.herd.infra.program.stack_changes import BASES

LONG = {
    "apis/a-name-of-thirty-characters-xx/workload.toml": 'command = ["python", "serve.py"]\n',
    "apis/a-name-of-thirty-characters-xx/serve.py": "print(7)\n",
}
"""Its target group is cut in both, its roles in one: the names of AWS's services have limits."""


def environment(root: Path, name: str, **more: Any) -> Environment:
    """As it would be deployed, with ids that AWS would have chosen for it."""
    program = run_program(root, replace(SETTINGS, environment=name, **more))
    written = Written.of(program.exports)
    assert written is not None
    vpc = f"vpc-{hashlib.sha256(name.encode()).hexdigest()[:17]}"
    made = json.loads(
        json.dumps(states(program), default=str).replace("network-vpc-id", vpc).replace(f"arn:{name}-", "arn:")
    )
    for state in made:
        if state["urn"].endswith("::network-vpc"):
            state["id"] = vpc
    return Environment(Place("herd", name, ACCOUNT, REGION), written, made, frozenset({"weather-key"}))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, Environment]:
    root = write_team(tmp_path_factory.mktemp("team"), TEAM | LONG)
    return environment(root, "prod"), environment(root, "staging12345678")


class Planted:
    """The second environment, to plant a difference in."""

    def __init__(self, whole: Environment) -> None:
        self.states = copy.deepcopy(list(whole.states))
        self.workloads = copy.deepcopy(dict(whole.written.workloads))
        self.stack = copy.deepcopy(dict(whole.written.stack))
        self.secrets = set(whole.secrets or ())
        self._whole = whole

    def of(self, type_: str, name: str = "") -> Any:
        """The inputs of the first resource of a type, whose name begins so."""
        return next(
            state["inputs"]
            for state in self.states
            if state["type"].endswith(type_) and state["urn"].split("::")[-1].startswith(name)
        )

    def container(self, name: str, change: Callable[[Any], None]) -> None:
        inputs = self.of("taskDefinition:TaskDefinition", name)
        (container,) = json.loads(inputs["containerDefinitions"])
        change(container)
        inputs["containerDefinitions"] = json.dumps([container])

    def document(self, type_: str, name: str, key: str, change: Callable[[Any], None]) -> None:
        inputs = self.of(type_, name)
        loaded = json.loads(inputs[key])
        change(loaded)
        inputs[key] = json.dumps(loaded)

    def without(self, type_: str, name: str = "") -> None:
        gone = self.of(type_, name)
        self.states = [state for state in self.states if state["inputs"] is not gone]

    def add(self, type_: str, name: str) -> None:
        urn = f"urn:pulumi:staging::herd::{type_}::{name}"
        self.states.append({"urn": urn, "type": type_, "custom": True, "parent": "", "inputs": {}, "outputs": {}})

    @property
    def environment(self) -> Environment:
        return replace(
            self._whole,
            states=self.states,
            written=Written(self.workloads, self.stack),
            secrets=frozenset(self.secrets),
        )


def another_image(planted: Planted) -> None:
    planted.container("lonely", lambda c: c.update(image=c["image"].replace("0" * 64, "1" * 64)))


def a_wider_permission(planted: Planted) -> None:
    def widen(document: Any) -> None:
        document["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})

    planted.document("iam/rolePolicy:RolePolicy", "train", "policy", widen)


def a_narrower_permission(planted: Planted) -> None:
    planted.document("iam/rolePolicy:RolePolicy", "train", "policy", lambda document: document["Statement"].pop())


def another_variable(planted: Planted) -> None:
    planted.container("lonely", lambda c: c["environment"].append({"name": "MODE", "value": "fast"}))


def another_limit(planted: Planted) -> None:
    def later(definition: Any) -> None:
        definition["States"]["Run"]["TimeoutSeconds"] = 7

    planted.document("sfn/stateMachine:StateMachine", "lonely", "definition", later)


def another_trust(planted: Planted) -> None:
    def trust(document: Any) -> None:
        document["Statement"][0]["Principal"] = {"AWS": "999999999999"}

    planted.document("iam/role:Role", "lonely", "assumeRolePolicy", trust)


def setting(workload: str, key: str, value: Any) -> Callable[[Planted], None]:
    return lambda planted: planted.workloads[workload].update({key: value})


def resource(type_: str, key: str, value: Any, name: str = "") -> Callable[[Planted], None]:
    return lambda planted: planted.of(type_, name).update({key: value})


PLANTED: dict[str, tuple[Callable[[Planted], None], str]] = {
    "another image": (another_image, "job lonely: image sha256:000"),
    "a setting": (setting("train", "retries", 5), "job train: retries"),
    "a wider permission": (a_wider_permission, "only in staging12345678: s3:* on *"),
    "a narrower permission": (a_narrower_permission, "only in prod: "),
    "whom a role trusts": (another_trust, "999999999999"),
    "a schedule": (setting("lonely", "schedule", "@weekly"), "job lonely: schedule 00:00 → 00:00 Sun"),
    "a schedule that is off": (
        resource("schedule:Schedule", "state", "DISABLED", "lonely"),
        "state ENABLED → DISABLED",
    ),
    "a resource that is missing": (lambda p: p.without("sqs/queue:Queue"), "only in prod"),
    "a resource more": (lambda p: p.add("aws:s3/bucket:Bucket", "extra"), "aws:s3:Bucket extra: only in staging"),
    "a workload more": (lambda p: p.workloads.update(more={"kind": "job"}), "job more: is only in staging"),
    "a variable": (another_variable, "MODE nothing → fast"),
    "a variable of the settings": (setting("lonely", "env", {"MODE": "fast"}), "job lonely: env.MODE"),
    "memory": (resource("taskDefinition:TaskDefinition", "memory", "8192", "lonely"), "memory 2048 → 8192"),
    "a time limit": (another_limit, "TimeoutSeconds"),
    "a check": (
        setting("train", "check", [{"file": "metrics.json", "value": "auc", "min": 0.5}]),
        "job train: check auc: min 0.7 → 0.5",
    ),
    "an owner": (setting("lonely", "owner", "ops@example.com"), "owner data@example.com → ops@example.com"),
    "public access": (
        resource("bucketPublicAccessBlock:BucketPublicAccessBlock", "blockPublicAcls", False),
        "blockPublicAcls on → off",
    ),
    "a bucket's policy": (
        lambda p: p.document("bucketPolicy:BucketPolicy", "data", "policy", lambda d: d["Statement"].clear()),
        "aws:s3:BucketPolicy data",
    ),
    "encryption": (
        lambda p: p.without("bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "data"),
        "aws:s3:BucketServerSideEncryptionConfiguration data",
    ),
    "retention": (resource("cloudwatch/logGroup:LogGroup", "retentionInDays", 1), "retentionInDays 14 → 1"),
    "an alarm": (resource("metricAlarm:MetricAlarm", "threshold", 99), "threshold"),
    "an alarm's actions": (resource("metricAlarm:MetricAlarm", "alarmActions", []), "alarmActions"),
    "a secret": (lambda p: p.secrets.clear(), "secret weather-key: set in prod, missing in staging"),
    "a secret more": (lambda p: p.secrets.add("other"), "secret other: set in staging12345678, missing in prod"),
    "a subnet": (resource("ec2/subnet:Subnet", "cidrBlock", "10.0.99.0/24"), "cidrBlock"),
    "hardware": (setting("lonely", "hardware", "fargate-spot"), "hardware fargate → fargate-spot"),
    "a log group": (lambda p: p.without("cloudwatch/logGroup:LogGroup", "lonely"), "aws:cloudwatch:LogGroup lonely"),
    "a tag": (lambda p: p.of("ecs/cluster:Cluster")["tags"].update(team="x"), "tags.team nothing → x"),
    "what a stack's file says": (lambda p: p.stack.update(zones=3), "environment: zones 2 → 3"),
    "another account's bucket": (
        lambda p: p.container("lonely", lambda c: c["environment"].append({"name": "X", "value": "999999999999"})),
        "999999999999",
    ),
}


def said(rows: list[Difference]) -> str:
    return "\n".join(map(str, rows))


def test_two_environments_of_the_same_files_differ_in_nothing(pair: tuple[Environment, Environment]) -> None:
    assert said(differences(*pair)) == ""
    assert said(differences(*reversed(pair))) == ""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_in_the_table(name: str, pair: tuple[Environment, Environment]) -> None:
    plant, words = PLANTED[name]
    planted = Planted(pair[1])
    plant(planted)
    rows = differences(pair[0], planted.environment)
    assert words in said(rows)
    assert len(rows) <= 2, "nothing else differs"
    assert differences(planted.environment, pair[0]), "from the other side too"


def test_what_follows_from_a_setting_is_not_said_again(pair: tuple[Environment, Environment], tmp_path: Path) -> None:
    """And a setting that a file names explains no other difference."""
    root = write_team(tmp_path, TEAM | LONG)
    off = environment(root, "staging12345678", schedules=False)
    rows = differences(pair[0], off, lambda change: "Pulumi.staging.yaml")
    assert [(str(row), row.named) for row in rows] == [("environment: schedules on → off", "Pulumi.staging.yaml")]
    planted = Planted(off)
    another_image(planted)
    a_wider_permission(planted)
    found = differences(pair[0], planted.environment, lambda change: "Pulumi.staging.yaml")
    assert [row.kind for row in found if not row.named] == ["image", "permission"]


def test_all_that_two_profiles_differ_in_follows_from_their_settings(tmp_path: Path) -> None:
    root = write_team(tmp_path, TEAM)
    given = {**BASES["prod"], "company_cidrs": (), "connections": {}, "datasets": {}, "pools": {}}
    defaults = {name: value for name, value in PROFILES["prod"].items() if name not in given}
    dev, prod = environment(root, "dev"), environment(root, "prod", profile="prod", **defaults, **given)
    rows = differences(dev, prod, lambda change: "Pulumi.prod.yaml")
    assert "environment: log_retention_days 14 → 400" in said(rows)
    assert said([row for row in rows if not row.named]) == ""


def test_only_what_a_file_states_is_named(pair: tuple[Environment, Environment]) -> None:
    def stated(change: Change) -> str:
        return "Pulumi.staging.yaml" if "zones" in str(change) else ""

    planted = Planted(pair[1])
    planted.stack.update(zones=3, tags={"cost-centre": "1"})
    named = {str(row): row.named for row in differences(pair[0], planted.environment, stated)}
    assert named["environment: zones 2 → 3"] == "Pulumi.staging.yaml"
    assert [where for name, where in named.items() if "tags" in name] == [""]
