"""The settings of a provider instance: what is taken, what has no meaning here and may be given, what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.plugins.acceptance import Problem
from localcloud.plugins.provider import Provider
from localcloud.plugins.refusals import Refused
from localcloud.plugins.values import UNKNOWN, Props

_TAKEN = {"aws": {"region", "defaultTags", "allowedAccountIds", "forbiddenAccountIds"}, "docker": set[str]()}
# These say how to reach or trust the real AWS; here there is one cloud, in this process: nothing goes wrong with them.
_WITHOUT_MEANING = {
    "version", "pluginDownloadURL", "skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation",
    "skipRequestingAccountId", "s3UsePathStyle", "maxRetries", "retryMode", "tokenBucketRateLimiterCapacity",
}  # fmt: skip
# Never silently ignored: somebody who sets these expects to talk to another account or endpoint.
_WHY_NOT = {
    "endpoints": "every request stays inside the local cloud",
    "profile": "the person's own AWS profiles are never used",
    "assumeRole": "there is one account",
    "assumeRoles": "there is one account",
    "accessKey": "credentials are never taken from the program",
    "secretKey": "credentials are never taken from the program",
    "ignoreTags": "tags are compared as they are",
}


def decoded(config: Props) -> Props:
    """Nested settings arrive as JSON text."""
    return {name: _decode(value) for name, value in config.items()}


def _decode(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{", '"', "t", "f"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def problems_of(provider: Provider, config: Props) -> list[Problem]:
    """All settings that are refused, and why."""
    problems = []
    taken = _TAKEN[provider.package]
    for name, value in decoded(config).items():
        if name in taken or name in _WITHOUT_MEANING or value in (None, "", [], {}):
            continue
        why = _WHY_NOT.get(name, f"it supports: {', '.join(sorted(taken)) or 'none'}")
        problems.append(
            Problem(name, f"the local cloud does not support the provider setting '{provider.package}:{name}': {why}")
        )
    region = config.get("region")
    if region not in (None, UNKNOWN) and not (
        isinstance(region, str) and re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region)
    ):
        problems.append(Problem("region", f"{region!r} is no AWS region"))
    return problems


def configure(provider: Provider, config: Props) -> None:
    """Take the settings; raises Refused when the account is not one the program allows."""
    problems = problems_of(provider, config)
    if problems:
        raise Refused("; ".join(problem.reason for problem in problems))
    settings = decoded(config)
    account = provider.cloud.account
    allowed, forbidden = settings.get("allowedAccountIds"), settings.get("forbiddenAccountIds")
    if (allowed and account not in map(str, allowed)) or account in map(str, forbidden or []):
        wanted = (
            f"allows only {', '.join(map(str, allowed))}"
            if allowed
            else f"forbids {', '.join(map(str, forbidden or []))}"
        )
        raise Refused(
            f"the account here is {account}, but the provider {wanted} (allowedAccountIds, forbiddenAccountIds)"
        )
    tags = (settings.get("defaultTags") or {}).get("tags") or {}
    provider.configure(
        settings.get("region") or provider.cloud.server.region, {key: str(text) for key, text in tags.items()}
    )
