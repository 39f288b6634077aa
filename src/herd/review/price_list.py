"""AWS's public price list: one file for each service and region, of which the prices of `herd.infra.prices` are taken.

The files are read as CSV, line by line, because that of EC2 has some hundred megabytes. Their form: "Reading the price
list files for an AWS service" in the AWS Billing user guide. A few lines say what the file is, then comes a head with
the names of columns, then a row for each price. No credentials are needed, and none are sent.
"""

from __future__ import annotations

import csv
import http.client
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import IO

from herd.errors import HerdError, WrongInput, unknown
from herd.infra import capacity, prices
from herd.infra.prices import Price, Thing

AWS = "https://pricing.us-east-1.amazonaws.com"
SECONDS = 60
"""So long a server may say nothing."""

CURRENCY = "USD"

PREFIXES: Mapping[str, tuple[str, ...]] = {
    "af-south-1": ("AFS1",), "ap-east-1": ("APE1",), "ap-northeast-1": ("APN1",), "ap-northeast-2": ("APN2",),
    "ap-northeast-3": ("APN3",), "ap-south-1": ("APS3",), "ap-south-2": ("APS5",), "ap-southeast-1": ("APS1",),
    "ap-southeast-2": ("APS2",), "ap-southeast-3": ("APS4",), "ap-southeast-4": ("APS6",), "ca-central-1": ("CAN1",),
    "ca-west-1": ("CAN2",), "eu-central-1": ("EUC1",), "eu-central-2": ("EUC2",), "eu-north-1": ("EUN1",),
    "eu-south-1": ("EUS1",), "eu-south-2": ("EUS2",), "eu-west-1": ("EU", "EUW1"), "eu-west-2": ("EUW2",),
    "eu-west-3": ("EUW3",), "il-central-1": ("ILC1",), "me-central-1": ("MEC1",), "me-south-1": ("MES1",),
    "sa-east-1": ("SAE1",), "us-east-1": ("", "USE1"), "us-east-2": ("USE2",), "us-west-1": ("USW1",),
    "us-west-2": ("USW2",),
}  # fmt: skip
"""Region -> what its usage types begin with ("AWS services in scope of usage types", AWS Cost and Usage Reports)."""

SKU, TERM, RANGE, UNIT_PRICE, MONEY = "SKU", "TermType", "StartingRange", "PricePerUnit", "Currency"
USAGE, OPERATION = "usageType", "operation"
NEEDED = (SKU, TERM, RANGE, UNIT_PRICE, MONEY, USAGE)
PUBLISHED = "Publication Date"
MOST_HEAD_LINES = 20
ON_DEMAND = "OnDemand"

LINUX = "RunInstances"
"""The operation of a machine with Linux and nothing that costs besides: others are `RunInstances:0002` and so on."""

MACHINE = "BoxUsage:"


@dataclass
class Update:
    """`rows`: what was read; `notes`: what was not, in sentences."""

    rows: list[Price] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Rate:
    """One price of a thing: from `start` units a month on."""

    sku: str
    start: float
    usd: str
    currency: str


def fetch(region: str, base: str = AWS, progress: Callable[[str], None] = lambda _: None) -> Update:
    """The prices of a region. Raises WrongInput for a region without a list, HerdError where one cannot be read."""
    if region not in PREFIXES:
        raise WrongInput(unknown(region, sorted(PREFIXES), "region with a price list"))
    update = Update()
    for service, things in _by_service().items():
        progress(service)
        address = f"{base.rstrip('/')}/offers/v1.0/aws/{service}/current/{region}/index.csv"
        with _open(address) as answer:
            read(answer, region, service, things, address, update)
    return update


def _by_service() -> dict[str, list[Thing]]:
    services: dict[str, list[Thing]] = {}
    for thing in prices.THINGS.values():
        if thing.name not in prices.EVERYWHERE:
            services.setdefault(thing.service, []).append(thing)
    return dict(sorted(services.items()))


def _open(address: str) -> IO[bytes]:
    request = urllib.request.Request(address, headers={"User-Agent": "herd"})
    try:
        answer: IO[bytes] = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise HerdError(f"AWS's price list answers {error.code} to {address}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise HerdError(
            f"AWS's price list cannot be reached at {address}: {reason}; nothing was changed, and `herd cost` goes on "
            "with the prices that it has"
        ) from None
    return answer


def read(answer: IO[bytes], region: str, service: str, things: Iterable[Thing], address: str, update: Update) -> None:
    """Add what one file says to `update`. Raises HerdError where it is none, or breaks off."""
    rates: dict[str, list[_Rate]] = {}
    wanted = {prefixed: thing for thing in things for prefixed in _usages(region, thing.usage)}
    machines = tuple(_usages(region, MACHINE)) if service == "AmazonEC2" else ()
    try:
        lines = csv.reader(io.TextIOWrapper(answer, encoding="utf-8", newline=""), strict=True)
        published, columns = _head(lines, address)
        for row in lines:
            if len(row) != len(columns):
                raise HerdError(f"{address} breaks off in line {lines.line_num}: nothing was changed; try again")
            if row[columns[TERM]] != ON_DEMAND:
                continue
            usage, operation = row[columns[USAGE]], _cell(row, columns, OPERATION)
            thing = wanted.get(usage)
            if thing is None and usage.startswith(machines or ("\0",)) and operation == LINUX:
                type_ = usage.rpartition(":")[2]
                thing = prices.instance(type_) if capacity.machine(type_) else None
            if thing is None or thing.operation not in ("", operation):
                continue
            rates.setdefault(thing.name, []).append(
                _Rate(row[columns[SKU]], _number(row[columns[RANGE]]), row[columns[UNIT_PRICE]], row[columns[MONEY]])
            )
        # The standard library takes a connection that ends too early for the end of the file.
        if left := getattr(answer, "length", None):
            raise HerdError(f"{address} breaks off {left} bytes before its end: nothing was changed; try again")
    except (OSError, http.client.HTTPException, UnicodeDecodeError, csv.Error) as error:
        raise HerdError(f"{address} breaks off or is no price list: {error}; nothing was changed; try again") from None
    for thing in things:
        if thing.name not in rates:
            update.notes.append(f"{service} lists no {thing.usage} in {region}: {thing.name} stays as it was")
    for name, listed in sorted(rates.items()):
        _add(update, prices.thing(name), region, listed, published, address)


def _usages(region: str, usage: str) -> Iterator[str]:
    """`NatGateway-Hours` -> `EU-NatGateway-Hours`; KMS writes the region itself."""
    for prefix in (*PREFIXES[region], region):
        yield f"{prefix}-{usage}" if prefix else usage


def _head(lines: Iterator[list[str]], address: str) -> tuple[date, dict[str, int]]:
    """The day of publication, and column -> its place."""
    published = ""
    for _, row in zip(range(MOST_HEAD_LINES), lines, strict=False):
        if row and row[0] == PUBLISHED and len(row) > 1:
            published = row[1]
        if row and row[0] == SKU:
            columns = {name: place for place, name in enumerate(row)}
            if lacking := [name for name in NEEDED if name not in columns]:
                raise HerdError(f"{address} has no column {', '.join(lacking)}: its form has changed")
            break
    else:
        raise HerdError(f"{address} is no price list: it has no line that begins with {SKU}; nothing was changed")
    try:
        return date.fromisoformat(published[:10]), columns
    except ValueError:
        raise HerdError(f"{address} does not say when it was published; nothing was changed") from None


def _cell(row: list[str], columns: Mapping[str, int], name: str) -> str:
    return row[columns[name]] if name in columns else ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _add(update: Update, thing: Thing, region: str, rates: list[_Rate], published: date, address: str) -> None:
    """The price of the first units that cost something: what is free at first is a share of the whole account's."""
    where = f"{thing.name} in {region}"
    if others := sorted({rate.currency for rate in rates} - {CURRENCY}):
        update.notes.append(f"the price of {where} is in {', '.join(others)} and not in {CURRENCY}: it stays as it was")
        return
    paid = [rate for rate in rates if _number(rate.usd) > 0]
    if not paid:
        update.notes.append(f"the list says that {where} costs nothing, which is no price: it stays as it was")
        return
    first = min(rate.start for rate in paid)
    amounts = sorted({_number(rate.usd) for rate in paid if rate.start == first})
    if len(amounts) > 1:
        listed = ", ".join(map(prices.plain, amounts))
        update.notes.append(f"the list has several prices of {where} ({listed}): it stays as it was")
        return
    if amounts[0] >= prices.MOST_USD:
        update.notes.append(f"the list says {amounts[0]:g} USD for {where}, which cannot be: it stays as it was")
        return
    update.rows.append(Price(thing.name, region, amounts[0], thing.unit, published, address, confirmed=True))


def merged(before: Iterable[Price], update: Update) -> list[Price]:
    """What a project's file has from now on: its rows, those of the update in place of the same things' before."""
    rows = {(row.region, row.thing): row for row in (*before, *update.rows)}
    return [rows[key] for key in sorted(rows)]


def differences(before: prices.Prices, rows: Iterable[Price]) -> list[str]:
    """`nat-gateway 0.048 → 0.05` of each price that changes; of what had none before, how many."""
    lines, new = [], 0
    for row in sorted(rows, key=lambda row: row.thing):
        was = None if before.stand_in else before.by_thing.get(row.thing)
        if was is None:
            new += 1
        elif prices.plain(was.usd) != prices.plain(row.usd):
            lines.append(f"{row.thing} {prices.plain(was.usd)} → {prices.plain(row.usd)} USD for a {row.unit}")
    return [*lines, *([f"{new} that had no price before"] if new else [])]
