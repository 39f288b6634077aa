"""What an environment costs: priced by hand from AWS's pages, and equal to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from herd.engine.plan import Resource
from herd.review.cost import Estimate, dollars, estimate, of_state, savings, starts_a_month
from herd.review.settings import Written
from herd.review.words import Words

TEN_ALARMS = [("aws:cloudwatch:MetricAlarm", {})] * 10


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
        # balancer 730 × 0.0225 = 16.425, its addresses 2 × 730 × 0.005 = 7.30
        # a copy: 730 × (0.5 × 0.04048 + 1 × 0.004445 + 1 × 0.000111 + 0.005) = 21.75108
        "45.48 to 67.23",
        {"environment": "23.73", "api": "21.75 to 43.50"},
    ),
    Priced(
        "the same in prod, by a NAT gateway, with a key and ten alarms",
        [
            ("aws:lb:LoadBalancer", {"internal": False}), ("aws:ec2:NatGateway", {}), ("aws:ec2:Eip", {}),
            ("aws:kms:Key", {}), *TEN_ALARMS,
        ],
        {"network": "nat"},
        {"api": API},
        # 16.425 + 7.30 + 730 × 0.045 = 32.85 + 730 × 0.005 = 3.65 + 1 + 10 × 0.10 = 62.225
        # a copy without an address: 18.10108
        "80.33 to 98.43",
        {"environment": "62.23", "api": "18.10 to 36.20"},
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
        # an hour: 0.04048 + 2 × 0.004445 + 0.000111 = 0.049481
        "0.10 to 2.01",
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
        "0.09 to 1.80",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", PRICED, ids=lambda case: case.name)
def test_it_costs_what_was_priced_by_hand(case: Priced) -> None:
    priced = estimate(case.declared, case.written)
    assert dollars(priced.usd) == case.usd
    assert {name: dollars(usd) for name, usd in priced.by_owner.items()} == case.by_owner or not case.by_owner
    assert not priced.unpriced


def test_the_guide_says_the_same_of_its_two_environments() -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/cost.md").read_text()
    assert [case.usd for case in PRICED[:2] if f"**{case.usd}**" not in guide] == []


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
    resources = [Resource("aws:rds:Instance", "warehouse", "environment", {}), Resource("aws:iam:Role", "r", "x", {})]
    priced = estimate(resources, Written({}, {}))
    assert (priced.items, dict(priced.unpriced)) == ((), {"aws:rds:Instance": 1})


def test_what_is_paid_by_use_is_named_once_with_its_price() -> None:
    buckets = [Resource("aws:s3:Bucket", name, "environment", {}) for name in ("data", "reports")]
    assert [price.unit for price in estimate(buckets, Written({}, {})).by_use] == [
        "GB in S3 and month", "write or listing in S3", "object read from S3",
    ]  # fmt: skip


def test_savings_are_the_difference_of_two_estimates() -> None:
    nat = PRICED[1]
    written = Written({"train": NIGHTLY}, nat.stack)
    by_choice = {saving.choice: dollars(saving.usd) for saving in savings(nat.declared, written)}
    # 36.50 of the gateway, less an address for 0.507 to 10.14 hours; 70 % of 0.025 to 0.4996, without the disk
    assert by_choice == {
        "network: public": "36.45 to 36.50",
        'hardware = "fargate-spot" for jobs and reports': "0.02 to 0.35",
    }


@pytest.mark.parametrize(
    ("budget", "says", "is_too_dear"),
    [
        (0, "", False),
        (70, "", False),
        (50, "it may cost 45.48 to 67.23 USD a month, and budget_per_month is 50", False),
        (40, "it costs 45.48 to 67.23 USD a month, and budget_per_month is 40", True),
    ],
)
def test_a_budget_is_held_against_the_range(budget: int, says: str, is_too_dear: bool) -> None:
    priced = estimate(PRICED[0].declared, PRICED[0].written)
    words = Words(costs=(priced, priced), budget=budget)
    assert (words.over_budget, words.is_too_dear) == (says, is_too_dear)
    assert words.cost_lines == ([says] if says else [])


def test_the_state_is_read_as_the_engine_writes_it() -> None:
    urn = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Watch$aws:kms/key:Key::key"
    parent = "urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Watch::watch"
    state = {"urn": urn, "custom": True, "parent": parent, "inputs": {"a": 1}}
    others = [{**state, "delete": True}, {**state, "custom": False}]
    assert of_state([state, *others]) == [Resource("aws:kms:Key", "key", "watch", {"a": 1})]


def test_an_estimate_is_the_sum_of_its_parts() -> None:
    priced: Estimate = estimate(PRICED[1].declared, PRICED[1].written)
    low, high = (sum(usd[end] for usd in priced.by_owner.values()) for end in (0, 1))
    assert (low, high) == pytest.approx(priced.usd)
