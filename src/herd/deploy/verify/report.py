"""The report file of a verification, in Markdown, redacted so that it can be attached to a public issue."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd.deploy.verify.promises import Outcome
from herd.deploy.verify.redaction import Redaction
from herd.toolchain import pulumi_cli

WHY_LETTERS = 1500
"""Most characters of a promise's reason."""

CHOICES = (
    "network",
    "reports",
    "access_logs",
    "flow_logs",
    "container_insights",
    "require_tls",
    "allow_public",
    "zones",
)
"""Settings whose values are shown; of others only whether they are set."""

VALUES = frozenset({"true", "false", "public", "nat", "endpoints", "bucket", "cloudfront", "none", "2", "3"})

ADOPTED = ("vpc", "boundary", "image_repositories", "domain", "dns_zone", "certificate", "iam_path")


@dataclass(frozen=True)
class Verified:
    """The result of a verification. `where`: a region of AWS, or the local cloud."""

    where: str
    settings: dict[str, Any]
    outcomes: Sequence[Outcome]
    pulumi: Path | None = None

    @property
    def is_good(self) -> bool:
        return all(outcome.kept != "no" for outcome in self.outcomes)


def render(verified: Verified, redact: Redaction) -> str:
    """The file's text."""
    broken = [outcome for outcome in verified.outcomes if outcome.kept == "no"]
    result = "every promise was kept" if not broken else f"{len(broken)} of {len(verified.outcomes)} were not kept"
    lines = [f"## herd verify: {result}", ""]
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in _about(verified)), ""]
    lines += ["| promise | kept | seconds |", "| --- | --- | --- |"]
    lines += [f"| {outcome.says} | {outcome.kept} | {outcome.seconds:.1f} |" for outcome in verified.outcomes]
    for outcome in verified.outcomes:
        if outcome.why:
            words = redact(outcome.why)[:WHY_LETTERS].replace("```", "'''")
            lines += ["", f"`{outcome.key}`: {outcome.kept}", "```", *words.splitlines(), "```"]
    lines += [
        "",
        "Account numbers, names, addresses, paths and keys were taken out. Read it once more before you show it.",
    ]
    return "\n".join(lines) + "\n"


def _about(verified: Verified) -> list[tuple[str, str]]:
    settings = verified.settings
    chosen = [f"{key} {_plain(settings[key])}" for key in CHOICES if key in settings]
    adopted = [key for key in ADOPTED if settings.get(key)]
    version = ".".join(map(str, pulumi_cli.version_of(verified.pulumi))) if verified.pulumi else ""
    return [
        ("where", verified.where),
        ("Herd", _version("herd")),
        ("Pulumi", version or "?"),
        ("pulumi-aws, pulumi-docker", f"{_version('pulumi-aws')}, {_version('pulumi-docker')}"),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("settings", ", ".join(chosen) or "defaults"),
        ("set by the company", ", ".join(adopted) or "nothing"),
    ]


def _plain(value: Any) -> str:
    """The value if it is one of VALUES, else "set": a wrong value in a settings file may identify its owner."""
    text = str(value).lower()
    return text if text in VALUES else "set"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "from a checkout"
