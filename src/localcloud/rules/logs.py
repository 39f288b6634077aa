"""CloudWatch Logs: for how long lines are kept."""

from __future__ import annotations

import re

from localcloud.request import Call, Refused

RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""Source: PutRetentionPolicy, CloudWatch Logs API reference."""


def retention_is_valid(asked: Call) -> None:
    """One of the numbers of days that there are."""
    days = asked.arguments.get("retentionInDays")
    if days is not None and days not in RETENTION_DAYS:
        choice = ", ".join(map(str, RETENTION_DAYS))
        message = f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [{choice}]"  # noqa: E501
        raise Refused("InvalidParameterException", message)


def name_is_not_aws(asked: Call) -> None:
    """`aws/` belongs to AWS."""
    if asked.text("logGroupName").startswith("aws/"):
        raise Refused("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")


PAIRS = {"{": "}", "[": "]"}


def pattern_is_whole(asked: Call) -> None:
    """A pattern for JSON or for fields ends as it began, and a comparison has two sides.

    Source: "Filter pattern syntax", CloudWatch Logs user guide.
    """
    pattern = asked.text("filterPattern").strip()
    end = PAIRS.get(pattern[:1])
    if (end and not pattern.endswith(end)) or pattern.count('"') % 2 or DANGLING.search(pattern):
        raise Refused("InvalidParameterException", "Invalid metric filter pattern")


DANGLING = re.compile(r"(?:=|!=|<|>|<=|>=|&&|\|\|)\s*[}\])]")
