"""Reports by e-mail: what the runner is told, and what is said of a sender that cannot send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.infra import mail
from herd.infra.offer import Offer
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Notifications
from herd.infra.spec.load import SpecErrors, load_specs
from tests.herd.infra.program.mocks import SETTINGS, TEAM, Refused, run_program, write_team

SENDER = "reports@acme.org"
MAILING = replace(SETTINGS, notifications=Notifications(mail_from=SENDER))
NEEDED = ("defaults.toml", "images/", "runner/", "reports/page/")


def team_of(root: Path, settings: str) -> Path:
    files = {path: text for path, text in TEAM.items() if path.startswith(NEEDED)}
    return write_team(root, {**files, "reports/page/workload.toml": settings})


def test_the_runner_is_told_who_sends_what_to_whom(tmp_path: Path) -> None:
    settings = 'mail_to = ["Ada@Example.com", "grace@example.com"]\nmail = "attachment"'
    told = run_program(team_of(tmp_path, settings), MAILING).task("page")["mail"]
    assert told == {
        "sender": SENDER,
        "recipients": ["ada@example.com", "grace@example.com"],
        "form": "attachment",
    }


@pytest.mark.parametrize(
    ("settings", "offer", "words"),
    [
        ('mail_to = ["ada@example.com"]', Offer(mail_from=""), 'mail_to = ["ada@example.com"] needs a sender'),
        ('mail = "attachment"', Offer(mail_from=SENDER), 'mail = "attachment" means nothing without mail_to'),
        ('mail_to = ["ada"]', Offer(mail_from=SENDER), "mail_to"),
        ('mail_to = ["a@b.org", "A@b.org"]', Offer(mail_from=SENDER), "mail_to"),
        ('mail = "fax"\nmail_to = ["a@b.org"]', Offer(mail_from=SENDER), "mail"),
    ],
)
def test_what_cannot_be_mailed_is_refused(tmp_path: Path, settings: str, offer: Offer, words: str) -> None:
    with pytest.raises(SpecErrors) as refused:
        load_specs(team_of(tmp_path, settings), "dev", offer)
    [line] = str(refused.value).splitlines()
    assert line.startswith("reports/page/workload.toml: ") and words in line


def test_without_a_way_to_the_world_nothing_can_be_mailed(tmp_path: Path) -> None:
    settings = replace(MAILING, network="endpoints")
    with pytest.raises(pulumi.RunError, match="reports/page/workload.toml: mail_to does not go with the network"):
        run_program(team_of(tmp_path, 'mail_to = ["ada@example.com"]'), settings)


def verified(**states: bool) -> Any:
    """What SES says of identities, by name with `_` for `.` and `@`."""

    def answer(arguments: Mapping[str, Any]) -> dict[str, Any]:
        name = arguments["emailIdentity"]
        if (state := states.get(name.replace(".", "_").replace("@", "_"))) is None:
            raise Refused(f"reading SESv2 Email Identity ({name}): couldn't find resource")
        return {"emailIdentity": name, "verifiedForSendingStatus": state}

    return {"getEmailIdentity": answer}


@pytest.mark.parametrize(
    ("there", "words"),
    [
        pytest.param(verified(reports_acme_org=True), None, id="the address"),
        pytest.param(verified(acme_org=True), None, id="its domain"),
        pytest.param(verified(reports_acme_org=False, acme_org=True), None, id="the domain, though the address waits"),
        pytest.param(verified(reports_acme_org=False), "waits to be verified in SES (reports@acme.org)", id="waiting"),
        pytest.param(verified(), "is no identity of SES that is known to be verified in this region", id="none"),
    ],
)
@pytest.mark.parametrize("preview", [True, False])
def test_a_sender_that_is_not_verified_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: Any, words: str | None, preview: bool
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(mail.pulumi.log, "warn", warnings.append)
    run_program(team_of(tmp_path, 'mail_to = ["ada@example.com"]'), MAILING, there=there, preview=preview)
    if words is None:
        assert not warnings
    else:
        [warning] = warnings
        assert words in warning and warning.endswith("published and not mailed: page")


def test_nobody_is_asked_where_nothing_is_mailed(tmp_path: Path) -> None:
    def never(arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError(arguments)

    settings: Settings = MAILING
    assert run_program(team_of(tmp_path, ""), settings, there={"getEmailIdentity": never}).resources
