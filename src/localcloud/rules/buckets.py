"""S3: names of buckets."""

from __future__ import annotations

import re

from localcloud.request import Call, Refused

NAME = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-)(?!\d+\.\d+\.\d+\.\d+$)(?!.*(-s3alias|--ol-s3|--x-s3|\.mrap)$)"
    r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]"
)
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


def name_is_valid(asked: Call) -> None:
    """3 to 63 lower-case letters, digits, hyphens and dots."""
    name = asked.text("Bucket")
    if not NAME.fullmatch(name):
        raise Refused("InvalidBucketName", f"Invalid name '{name}': it must satisfy the pattern {NAME.pattern}")
