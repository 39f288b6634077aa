"""The team's exceptions: they cover what they name, until they expire, and only while they are needed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from herd.policy import exceptions
from herd.policy.catalogue import BY_ID, examine
from herd.policy.exceptions import Accepted, Exceptions, ExceptionsError
from herd.policy.model import Resource, Stack

TODAY = date(2026, 11, 24)
OPEN = Resource(
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "partner-in",
    {"description": "x", "ipProtocol": "tcp", "fromPort": 8443, "toPort": 8443, "cidrIpv4": "0.0.0.0/0"},
)
ENTRY = """
[[exception]]
rule = "network-world-ports"
resource = "partner-in"
reason = "the partner's firewall lets 8443 through only"
expires = 2027-01-31
"""


def read(folder: Path, text: str) -> list[Accepted]:
    (folder / exceptions.FILE).write_text(text)
    return exceptions.read(folder, BY_ID)


def left(entries: list[Accepted], stack: Stack, today: date = TODAY, unknown: tuple[str, ...] = ()) -> list[str]:
    at_work = Exceptions(entries, stack, today)
    found = list(at_work.remaining(examine([OPEN], stack)))
    return [str(finding) for finding in (*found, *at_work.problems(unknown))]


def test_no_file_is_no_exceptions(tmp_path: Path) -> None:
    assert exceptions.read(tmp_path, BY_ID) == []


def test_an_exception_covers_what_it_names(tmp_path: Path) -> None:
    assert len(left([], Stack())) == 1
    assert left(read(tmp_path, ENTRY), Stack()) == []
    assert left(read(tmp_path, ENTRY.replace('"partner-in"', '"partner-*"')), Stack()) == []


def test_until_it_expires(tmp_path: Path) -> None:
    entries = read(tmp_path, ENTRY)
    assert left(entries, Stack(), date(2027, 1, 31)) == []
    finding, expired = left(entries, Stack(), date(2027, 2, 1))
    assert finding.startswith("environment: partner-in: the world may reach port 8443")
    assert expired == (
        "policy-exceptions.toml: the exception from network-world-ports for partner-in expired on 2027-01-31; "
        "repair what it was for, or give a new reason and date (exceptions-hold)"
    )


def test_one_that_is_not_needed_any_more(tmp_path: Path) -> None:
    _, unused = left(read(tmp_path, ENTRY.replace("partner-in", "gone")), Stack())
    assert "the exception from network-world-ports for gone is not needed any more; take it away" in unused


def test_what_a_first_preview_does_not_know_may_still_need_it(tmp_path: Path) -> None:
    entries = read(tmp_path, ENTRY.replace("partner-in", "train-task"))
    assert len(left(entries, Stack(), unknown=("train-task",))) == 1
    assert len(left(entries, Stack(), unknown=("other",))) == 2


def test_an_environment_has_its_own(tmp_path: Path) -> None:
    entries = read(tmp_path, f'{ENTRY}environments = ["dev"]\n')
    assert left(entries, Stack("dev")) == []
    assert left(entries, Stack("prod"))[0].startswith("environment: partner-in")
    assert len(left(entries, Stack("prod"))) == 1, "and it is not called unneeded elsewhere"


WRONG = {
    "not TOML": ("[[exception", "is not TOML"),
    "a table": ("exception = 1", "below [[exception]]"),
    "nothing said": ("[[exception]]", "exception 1: rule is missing"),
    "no reason": (ENTRY.replace("reason", "because"), "exception 1: reason is missing"),
    "unknown setting": (ENTRY.replace("reason", "because"), "unknown setting 'because'"),
    "no such rule": (ENTRY.replace("world-ports", "ports"), "there is no rule 'network-ports'"),
    "a text for a date": (ENTRY.replace("2027-01-31", '"2027-01-31"'), "expires must be a date"),
    "a time": (ENTRY.replace("2027-01-31", "2027-01-31T00:00:00Z"), "expires must be a date"),
    "environments": (f'{ENTRY}environments = "dev"', "environments must be a list"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ExceptionsError) as caught:
        read(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert any(message in line for line in lines) and all(line.startswith("policy-exceptions.toml: ") for line in lines)
