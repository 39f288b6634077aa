"""What the field's own linters say: Checkov on the plan against a list of what is accepted, parliament on IAM.

Both run in an environment of their own, which `make tools-dev` makes (requirements-audit.lock).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from herd.policy.model import Resource
from herd.toolchain import machine, packages
from tests.herd.bootstrap.conftest import run_bootstrap
from tests.herd.policy.program import ENVIRONMENTS, LINTED, resources
from tests.herd.policy.terraform_plan import address, plan, snake

pytestmark = pytest.mark.xdist_group("program-environments")  # the runs of tests.herd.policy.program

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).with_name("checkov.toml")


@pytest.fixture(scope="module")
def linters() -> Path:
    """The folder of the linters' programs."""
    made = packages.made_for(ROOT, machine.user_cache(), packages.AUDIT)
    if not made.exists():
        pytest.fail("Checkov and parliament are not installed; install them with: make tools-dev", pytrace=False)
    return made / "bin"


@pytest.fixture(scope="module")
def checked(linters: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Environment -> Checkov's results; one run for all, since starting it takes longer than its work."""
    folder = tmp_path_factory.mktemp("plans")
    files = {f"{number}.json": name for number, name in enumerate(LINTED)}
    for file, name in files.items():
        (folder / file).write_text(json.dumps(plan(resources(name))))
    command = [str(linters / "checkov"), "--framework", "terraform_plan", "--output", "json", "--compact", "--quiet"]
    done = subprocess.run(
        # Offline: neither policies of a service nor module sources are asked for.
        [*command, "--skip-download", "--skip-results-upload", "--directory", str(folder)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    results: dict[str, dict[str, Any]] = {name: {"failed": [], "passed": 0} for name in LINTED}
    for failure in told["results"]["failed_checks"]:
        results[files[Path(failure["file_path"]).name]]["failed"].append((failure["check_id"], failure["resource"]))
    assert told["summary"]["parsing_errors"] == 0
    results["all"] = told["summary"]
    return results


def accepted(environment: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(GOLDEN.read_text())["accepted"]
    return [entry for entry in entries if environment in entry.get("in", [environment])]


def _covers(entry: dict[str, Any], failure: tuple[str, str]) -> bool:
    return entry["check"] == failure[0] and fnmatchcase(failure[1], entry["resource"])


@pytest.mark.parametrize("name", LINTED)
def test_checkov_finds_nothing_but_what_is_accepted(checked: dict[str, dict[str, Any]], name: str) -> None:
    failed = checked[name]["failed"]
    assert [failure for failure in failed if not any(_covers(entry, failure) for entry in accepted(name))] == []
    unneeded = [entry for entry in accepted(name) if not any(_covers(entry, failure) for failure in failed)]
    assert [(entry["check"], entry["resource"]) for entry in unneeded] == [], "no longer found: take it away"


def test_checkov_has_looked_at_everything(checked: dict[str, dict[str, Any]]) -> None:
    """A plan that it cannot read has no failures either."""
    made = sum(len(plan(resources(name))["resource_changes"]) for name in LINTED)
    assert checked["all"]["resource_count"] == made
    # It has nothing to say of rules of events and their targets.
    assert checked["all"]["passed"] > 2.9 * made


def test_the_list_of_what_is_accepted_is_in_order() -> None:
    entries = tomllib.loads(GOLDEN.read_text())["accepted"]
    assert all(entry.keys() <= {"check", "resource", "in", "reason"} and len(entry["reason"]) > 20 for entry in entries)
    assert {name for entry in entries for name in entry.get("in", [])} <= LINTED.keys()


# --- the plan that Checkov is given --------------------------------------------------------------------------------


def test_a_plan_has_terraforms_spelling() -> None:
    bucket = Resource("aws:s3/bucket:Bucket", "data-bucket", {"forceDestroy": True}, urn="urn:b")
    rules = Resource(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "data-lifecycle",
        {"bucket": "x", "rules": [{"id": "a", "expiration": {"days": 30.0}, "filter": {"tag": {"key": "Some.Key"}}}]},
        links={"bucket": frozenset({"urn:b"})},
    )
    made = plan([bucket, rules, Resource("docker:index/image:Image", "image", {})])
    _, lifecycle = made["resource_changes"]
    assert lifecycle["change"]["after"] == {
        "bucket": "x",
        "rule": [{"id": "a", "expiration": [{"days": 30}], "filter": [{"tag": [{"key": "Some.Key"}]}]}],
    }
    assert made["configuration"]["root_module"]["resources"][1]["expressions"] == {
        "bucket": {"references": ["aws_s3_bucket.data_bucket.id", "aws_s3_bucket.data_bucket"]}
    }
    assert address(bucket) == "aws_s3_bucket.data_bucket"
    assert [snake(name) for name in ("routeTableIds", "cidrIpv4", "fromPort")] == [
        "route_table_ids",
        "cidr_ipv4",
        "from_port",
    ]


def test_what_has_no_spelling_is_an_error() -> None:
    with pytest.raises(LookupError):
        plan([Resource("aws:new/thing:Thing", "x", {})])
    with pytest.raises(LookupError, match="wonders"):
        plan([Resource("aws:s3/bucket:Bucket", "x", {"wonders": [{"a": 1}]})])


# --- IAM -----------------------------------------------------------------------------------------------------------

ALTERNATIVES = {
    "states:ListExecutions": "arn:*:states:*:*:mapRun:*/*:*",
    "states:DescribeExecution": "arn:*:states:*:*:express:*:*:*",
    "states:StopExecution": "arn:*:states:*:*:express:*:*:*",
}
"""Of these AWS lists two kinds of resource, of which one is enough; parliament asks for this one as well."""

UNKNOWN_TO_PARLIAMENT = ("kms:ResourceAliases",)
"""A condition of every call that names a key (KMS developer guide, "kms:ResourceAliases"); its tables lack it."""

MADE_UP_ARN = re.compile(r'"arn:([a-z-]+)"')

LINT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import parliament

found = {}
for name, text in json.load(sys.stdin).items():
    found[name] = [[f.issue, f.detail] for f in parliament.analyze_policy_string(text).findings]
print(json.dumps(found))
"""


def documents() -> Iterator[tuple[str, str]]:
    """Every IAM document of every environment; a trust policy names no resource, so it is given one."""
    for environment in ENVIRONMENTS:
        for resource in resources(environment):
            for key in ("policy", "assumeRolePolicy"):
                text = resource.props.get(key)
                if isinstance(text, str) and '"Statement"' in text and resource.type != "aws:kms/key:Key":
                    # ARNs that only AWS gives are made up by the mocks, shorter than AWS's.
                    document = json.loads(MADE_UP_ARN.sub(r'"arn:aws:cloudfront::123456789012:\1"', text))
                    for statement in document["Statement"]:
                        if key == "assumeRolePolicy":
                            statement["Resource"] = "arn:aws:iam::123456789012:role/it"
                    yield f"{environment}: {resource.name}: {key}", json.dumps(document)


def test_every_iam_document_passes_parliament(linters: Path) -> None:
    told = dict(documents())
    assert len(told) > 40
    done = subprocess.run(
        [str(linters / "python"), "-c", LINT],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert found.keys() == told.keys()
    errors = [
        (name, issue, detail) for name, all_ in found.items() for issue, detail in all_ if not _fine(issue, detail)
    ]
    assert errors == []


def _fine(issue: str, detail: Any) -> bool:
    if issue == "UNKNOWN_CONDITION_FOR_ACTION":
        return str(detail).split()[2] in UNKNOWN_TO_PARLIAMENT
    return issue == "RESOURCE_MISMATCH" and all(
        ALTERNATIVES.get(entry["action"]) == entry["required_format"] for entry in detail
    )


def test_the_deployers_documents_name_actions_that_exist(linters: Path) -> None:
    """Who deploys may do much, by services' whole families: parliament's advice on that is docs/aws.md's subject."""
    policies = [r for r in run_bootstrap().resources if r.type.startswith("aws:iam/")]
    told = {r.name: r.inputs["policy"] for r in policies if isinstance(r.inputs.get("policy"), str)}
    assert len(told) > 5
    done = subprocess.run(
        [str(linters / "python"), "-c", LINT], input=json.dumps(told), capture_output=True, text=True, check=True
    )
    wrong = ("UNKNOWN_ACTION", "UNKNOWN_PREFIX", "MALFORMED", "MALFORMED_JSON", "INVALID_ARN", "MISMATCHED_TYPE")
    found = [(name, *each) for name, all_ in json.loads(done.stdout).items() for each in all_ if each[0] in wrong]
    assert found == []


def test_parliament_finds_what_is_wrong(linters: Path) -> None:
    """The same way in finds a misspelt action and a condition that its action does not know."""
    statement = {"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "*"}
    condition = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "*",
        "Condition": {"Bool": {"s3:nothing": "x"}},
    }
    told = {
        key: json.dumps({"Version": "2012-10-17", "Statement": [s]}) for key, s in (("a", statement), ("b", condition))
    }
    done = subprocess.run(
        [str(linters / "python"), "-c", LINT], input=json.dumps(told), capture_output=True, text=True, check=True
    )
    assert all(json.loads(done.stdout).values())
