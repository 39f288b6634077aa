"""`herd prices update`: a small price list of the documented form, served on loopback, and lists that are wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from herd.errors import HerdError
from herd.infra import prices
from herd.review import price_list
from herd.review.price_list import Update, fetch
from tests.herd.command_line import invoke

HEAD = """\
"FormatVersion","v1.0"
"Disclaimer","This pricing list is for informational purposes only. All prices are subject to the terms"
"Publication Date","2027-01-29T17:45:21Z"
"Version","20270129174521"
"OfferCode","{service}"
"SKU","OfferTermCode","RateCode","TermType","PriceDescription","EffectiveDate","StartingRange","EndingRange","Unit",\
"PricePerUnit","Currency","Product Family","serviceCode","Location","usageType","operation"
"""


def row(
    usage: str, usd: str, start: str = "0", currency: str = "USD", operation: str = "", term: str = "OnDemand"
) -> str:
    cells = [
        f"SKU-{usage}", "JRTCKXETXF", "rate", term, f"{usd} per unit, first tier", "2027-01-01", start,
        "Inf", "Hrs", usd, currency, "family", "service", "EU (Ireland)", usage, operation,
    ]  # fmt: skip
    return ",".join(f'"{cell}"' for cell in cells) + "\n"


def listed(service: str, *rows: str) -> str:
    return HEAD.format(service=service) + "".join(rows)


EC2 = (
    row("EU-NatGateway-Hours", "0.0500000000", operation="NatGateway"),
    row("EU-RegionalNatGateway-Hours", "0.0600000000", operation="RegionalNatGateway"),
    row("EU-BoxUsage:m7i.large", "0.1200000000", operation="RunInstances"),
    row("EU-BoxUsage:m7i.large", "0.2040000000", operation="RunInstances:0002"),
    row("EU-BoxUsage:m7i.large", "0.0700000000", operation="RunInstances", term="Reserved"),
    row("EU-BoxUsage:x1e.large", "0.9000000000", operation="RunInstances"),
    row("EU-DedicatedUsage:m7i.large", "0.1300000000", operation="RunInstances"),
)
ELB = (
    row("EU-LoadBalancerUsage", "0.0260000000", operation="LoadBalancing:Application"),
    row("EU-LoadBalancerUsage", "0.0300000000", operation="LoadBalancing"),
    row("EU-Outposts-LCUUsage", "0.0000000000", operation="LoadBalancing:Application"),
    row("EU-TS-LoadBalancerUsage", "0.0056000000", operation="LoadBalancing:Application"),
)


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[str, str]], str]]:
    """Serves text by service, all others an empty list; the address."""
    files: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service = self.path.split("/")[4]
            text = files.get(service, listed(service))
            cut = text.endswith("…")
            body = text.removesuffix("…").encode()
            if text == "gone":
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + (500 if cut else 0)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def begin(wanted: Mapping[str, str]) -> str:
        files.update(wanted)
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    server.shutdown()
    thread.join()
    server.server_close()


def read_of(update: Update) -> dict[str, float]:
    return {row.thing: row.usd for row in update.rows}


def test_the_price_of_each_thing_is_taken_and_none_that_only_looks_like_it(
    serve: Callable[[Mapping[str, str]], str],
) -> None:
    base = serve({"AmazonEC2": listed("AmazonEC2", *EC2), "AWSELB": listed("AWSELB", *ELB)})
    update = fetch("eu-west-1", base)
    assert read_of(update) == {"nat-gateway": 0.05, "ec2.m7i.large": 0.12, "load-balancer": 0.026}
    gateway = next(row for row in update.rows if row.thing == "nat-gateway")
    assert (gateway.as_of.isoformat(), gateway.confirmed) == ("2027-01-29", True)
    assert gateway.source == f"{base}/offers/v1.0/aws/AmazonEC2/current/eu-west-1/index.csv"
    assert "AmazonEC2 lists no NatGateway-Bytes in eu-west-1: nat-traffic stays as it was" in update.notes


@pytest.mark.parametrize(
    ("region", "usage"),
    [
        ("us-east-1", "NatGateway-Hours"),
        ("us-east-1", "USE1-NatGateway-Hours"),
        ("eu-central-1", "EUC1-NatGateway-Hours"),
    ],
)
def test_each_region_has_its_own_beginning(serve: Callable[[Mapping[str, str]], str], region: str, usage: str) -> None:
    rows = row(usage, "0.05", operation="NatGateway") + row("APN1-NatGateway-Hours", "0.06", operation="NatGateway")
    assert read_of(fetch(region, serve({"AmazonEC2": listed("AmazonEC2", rows)}))) == {"nat-gateway": 0.05}


@pytest.mark.parametrize(
    ("rows", "price", "says"),
    [
        # what is free at first is for the whole account
        (row("EU-StateTransition", "0.0000000000", "0") + row("EU-StateTransition", "0.000025", "4000"), 0.000025, ""),
        (row("EU-StateTransition", "0.000025", "0") + row("EU-StateTransition", "0.00002", "9000"), 0.000025, ""),
        (row("EU-StateTransition", "0.0000000000"), None, "transition in eu-west-1 costs nothing, which is no price"),
        (row("EU-StateTransition", "0.0002", currency="CNY"), None, "transition in eu-west-1 is in CNY and not in USD"),
        (row("EU-StateTransition", "much"), None, "transition in eu-west-1 costs nothing, which is no price"),
        (row("EU-StateTransition", "90000"), None, "90000 USD for transition in eu-west-1, which cannot be"),
        (
            row("EU-StateTransition", "1") + row("EU-StateTransition", "2"),
            None,
            "several prices of transition in eu-west-1 (1, 2)",
        ),
        (row("EU-Transition", "1"), None, "AmazonStates lists no StateTransition in eu-west-1"),
        ("", None, "AmazonStates lists no StateTransition in eu-west-1"),
    ],
)  # fmt: skip
def test_what_is_no_price_is_said_and_left_as_it_was(
    serve: Callable[[Mapping[str, str]], str], rows: str, price: float | None, says: str
) -> None:
    update = fetch("eu-west-1", serve({"AmazonStates": listed("AmazonStates", rows)}))
    assert read_of(update).get("transition") == price
    assert any(says in note for note in update.notes)


WHOLE = listed("AmazonStates", row("EU-StateTransition", "0.000025"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WHOLE[:-60], "breaks off"),
        (WHOLE.rstrip("\n").rpartition(",")[0] + "\n", "breaks off in line 7"),
        (WHOLE + "…", "breaks off 500 bytes before its end"),
        (WHOLE[: WHOLE.index('"SKU"')], "is no price list: it has no line that begins with SKU"),
        ("<html>Sign in</html>", "is no price list"),
        ("", "is no price list"),
        (WHOLE.replace('"PricePerUnit"', '"Price"'), "has no column PricePerUnit: its form has changed"),
        (WHOLE.replace("2027-01-29T17:45:21Z", "lately"), "does not say when it was published"),
        (WHOLE.replace("2027-01-29", "2027-13-29"), "does not say when it was published"),
        ("gone", "answers 404"),
    ],
)
def test_half_a_list_changes_nothing(
    serve: Callable[[Mapping[str, str]], str], tmp_path: Path, text: str, says: str
) -> None:
    own = str(tmp_path / "own.csv")
    result = invoke("prices", "update", "--from", serve({"AmazonStates": text}), "--output", own)
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert says in " ".join(result.stderr.split())
    assert not (tmp_path / "own.csv").exists()


def test_what_cannot_be_reached_is_one_sentence() -> None:
    with pytest.raises(HerdError, match=r"cannot be reached at http://127.0.0.1:9/offers.*goes on with the prices"):
        fetch("eu-west-1", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--region", "eu-west-9"], "no region with a price list 'eu-west-9'; did you mean 'eu-west-3'?"),
        (["--region", "Ireland"], "'Ireland' cannot be a region of AWS; allowed: like 'eu-west-1'"),
        (["--from", "file:///etc/passwd"], "'file:///etc/passwd' cannot be the address of a server"),
    ],
)
def test_a_region_or_address_that_is_none_is_refused(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = invoke("prices", "update", *arguments, "--output", str(tmp_path / "own.csv"))
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_the_same_list_writes_the_same_file_and_keeps_other_regions(serve: Callable[[Mapping[str, str]], str]) -> None:
    base = serve({"AmazonEC2": listed("AmazonEC2", *EC2), "AWSELB": listed("AWSELB", *ELB)})
    before = [row for row in prices.shipped() if row.region == "us-east-1"]
    once = price_list.merged(before, fetch("eu-west-1", base))
    assert prices.written(price_list.merged(once, fetch("eu-west-1", base))) == prices.written(once)
    assert {row.region for row in once} == {"us-east-1", "eu-west-1"}


def test_what_changes_is_said_and_written(serve: Callable[[Mapping[str, str]], str], tmp_path: Path) -> None:
    base = serve({"AmazonEC2": listed("AmazonEC2", *EC2), "AWSELB": listed("AWSELB", *ELB)})
    own = tmp_path / "own.csv"
    result = invoke("prices", "update", "--region", "eu-west-1", "--from", base, "--output", str(own))
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "ec2.m7i.large 0.11235 → 0.12 USD for a m7i.large and hour",
            "load-balancer 0.0252 → 0.026 USD for a load balancer and hour",
            "nat-gateway 0.048 → 0.05 USD for a NAT gateway and hour",
        ],
    )
    assert "2 prices, 1 types of machines" in result.stderr
    assert [row.thing for row in prices.read(own)] == ["ec2.m7i.large", "load-balancer", "nat-gateway"]
