"""What the real provider says where a look-up finds nothing, finds several, or is refused: word for word.

A program can read nothing else of a look-up's failure, so what the laptop says has to be what AWS's provider says. The
texts are terraform-provider-aws', which pulumi-aws wraps. `source` is the file below its `internal/service`, read in
versions of 6.x (those marked 5.x: of that); the text of "none" is `NotFoundError` of `internal/retry/error.go` and
`SingularDataSourceFindError` of `internal/tfresource`. `heard` is the version of the provider that said it when it was
run against a server of our own; the others were read only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from localcloud.plugins.resource import gone
from localcloud.plugins.values import Props

NOT_FOUND = "couldn't find resource"
EMPTY = "empty result"


@dataclass(frozen=True)
class Words:
    """`what` names the thing as the provider does, with the look-up's arguments in braces.

    `none`: the error in it where there is none. `singular`: the provider says so without naming which. `nothing` and
    `several` are whole texts, where the provider has its own.
    """

    what: str
    source: str
    none: str = NOT_FOUND
    singular: bool = False
    nothing: str = ""
    several: str = ""
    heard: str = ""

    def of_none(self, arguments: Props) -> str:
        if self.singular:
            return f"no matching {self.what} found"
        return _filled(self.nothing or f"reading {self.what}: {self.none}", arguments)

    def of_several(self, arguments: Props) -> str:
        if self.several:
            return _filled(self.several, arguments)
        return f"multiple {self.what}s matched; use additional constraints to reduce matches to a single {self.what}"

    def of_refusal(self, arguments: Props, error: ClientError) -> str:
        """What AWS's SDK for Go makes of an answer that is an error."""
        answer = error.response
        metadata, said = answer.get("ResponseMetadata", {}), answer.get("Error", {})
        status, request = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId", "")
        return (
            f"reading {_filled(self.what, arguments)}: operation error {error.operation_name}, https response error "
            f"StatusCode: {status}, RequestID: {request}, api error {said.get('Code', '')}: {said.get('Message', '')}"
        )


class NotOne(Exception):
    """A look-up of one thing fits `count` things."""

    def __init__(self, count: int):
        super().__init__(f"{count or 'none'} fit what was asked for; exactly one must")
        self.count = count


WORDS: Mapping[str, Words] = {
    "acm.getCertificate": Words(
        "ACM Certificates",
        "acm/certificate_data_source.go (5.x)",
        nothing="no ACM Certificate matching domain ({domain})",
        several="multiple ACM Certificates matching domain ({domain})",
    ),
    "ec2.getSubnet": Words("EC2 Subnet", "ec2/vpc_subnet_data_source.go (5.x)", singular=True),
    "ec2.getVpc": Words("EC2 VPC", "ec2/vpc_data_source.go", singular=True),
    "ecr.getImage": Words("ECR Images", "ecr/image_data_source.go", heard="5.100.0"),
    "ecr.getRepository": Words("ECR Repository ({name})", "ecr/repository_data_source.go"),
    "iam.getPolicy": Words("IAM Policy ({arn})", "iam/policy_data_source.go"),
    "iam.getRole": Words("IAM Role ({name})", "iam/role_data_source.go (5.x)"),
    "kms.getAlias": Words("KMS Alias ({name})", "kms/alias_data_source.go", none=EMPTY),
    "kms.getKey": Words("KMS Key ({keyId})", "kms/key_data_source.go"),
    "route53.getZone": Words("Route 53 Hosted Zone", "route53/zone_data_source.go", singular=True),
    "s3.getAccountPublicAccessBlock": Words(
        "S3 Account Public Access Block ({accountId})",
        "s3control/account_public_access_block_data_source.go",
        heard="5.100.0",
    ),
    "s3.getBucket": Words("S3 Bucket ({bucket})", "s3/bucket_data_source.go"),
    "secretsmanager.getSecret": Words(
        "Secrets Manager Secret ({secretId})", "secretsmanager/secret_data_source.go", heard="5.100.0"
    ),
    "sesv2.getEmailIdentity": Words(
        "Amazon SESv2 (Simple Email V2) Email Identity Data Source ({emailIdentity})",
        "sesv2/email_identity_data_source.go (5.x)",
    ),
    "ssm.getParameter": Words("SSM Parameter ({name})", "ssm/parameter_data_source.go"),
}
"""Pulumi's function -> the words. A function that is not here fails with AWS's own words."""

BY_NAME = {"iam.getPolicy": Words("IAM Policy", "iam/policy_data_source.go", singular=True)}
"""Look-ups that say something else where they are asked by name instead of by ARN."""


def said(function: str, arguments: Props, error: ClientError | NotOne, account: str) -> str:
    """The failure of `aws:<module>/<name>:<name>` in the provider's words; `account` is the provider's own."""
    short = function.removeprefix("aws:").rpartition(":")[0].replace("/", ".")
    words = BY_NAME.get(short) if not arguments.get("arn") else None
    words = words or WORDS.get(short)
    if words is None:
        return f"{function}: {error}"
    asked = {"accountId": account, **arguments, "secretId": arguments.get("arn") or arguments.get("name")}
    if isinstance(error, NotOne):
        return words.of_several(asked) if error.count else words.of_none(asked)
    return words.of_none(asked) if gone(error) else words.of_refusal(asked, error)


def _filled(text: str, arguments: Props) -> str:
    return text.format_map(defaultdict(str, {name: each for name, each in arguments.items() if isinstance(each, str)}))
