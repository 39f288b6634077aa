"""Prices have one table: the pages that name them say what it says, and the code says nothing of its own."""

import ast
import re
from pathlib import Path

import pytest

from herd.infra import prices

ROOT = Path(__file__).parents[2]
API = 0.25 * prices.FARGATE_VCPU.a_month + 0.5 * prices.FARGATE_GB.a_month
THREE_ENDPOINTS = 3 * 2 * prices.ENDPOINT.a_month

SAID = {
    "README.md": [
        f"| load balancer | {prices.LOAD_BALANCER.a_month:.0f}, with an API |",
        f"| {prices.ADDRESS.a_month:.0f} for each task that runs |",
        f"| {prices.NAT_GATEWAY.a_month:.0f} for a NAT gateway, and {prices.NAT_TRAFFIC.usd} a GB |",
        f"| encryption key | – | {prices.KEY.usd:.0f} |",
        f"| logs | {prices.LOGS.usd:g} a GB | {prices.LOGS.usd:g} a GB |",
        f"| an API with 0.25 vCPU, day and night | {API:.0f} | {API:.0f} a copy |",
    ],
    "docs/aws.md": [
        f"an address {prices.ADDRESS.a_month:.0f} USD; a NAT {prices.NAT_GATEWAY.a_month:.0f} USD "
        f"and {prices.NAT_TRAFFIC.usd} a GB",
        f"{prices.ENDPOINT.a_month:.0f} USD an endpoint and zone, {THREE_ENDPOINTS:.0f} and more",
        f"| one key of the environment | {prices.KEY.usd:.0f} USD |",
        f"{prices.LOGS.usd:g} USD a GB",
        f"{prices.LOAD_BALANCER.a_month:.0f} USD each",
        f"below {prices.VERIFY_AT_MOST_USD} USD",
    ],
    "docs/guide/how-it-works.md": [f"about {prices.ADDRESS.a_month:.0f} USD a month"],
    "Pulumi.prod.yaml": [
        f"nat {prices.NAT_GATEWAY.a_month:.0f} USD and {prices.NAT_TRAFFIC.usd} a GB; "
        f"endpoints {THREE_ENDPOINTS:.0f} and more; public {prices.ADDRESS.a_month:.0f} a task"
    ],
}


@pytest.mark.parametrize("page", SAID)
def test_pages_name_the_prices_of_the_table(page: str) -> None:
    text = (ROOT / page).read_text()
    assert [price for price in SAID[page] if price not in text] == []


def test_no_price_stands_in_the_code() -> None:
    """Neither in docstrings nor in messages."""
    found = {
        (path.relative_to(ROOT).as_posix(), node.value.strip()[:60])
        for path in (ROOT / "src/herd").rglob("*.py")
        if path != Path(prices.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.search(r"[0-9] ?(USD|dollars)|[0-9] % (cheaper|less)", node.value)
    }
    assert found == set()


def test_each_price_has_a_source_and_a_day_and_each_region_all_things() -> None:
    rows = prices.shipped()
    assert all(
        row.source.startswith(("https://aws.amazon.com/", "https://pricing.us-east-1.amazonaws.com/")) for row in rows
    )
    assert all("amazonaws.com" in row.source for row in rows if row.confirmed)
    by_region = {region: {row.thing for row in rows if row.region == region} for region in prices.regions()}
    assert by_region.keys() >= {"eu-west-1", "eu-central-1", "us-east-1"}
    lacking = {region: prices.THINGS.keys() - prices.EVERYWHERE - things for region, things in by_region.items()}
    assert not any(lacking.values()), lacking
