"""S3: lifecycle rules, tags and websites of buckets.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html,
API_PutBucketTagging.html and API_PutBucketWebsite.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.request import Call, Refused

MOST_RULES, MOST_TAGS = 1000, 50
FIRST_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
"""Storage class -> the days after which an object may move there at the earliest."""
TAG = re.compile(r"[\w\s+\-=.:/@]*")

Rule = Mapping[str, Any]


def lifecycle_is_valid(asked: Call) -> None:
    """What a rule does, when, and to which objects."""
    rules = (asked.arguments.get("LifecycleConfiguration") or {}).get("Rules") or []
    if len(rules) > MOST_RULES:
        raise Refused(
            "InvalidRequest", f"The number of lifecycle rules must not exceed the allowed limit of {MOST_RULES}."
        )
    names = [rule.get("ID") for rule in rules if rule.get("ID")]
    if len(set(names)) < len(names):
        raise Refused("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        for code, message in _findings(rule):
            raise Refused(code, message)


def tags_are_valid(asked: Call) -> None:
    """Letters, digits, spaces and some marks; each key once; none of AWS's own."""
    tags = (asked.arguments.get("Tagging") or {}).get("TagSet") or []
    keys = [str(tag.get("Key")) for tag in tags]
    if len(tags) > MOST_TAGS:
        raise Refused("BadRequest", f"Bucket tag count cannot be greater than {MOST_TAGS}")
    if len(set(keys)) < len(keys):
        raise Refused("InvalidTag", "Cannot provide multiple Tags with the same key")
    for tag in tags:
        key, value = str(tag.get("Key")), str(tag.get("Value"))
        if key.lower().startswith("aws:"):
            raise Refused("InvalidTag", "System tags cannot be added/updated by requester")
        if not 1 <= len(key) <= 128 or not TAG.fullmatch(key):
            raise Refused("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > 256 or not TAG.fullmatch(value):
            raise Refused("InvalidTag", "The TagValue you have provided is invalid")


def website_is_valid(asked: Call) -> None:
    """A suffix is a file's name, not a path."""
    website = asked.arguments.get("WebsiteConfiguration") or {}
    suffix = (website.get("IndexDocument") or {}).get("Suffix")
    if suffix is not None and (not suffix or "/" in suffix):
        raise Refused("InvalidArgument", "The IndexDocument Suffix is not well formed")
    if website.get("RedirectAllRequestsTo") and (website.get("IndexDocument") or website.get("RoutingRules")):
        raise Refused("InvalidArgument", "RedirectAllRequestsTo cannot be provided in conjunction with other settings.")


def _findings(rule: Rule) -> Iterator[tuple[str, str]]:
    expiration = rule.get("Expiration") or {}
    moves = rule.get("Transitions") or []
    actions = ("Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions")
    if not any(rule.get(name) for name in (*actions, "AbortIncompleteMultipartUpload")):
        yield "InvalidRequest", "At least one action needs to be specified in a rule"
    if len(str(rule.get("ID") or "")) > 255:
        yield "InvalidArgument", "ID length should not exceed allowed limit of 255"
    filtered = rule.get("Filter") or {}
    has_tags = bool(filtered.get("Tag") or (filtered.get("And") or {}).get("Tags"))
    if expiration.get("ExpiredObjectDeleteMarker") and has_tags:
        yield "InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags"
    if rule.get("AbortIncompleteMultipartUpload") and has_tags:
        yield "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags"
    if sum(name in expiration for name in ("Days", "Date", "ExpiredObjectDeleteMarker")) > 1:
        yield (
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    for when in (expiration, *moves):
        if (days := when.get("Days")) is not None and days < (1 if when is expiration else 0):
            yield "InvalidArgument", "'Days' for Expiration action must be a positive integer"
        date = when.get("Date")
        if isinstance(date, datetime) and date.astimezone(UTC).time() != datetime.min.time():
            yield "InvalidArgument", "'Date' must be at midnight GMT"
    for move in moves:
        first, days = FIRST_DAYS.get(str(move.get("StorageClass")), 0), move.get("Days")
        if days is not None and days < first:
            message = f"must be greater than or equal to {first} for storageClass '{move['StorageClass']}'"
            yield "InvalidArgument", f"'Days' in Transition action {message}"
        end = expiration.get("Days")
        if end is not None and days is not None and end <= days:
            message = "must be greater than 'Days' in the Transition action"
            yield "InvalidArgument", f"'Days' in the Expiration action for filter {message}"
    classes = [move.get("StorageClass") for move in moves]
    if len(set(classes)) < len(classes):
        yield "InvalidArgument", "'StorageClass' must be different for 'Transition' actions in same 'Rule'"
