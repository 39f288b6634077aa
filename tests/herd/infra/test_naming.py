"""Physical names: valid for their service, different for different things, the same for ever."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra.naming import Naming, fit

ACCOUNT = "123456789012"

projects = st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True).filter(
    lambda name: name not in ("internal", "sg", "sthree") and not name.startswith(("aws", "ecs", "fargate"))
)
environments = st.from_regex(r"[a-z][a-z0-9]{0,15}(-[0-9]{1,6})?", fullmatch=True)
workloads = st.from_regex(r"[a-z][a-z0-9-]{0,28}[a-z0-9]", fullmatch=True)

# Service -> what it takes. Sources: the API references of the services; facts in Herd's own naming module.
RULES = {
    "iam role": r"[\w+=,.@-]{1,64}",
    "bucket": r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "load balancer": r"(?!internal-)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?",
    "schedule": r"[0-9a-zA-Z._-]{1,64}",
    "state machine": r"[0-9a-zA-Z_-]{1,80}",
    "task definition": r"[a-zA-Z0-9_-]{1,255}",
    "log group": r"[.\-_/#A-Za-z0-9]{1,512}",
    "key alias": r"alias/(?!aws/)[a-zA-Z0-9/_-]{1,250}",
    "secret": r"[A-Za-z0-9/_+=.@-]{1,512}",
    "queue": r"[A-Za-z0-9_-]{1,80}",
    "capacity provider": r"(?!aws|ecs|fargate)[A-Za-z0-9_-]{1,255}",
    "repository": r"(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)*[a-z0-9]+(?:[._-]+[a-z0-9]+)*",
}


def names(naming: Naming, workload: str) -> dict[str, list[str]]:
    return {
        "iam role": [
            *(naming.role(workload, purpose) for purpose in ("task", "execution")),
            *(naming.environment_role(service) for service in ("scheduler", "states", "instances")),
        ],
        "bucket": [naming.bucket(ACCOUNT, purpose) for purpose in ("data", "reports", "logs")],
        "load balancer": [naming.load_balancer(access) for access in ("internal", "public")],
        "schedule": [naming.schedule(workload)],
        "state machine": [naming.machine(workload), naming.pipeline(workload)],
        "task definition": [naming.family(workload)],
        "log group": [naming.log_group(workload)],
        "repository": [naming.repository(workload)],
        "key alias": [naming.key_alias],
        "secret": [naming.secret(workload)],
        "queue": [naming.missed_schedules],
        "capacity provider": [naming.pool(workload)],
    }


@given(projects, environments, workloads)
def test_names_are_valid(project: str, environment: str, workload: str) -> None:
    naming = Naming(project, environment)
    for service, found in names(naming, workload).items():
        assert all(re.fullmatch(RULES[service], name) for name in found), (service, found)
    assert re.fullmatch(RULES["load balancer"], naming.target_group(workload))


@given(
    st.lists(projects, min_size=1, max_size=2, unique=True),
    st.lists(environments, min_size=1, max_size=4, unique=True),
    st.lists(workloads, min_size=1, max_size=6, unique=True),
)
def test_different_things_have_different_names(several: list[str], stages: list[str], jobs: list[str]) -> None:
    seen: dict[tuple[str, str], tuple[str, ...]] = {}
    for project, environment in product(several, stages):
        naming = Naming(project, environment)
        for job in jobs:
            for service, found in names(naming, job).items():
                for position, name in enumerate(found):
                    shared = (
                        service in ("bucket", "load balancer", "key alias", "queue")
                        or service == "iam role"
                        and position > 1
                    )
                    thing = (project, environment, "" if shared else job, str(position))
                    assert seen.setdefault((service, name), thing) == thing, name


def test_names_that_look_alike() -> None:
    """Hyphens are in workloads' names too: where they could be confused the parts still tell them apart."""
    assert Naming("herd", "pr-17").family("x") != Naming("herd", "pr").family("x")
    assert Naming("herd", "dev").machine("etl-pipeline") != Naming("herd", "dev").pipeline("etl")
    assert Naming("herd", "dev").role("x-task", "task") != Naming("herd", "dev").role("x", "task")


def test_names_stay() -> None:
    """A changed name replaces the resource in every environment: change these lines only with a migration."""
    naming = Naming("herd", "dev")
    assert names(naming, "delay-model") == {
        "iam role": [
            "herd-dev-delay-model-task",
            "herd-dev-delay-model-execution",
            "herd-dev-scheduler",
            "herd-dev-states",
            "herd-dev-instances",
        ],
        "bucket": ["herd-dev-123456789012-data", "herd-dev-123456789012-reports", "herd-dev-123456789012-logs"],
        "key alias": ["alias/herd-dev"],
        "secret": ["herd-dev/delay-model"],
        "queue": ["herd-dev-missed_schedules"],
        "capacity provider": ["herd-dev-delay-model"],
        "load balancer": ["herd-dev-internal", "herd-dev-public"],
        "schedule": ["herd-dev-delay-model"],
        "state machine": ["herd-dev-delay-model", "herd-dev-delay-model_pipeline"],
        "task definition": ["herd-dev-delay-model"],
        "log group": ["/herd-dev/delay-model"],
        "repository": ["herd-dev/delay-model"],
    }
    assert (naming.cluster, naming.schedule_group, naming.service("a-b")) == ("herd-dev", "herd-dev", "herd-dev-a-b")
    assert naming.target_group("a-rather-long-name-of-an-api") == "herd-dev-a-rather-long-7702f238"


@given(st.text("ab-_.", min_size=1, max_size=60), st.text("ab-_.", min_size=1, max_size=60))
def test_cut_names_keep_apart(one: str, other: str) -> None:
    assert len(fit(one, 20)) <= 20
    assert (fit(one, 20) == fit(other, 20)) == (one == other)


@pytest.mark.parametrize("environment", ["", "Dev", "dev-anna", "17", "dev-", "a" * 17, "pr-1234567", "dev\n", "dev_1"])
def test_names_of_environments_that_are_refused(environment: str) -> None:
    with pytest.raises(ValueError, match="is not a name for an environment; allowed: up to 16 lower-case letters"):
        Naming("herd", environment)


@pytest.mark.parametrize("project", ["", "h", "my-herd", "Herd", "internal", "sg", "a" * 13])
def test_names_of_projects_that_are_refused(project: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a project; allowed: 2 to 12 lower-case letters"):
        Naming(project, "dev")


def test_tags() -> None:
    naming = Naming("herd", "dev")
    assert naming.tags() == {"herd:project": "herd", "herd:environment": "dev"}
    assert naming.tags(workload="x", kind="job", owner="me", company={"cost": "42", "herd:owner": "nobody"}) == {
        "cost": "42",
        "herd:project": "herd",
        "herd:environment": "dev",
        "herd:workload": "x",
        "herd:kind": "job",
        "herd:owner": "me",
    }


def test_tags_that_others_look_for_are_spelt_by_their_owners_alone() -> None:
    """The rules of policy stand alone, so they have words of their own."""
    source = Path(__file__).parents[3] / "src" / "herd"
    owners = {"infra/naming.py", "runner/contract/tags.py"}
    words = re.compile(r"""["'{]herd:(project|environment|superseded|rejected|published|cache)["'}]""")
    spelt = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if words.search(path.read_text(encoding="utf-8"))
    }
    assert {path for path in spelt if not path.startswith("policy/")} == owners
