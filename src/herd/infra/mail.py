"""Reports by e-mail: whether the sender that the stack's settings name can send at all."""

from collections.abc import Iterator

import pulumi
from pulumi_aws.sesv2.get_email_identity import get_email_identity

from herd.infra.settings.schema import Settings
from herd.infra.spec.load import ReportSpec, Specs


def unable(specs: Specs, settings: Settings) -> Iterator[str]:
    """A line for each report that could never be mailed: without a way to the world nothing reaches SES."""
    if settings.network != "endpoints":
        return
    for spec in _mailed(specs):
        yield (
            f"{(spec.folder / 'workload.toml').as_posix()}: mail_to does not go with the network `endpoints` of "
            f"{settings.environment}, from which SES cannot be reached; set herd:network to nat in "
            f"Pulumi.{settings.environment}.yaml"
        )


def warn_unverified(settings: Settings, specs: Specs) -> None:
    """Says in the preview that SES would refuse what reports send. Somebody verifies it in time: so only a warning."""
    reports = [spec.name for spec in _mailed(specs)]
    if reports and (problem := unverified(settings.notifications.mail_from)):
        pulumi.log.warn(
            f"Pulumi.{settings.environment}.yaml: herd:notifications.mail_from = {settings.notifications.mail_from} "
            f"{problem}; until that is done these reports are published and not mailed: {', '.join(reports)}"
        )


def unverified(sender: str) -> str | None:
    """What keeps the address from being a sender, or None: it or its domain is to be a verified identity of SES."""
    waiting = []
    for identity in (sender, sender.rpartition("@")[2]):
        try:
            if get_email_identity(email_identity=identity).verified_for_sending_status:
                return None
            waiting.append(identity)
        except Exception:  # an invoke raises Exception itself; whatever it is, it is no reason to stop
            continue
    if waiting:
        return f"waits to be verified in SES ({', '.join(waiting)})"
    return "is no identity of SES that is known to be verified in this region"


def _mailed(specs: Specs) -> list[ReportSpec]:
    return [spec for spec in specs.workloads.values() if isinstance(spec, ReportSpec) and spec.mail_to]
