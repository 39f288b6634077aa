"""What the AWS provider says of something that is not there, for the look-ups whose failure means "there is none".

Pulumi hands over nothing but text when a look-up fails, so the text is read; and it is read strictly, because every
other failure (no permission, no network) must stop the program. `source` is the file of terraform-provider-aws, below
internal/service, that has the words; the last of them are `NotFoundError`'s, internal/retry/error.go. `heard` is the
version of it that said them when it was run against a server of our own without the thing.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class LookUp:
    """A function of pulumi-aws, and the provider's words (a regular expression) for "there is none"."""

    function: str
    none: str
    source: str
    heard: str

    def says_none(self, error: Exception) -> bool:
        """Whether this failure of the look-up means that there is none."""
        return re.search(f"(?:^|[^\\w]){self.none}(?:$|[^:\\w])", str(error)) is not None


IMAGE = LookUp(
    "ecr.getImage",
    "reading ECR Images: couldn't find resource",
    "ecr/image_data_source.go",
    "5.100.0",
)
"""No image with this tag, and no such repository either."""

PUBLIC_ACCESS_BLOCK = LookUp(
    "s3.getAccountPublicAccessBlock",
    r"reading S3 Account Public Access Block \([0-9]{12}\): couldn't find resource",
    "s3control/account_public_access_block_data_source.go",
    "5.100.0",
)
"""A fresh account forbids its buckets nothing."""

SECRET = LookUp(
    "secretsmanager.getSecret",
    r"reading Secrets Manager Secret \([^()]+\): couldn't find resource",
    "secretsmanager/secret_data_source.go",
    "5.100.0",
)
"""No secret of this name, or one that waits for its deletion."""

LOOK_UPS = (IMAGE, PUBLIC_ACCESS_BLOCK, SECRET)
