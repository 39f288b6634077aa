"""What an environment costs: priced by hand from AWS's pages, and equal to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from herd.deploy.up import hold_budget
from herd.engine.changes import short
from herd.engine.plan import Resource
from herd.errors import HerdError, WrongInput
from herd.infra import prices
from herd.review import words
from herd.review.bill import BY_USE, COUNTED, FREE, is_free
from herd.review.cost import Estimate, difference, dollars, estimate, of_state, savings, table_of
from herd.review.settings import Written
from herd.review.usage import starts_a_month
from herd.review.words import Words
from herd.runs.measured import Measured, hours_of
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.types import load_types
from tests.herd.planning import outputs, plan

US = prices.of("us-east-1")
TEN_ALARMS: list[tuple[str, Mapping[str, Any]]] = [("aws:cloudwatch:MetricAlarm", {})] * 10


def machine(disk_gb: int) -> dict[str, Any]:
    return {"instanceType": "m7i.large", "blockDeviceMappings": [{"ebs": {"volumeSize": disk_gb}}]}


@dataclass(frozen=True)
class Priced:
    """An environment and what it costs a month; the arithmetic stands beside it, in USD."""

    name: str
    resources: list[tuple[str, Mapping[str, Any]]]
    stack: Mapping[str, Any]
    workloads: Mapping[str, Mapping[str, Any]]
    usd: str
    by_owner: Mapping[str, str] = field(default_factory=dict)

    @property
    def written(self) -> Written:
        return Written(self.workloads, self.stack)

    @property
    def estimate(self) -> Estimate:
        return estimate(self.declared, self.written, US)

    @property
    def declared(self) -> list[Resource]:
        return [Resource(type_, f"r{n}", "environment", inputs) for n, (type_, inputs) in enumerate(self.resources)]


API = {"kind": "api", "port": 8000, "cpu": 0.5, "memory_gb": 1, "disk_gb": 21, "replicas": {"min": 1, "max": 2}}
NIGHTLY = {"kind": "job", "cpu": 1, "memory_gb": 2, "disk_gb": 21, "schedule": "0 6 * * *", "timeout_minutes": 20}

PRICED = [
    Priced(
        "an API in dev",
        [("aws:lb:LoadBalancer", {"internal": False})],
        {"network": "public"},
        {"api": API},
        # balancer 730 × 0.0225 = 16.425, its addresses 2 × 730 × 0.005 = 7.30, up to a capacity unit 730 × 0.008 = 5.84
        # a copy: 730 × (0.5 × 0.04048 + 1 × 0.004445 + 1 × 0.000111 + 0.005) = 21.75108
        "45.48 to 73.07",
        {"environment": "23.73 to 29.57", "api": "21.75 to 43.50"},
    ),
    Priced(
        "the same in prod, by a NAT gateway, with a key and ten alarms",
        [
            ("aws:lb:LoadBalancer", {"internal": False}), ("aws:ec2:NatGateway", {}), ("aws:ec2:Eip", {}),
            ("aws:kms:Key", {}), *TEN_ALARMS,
        ],
        {"network": "nat"},
        {"api": API},
        # 16.425 + 7.30 + 730 × 0.045 = 32.85 + 730 × 0.005 = 3.65 + 1 + 10 × 0.10 = 62.225, and up to 5.84
        # a copy without an address: 18.10108
        "80.33 to 104.27",
        {"environment": "62.23 to 68.07", "api": "18.10 to 36.20"},
    ),
    Priced(
        "endpoints in three zones, one of them a gateway that is free",
        [*[("aws:ec2:VpcEndpoint", {"vpcEndpointType": "Interface"})] * 4,
         ("aws:ec2:VpcEndpoint", {"vpcEndpointType": "Gateway"})],
        {"network": "endpoints", "zones": 3},
        {},
        # 4 × 3 × 730 × 0.01
        "87.60",
    ),
    Priced(
        "a nightly job of three items, and the step that publishes",
        [],
        {"network": "nat"},
        {"train": NIGHTLY | {"fan_out": ["a", "b", "c"]}},
        # 365/12 × 4 tasks × 1 to 20 minutes = 2.0278 to 40.5556 hours
        # an hour: 0.04048 + 2 × 0.004445 + 0.000111 = 0.049481; 365/12 × 10 to 40 × 0.000025 = 0.0076 to 0.0304
        "0.11 to 2.04",
    ),
    Priced(
        "a job every two hours on Spot, and a paused one",
        [],
        {"network": "nat"},
        {
            "load": NIGHTLY | {"schedule": "every 2 hours", "hardware": "fargate-spot", "disk_gb": 20},
            "rests": NIGHTLY | {"paused": "until May"},
        },
        # 365 runs × 1 to 20 minutes = 6.0833 to 121.6667 hours; 0.3 × (0.04048 + 2 × 0.004445) = 0.014811 an hour
        # 365 × (10 to 40 × 0.000025 + 0.000001) = 0.0916 to 0.3654
        "0.18 to 2.17",
    ),
    Priced(
        "a pool of one to three machines for a job",
        [
            ("aws:ec2:LaunchTemplate", machine(50)),
            ("aws:autoscaling:Group", {"minSize": 1, "maxSize": 3}),
        ],
        {"network": "nat"},
        {"fit": NIGHTLY | {"hardware": "environment"}},
        # the machine 730 × 0.1008 = 73.584 and its disk 50 × 0.08 = 4.00; the runs do not fill it
        "77.59 to 77.61",
        {"environment": "77.58", "fit": "0.01 to 0.03"},
    ),
    Priced(
        "a pool that rests between the runs",
        [
            ("aws:ec2:LaunchTemplate", machine(73)),
            ("aws:autoscaling:Group", {"minSize": 0, "maxSize": 3}),
        ],
        {"network": "nat"},
        {"fit": NIGHTLY | {"hardware": "environment"}},
        # 365/12 × (1 to 20 minutes, and 15) = 8.1111 to 17.7431 hours × (0.1008 + 73 × 0.08 / 730 = 0.008)
        "0.89 to 1.96",
        {"environment": "0.88 to 1.93", "fit": "0.01 to 0.03"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", PRICED, ids=lambda case: case.name)
def test_it_costs_what_was_priced_by_hand(case: Priced) -> None:
    priced = case.estimate
    assert dollars(priced.usd) == case.usd
    assert {name: dollars(usd) for name, usd in priced.by_owner.items()} == case.by_owner or not case.by_owner
    assert not priced.unpriced


@pytest.mark.parametrize(
    ("settings", "starts"),
    [
        ({"schedule": "0 6 * * *"}, 365 / 12),
        ({"schedule": "0 6 * * 1-5"}, 365 / 12 * 5 / 7),
        ({"schedule": "@hourly"}, 730),
        ({"schedule": "every 15 minutes"}, 2920),
        ({"schedule": "0 3 1 * *"}, 12 * 365 / 364 / 12),
        ({"schedule": "0 6 * * *", "paused": "rests"}, 0),
        ({}, 0),
        ({"after": ["daily", "hourly"]}, 365 / 12),
    ],
    ids=str,
)
def test_starts_follow_from_the_schedule(settings: dict[str, Any], starts: float) -> None:
    others = {"daily": {"schedule": "0 6 * * *"}, "hourly": {"schedule": "@hourly"}}
    assert starts_a_month("it", Written({**others, "it": settings}, {})) == pytest.approx(starts)
    assert starts_a_month("it", Written({**others, "it": settings}, {"schedules": False})) == 0


def test_what_has_no_price_is_named_and_not_counted_as_nothing() -> None:
    resources = [
        Resource("aws:rds:Instance", "warehouse", "environment", {}), Resource("aws:iam:Role", "r", "x", {}),
        Resource("aws:ec2:LaunchTemplate", "t", "pool-odd", {"instanceType": "x1e.32xlarge"}),
        Resource("aws:autoscaling:Group", "g", "pool-odd", {"minSize": 1, "maxSize": 1}),
    ]  # fmt: skip
    priced = estimate(resources, Written({}, {}), US)
    assert dict(priced.unpriced) == {"aws:rds:Instance": 1, "x1e.32xlarge and hour in us-east-1": 1}
    assert [item.what for item in priced.items] == ["disks of machines"]


def test_what_is_paid_by_use_is_named_once_with_its_price() -> None:
    buckets = [Resource("aws:s3:Bucket", name, "environment", {}) for name in ("data", "reports")]
    assert [price.unit for price in estimate(buckets, Written({}, {}), US).by_use] == [
        "GB in S3 and month", "write or listing in S3", "read of an object in S3",
    ]  # fmt: skip


def test_secrets_that_people_have_put_there_are_counted_once_each() -> None:
    jobs = {
        "load": {"kind": "job", "secrets": {"KEY": "weather", "OTHER": "geo"}, "connects": ["warehouse"]},
        "copy": {"kind": "job", "secrets": {"WEATHER": "weather"}, "connects": ["warehouse", "made-here"]},
    }
    stack = {"connections": {"warehouse": {"driver": "postgresql"}}}
    assert dollars(estimate([], Written(jobs, stack), US).usd) == "1.20"  # weather, geo, warehouse: 3 × 0.40


def test_prices_are_those_of_the_region() -> None:
    nat = [Resource("aws:ec2:NatGateway", "nat", "network", {})]
    month = {region: dollars(estimate(nat, Written({}, {}), prices.of(region)).usd) for region in prices.regions()}
    assert month == {"eu-central-1": "37.96", "eu-west-1": "35.04", "us-east-1": "32.85"}


def test_a_region_without_prices_has_those_of_another_and_says_so() -> None:
    priced = estimate([Resource("aws:kms:Key", "k", "x", {})], Written({}, {}), prices.of("sa-east-1"))
    assert dollars(priced.usd) == "1.00"
    assert any("no prices of sa-east-1: these are of us-east-1" in note for note in priced.notes)


@dataclass
class Case:
    records: list[dict[str, Any]]
    hours: float


def record(minutes: float, item: str | None = None, **more: Any) -> dict[str, Any]:
    ended = f"2027-01-31T06:{int(minutes):02}:{round(minutes % 1 * 60):02}Z"
    return {"item": item, "started": "2027-01-31T06:00:00Z", "ended": ended, **more}


@pytest.mark.parametrize(
    "case",
    [
        Case([record(30)], 0.5),
        Case([record(0.1)], 1 / 60),
        Case([record(12, "a"), record(6, "b"), record(12)], 0.3 + 1 / 60),
        Case([{"item": None}], 0),
        Case([record(5, started="yesterday")], 0),
        Case([record(5, started="2027-02-01T00:00:00Z")], 0),
        Case([], 0),
    ],
    ids=str,
)
def test_a_run_takes_the_hours_of_its_tasks(case: Case) -> None:
    assert hours_of(case.records) == pytest.approx(case.hours)


def test_measured_runs_take_the_place_of_limits() -> None:
    written = Written({"train": NIGHTLY}, {"network": "nat", "keep_versions_days": 30})
    seen = {"train": Measured(runs=8, shortest=0.05, longest=0.1, gigabytes=2.0)}
    priced = estimate([], written, US, seen)
    # 365/12 × 3 to 6 minutes × 0.049481 = 0.0753 to 0.1505; transitions and starts 0.0076 to 0.0304
    # 2 GB × 0.023 = 0.046, and 31 versions of it 1.426
    assert dollars(priced.usd) == "0.13 to 1.61"
    assert {item.basis for item in priced.items} >= {
        "30.4 runs of 3 to 6 minutes, as the last 8 took", "1 to 31 versions of 2 GB",
    }  # fmt: skip
    assert priced.measured == ("train",)


def test_savings_are_the_difference_of_two_estimates() -> None:
    nat = PRICED[1]
    written = Written({"train": NIGHTLY}, nat.stack)
    by_choice = {saving.choice: dollars(saving.usd) for saving in savings(nat.declared, written, US)}
    # 36.50 of the gateway, less an address for 0.507 to 10.14 hours; 70 % of 0.025 to 0.4996, without the disk
    assert by_choice == {
        "network: public": "36.45 to 36.50",
        'hardware = "fargate-spot" for jobs and reports': "0.02 to 0.35",
    }


ENDPOINTS = [Resource("aws:ec2:VpcEndpoint", f"e{n}", "network", {"vpcEndpointType": "Interface"}) for n in range(4)]
MACHINES = [
    Resource("aws:ec2:LaunchTemplate", "t", "pool-vm", {"instanceType": "m7i.large"}),
    Resource("aws:autoscaling:Group", "g", "pool-vm", {"minSize": 1, "maxSize": 1}),
]


@pytest.mark.parametrize(
    ("resources", "workloads", "stack", "choice", "usd"),
    [
        # four endpoints in two zones 58.40, a gateway and its address 36.50
        (ENDPOINTS, {}, {"network": "endpoints"}, "network: nat", "21.90"),
        (ENDPOINTS, {}, {"network": "endpoints"}, "network: public", "58.40"),
        (ENDPOINTS, {}, {"network": "endpoints", "zones": 3}, "zones: 2", "29.20"),
        # 730 × (0.1008 - 0.0816)
        (MACHINES, {}, {"network": "nat"}, "instance_type: m7g.large for pool-vm", "14.02"),
        # twelve copies have an address each: 43.80, a gateway with its own 36.50
        ([], {"api": API | {"replicas": {"min": 12}}}, {"network": "public"}, "network: nat", "7.30"),
        # 730 × (0.5 × 0.04048 + 0.004445 + 0.000111), with an address
        ([], {"api": API | {"replicas": {"min": 2, "max": 2}}}, {}, "replicas.min = 1 for api", "0.00 to 21.75"),
        # 730 × 0.7 × (0.5 × 0.04048 + 0.004445), one copy to two
        ([], {"api": API}, {"network": "nat"}, 'hardware = "fargate-spot" for APIs', "12.61 to 25.23"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_choice_saves_what_was_worked_out_by_hand(
    resources: list[Resource], workloads: Any, stack: Any, choice: str, usd: str
) -> None:
    saved = {one.choice: dollars(one.usd) for one in savings(resources, Written(workloads, stack), US)}
    assert saved.get(choice) == usd, saved


def test_what_would_cost_more_or_cannot_be_done_is_no_saving() -> None:
    few = Written({"api": API}, {"network": "public"})
    on_vms = Written({"fit": NIGHTLY | {"hardware": "vm"}}, {"network": "nat"})
    assert "network: nat" not in {one.choice for one in savings([], few, US)}
    assert "network: public" not in {one.choice for one in savings(PRICED[1].declared, on_vms, US)}
    assert not savings(ENDPOINTS, Written({}, {"network": "endpoints", "vpc": "vpc-1"}), US)


@pytest.mark.parametrize(
    ("budget", "says", "is_too_dear"),
    [
        (0, "", False),
        (74, "", False),
        (50, "it may cost 45.48 to 73.07 USD a month, and budget_per_month is 50", False),
        (40, "it costs 45.48 to 73.07 USD a month, and budget_per_month is 40", True),
    ],
)
def test_a_budget_is_held_against_the_range(budget: int, says: str, is_too_dear: bool) -> None:
    priced = PRICED[0].estimate
    said = Words(costs=(priced, priced), budget=budget)
    assert (said.over_budget, said.is_too_dear) == (says, is_too_dear)
    assert said.cost_lines == ([says] if says else [])


REGION = {"region": "us-east-1"}


def stack_of(budget: int) -> dict[str, Any]:
    return REGION | {"settings": {"workloads": {"api": API}, "stack": {"network": "nat", "budget_per_month": budget}}}


@pytest.mark.parametrize(
    ("before", "budget", "dangers", "over"),
    [
        (stack_of(0), 18, ["it costs 18.10 to 36.20 USD a month, and budget_per_month is 18"], True),
        (stack_of(0), 19, [], True),
        (stack_of(0), 37, [], False),
        ({}, 18, ["it costs 18.10 to 36.20 USD a month, and budget_per_month is 18"], True),
        # what an earlier Herd deployed says nothing of itself; what is to come does
        (REGION, 18, ["it costs 18.10 to 36.20 USD a month, and budget_per_month is 18"], True),
        (REGION, 37, [], False),
    ],
)
def test_what_is_over_the_budget_in_any_case_is_a_danger(
    before: dict[str, Any], budget: int, dangers: list[str], over: bool
) -> None:
    said = words.of(plan(outputs(before, stack_of(budget))), datetime(2027, 3, 1, tzinfo=UTC))
    assert ([one.what for one in said.dangers], said.is_too_dear) == (dangers, bool(dangers))
    assert bool(said.over_budget) is over is any("and budget_per_month is" in line for line in said.cost_lines)


@pytest.mark.parametrize(("budget", "is_shared", "refused"), [(40, True, True), (40, False, False), (50, True, False)])
def test_a_deployment_on_aws_that_is_too_dear_is_refused(budget: int, is_shared: bool, refused: bool) -> None:
    said = Words(costs=(PRICED[0].estimate, PRICED[0].estimate), budget=budget)
    says = "nothing was done: it costs 45.48 to 73.07 USD a month, and budget_per_month is 40; raise it, or"
    with pytest.raises(HerdError, match=says) if refused else nullcontext():
        hold_budget(said, is_shared)


def test_a_change_of_cost_is_said_with_what_it_assumes() -> None:
    small = estimate([], Written({"api": API}, {"network": "nat"}), US)
    more = estimate([], Written({"api": API | {"replicas": {"min": 2, "max": 2}}}, {"network": "nat"}), US)
    assert difference(small, more, 0) == [
        "all: 18.10 to 36.20 → 36.20 USD a month",
        "api: 18.10 to 36.20 → 36.20",
        "api: vCPU 14.78 to 29.55 → 29.55, memory 3.24 to 6.49 → 6.49, disk 0.08 to 0.16 → 0.16 "
        "(2 copies, day and night)",
        "by schedules and time limits, at list prices of us-east-1; herd cost has what runs really took",
    ]


def test_the_state_is_read_as_the_engine_writes_it() -> None:
    urn = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Watch$aws:kms/key:Key::key"
    parent = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Watch::watch"
    state = {"urn": urn, "custom": True, "parent": parent, "inputs": {"a": 1}}
    others = [{**state, "delete": True}, {**state, "custom": False}]
    assert of_state([state, *others]) == [Resource("aws:kms:Key", "key", "watch", {"a": 1})]


def test_an_estimate_is_the_sum_of_its_parts() -> None:
    priced = PRICED[1].estimate
    low, high = (sum(usd[end] for usd in priced.by_owner.values()) for end in (0, 1))
    assert (low, high) == pytest.approx(priced.usd)


def test_a_type_of_resource_is_in_one_table() -> None:
    assert not COUNTED.keys() & FREE.keys()
    assert [type_ for type_ in BY_USE if type_ in FREE and type_ != "aws:s3:Bucket"] == []
    assert all(FREE.values()) and not is_free("aws:rds:Instance")


def test_every_type_that_can_be_deployed_is_priced_free_or_named_as_unpriced() -> None:
    load_types()
    known = {type_ for type_ in map(short, REGISTRY) if type_ in COUNTED or type_ in BY_USE or is_free(type_)}
    assert {short(type_) for type_ in REGISTRY} - known == {
        "aws:cloudwatch:CompositeAlarm", "aws:cloudwatch:Dashboard", "aws:cloudwatch:LogMetricFilter",
        "aws:dynamodb:Table", "aws:rds:Instance", "aws:ssm:Parameter",
    }, "a team's own: without a price, and named"  # fmt: skip


ROW = "eu-west-1,key,2,2027-01-31,yes,https://example.com/list"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line must be region,thing,usd,as_of,confirmed,source"),
        ("region;thing\n", "its first line must be"),
        (ROW.replace("key,", "keys,"), "line 2: 'keys' is nothing that Herd has a price for"),
        (ROW.replace(",2,", ",two,"), "line 2: could not convert string to float: 'two'"),
        (ROW.replace(",2,", ",nan,"), "line 2: usd is nan, and must be more than 0"),
        (ROW.replace(",2,", ",0,"), "line 2: usd is 0, and must be more than 0"),
        (ROW.replace(",2,", ",-1,"), "line 2: usd is -1, and must be more than 0"),
        (ROW.replace("2027-01-31", "yesterday"), "line 2: Invalid isoformat string: 'yesterday'"),
        (ROW.replace("yes", "perhaps"), "line 2: confirmed is 'perhaps', and must be yes or no"),
        ("eu-west-1,key", "line 2: usd, as_of, confirmed, source is empty"),
    ],
)
def test_a_file_of_prices_that_is_wrong_is_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    head = "" if text in ("", "region;thing\n") else ",".join(prices.COLUMNS) + "\n"
    (tmp_path / "prices.csv").write_text(head + text)
    with pytest.raises(WrongInput) as error:
        table_of("eu-west-1", tmp_path)
    assert f"prices.csv{',' if head else ':'} {says}" in str(error.value)


def test_a_projects_own_prices_go_before_herds(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(",".join(prices.COLUMNS) + "\n" + ROW + "\n")
    table = table_of("eu-west-1", tmp_path)
    assert (table.price(prices.KEY).usd, table.price(prices.NAT_GATEWAY).usd) == (2, 0.048)


def test_a_table_that_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "again.csv").write_text(prices.written(reversed(prices.shipped())))
    assert prices.read(tmp_path / "again.csv") == prices.shipped()
    assert (tmp_path / "again.csv").read_text() == prices.TABLE.read_text()
