"""The provider's words: what the plugin says and what the program reads are the same."""

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from herd.infra.storage.absence import LOOK_UPS, LookUp
from localcloud.plugins.words import WORDS, NotOne, said

ACCOUNT = "123456789012"
ASKED = {
    "ecr.getImage": {"repositoryName": "herd/python", "imageTag": "model.0123"},
    "s3.getAccountPublicAccessBlock": {"accountId": ACCOUNT},
    "secretsmanager.getSecret": {"name": "herd-prod/api-key"},
}
ABSENT_CODES = {
    "ecr.getImage": "ImageNotFoundException",
    "s3.getAccountPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "secretsmanager.getSecret": "ResourceNotFoundException",
}


def token(short: str) -> str:
    module, name = short.split(".")
    return f"aws:{module}/{name}:{name}"


def refusal(code: str, message: str = "User is not authorized: no such resource could be found") -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    return ClientError(answer, "Look")  # type: ignore[arg-type]


@pytest.mark.parametrize("look_up", LOOK_UPS, ids=lambda one: one.function)
def test_the_program_reads_what_the_plugin_says(look_up: LookUp) -> None:
    short = look_up.function
    absent = (NotOne(0), refusal(ABSENT_CODES[short]))
    for error in absent:
        words = said(token(short), ASKED[short], error, ACCOUNT)
        for wrapped in (words, f"invoking {token(short)}: 1 error occurred:\n\t* {words}\n\n"):
            assert look_up.says_none(Exception(wrapped)), wrapped
    assert (look_up.source, look_up.heard) == (WORDS[short].source, WORDS[short].heard)


@pytest.mark.parametrize("look_up", LOOK_UPS, ids=lambda one: one.function)
def test_no_other_failure_is_read_as_none(look_up: LookUp) -> None:
    short = look_up.function
    for code in ("AccessDenied", "AccessDeniedException", "ThrottlingException", "RequestExpired"):
        words = said(token(short), ASKED[short], refusal(code), ACCOUNT)
        assert code in words and not look_up.says_none(Exception(words))
    for other in LOOK_UPS:
        if other is not look_up:
            assert not look_up.says_none(Exception(said(token(other.function), ASKED[other.function], NotOne(0), "")))


def test_every_look_up_of_the_program_that_can_find_nothing_has_its_words(pytestconfig: pytest.Config) -> None:
    never_absent = {
        "getAuthorizationToken", "getAvailabilityZones", "getCallerIdentity", "getResources",
    }  # fmt: skip
    found = set()
    for folder in ("src/herd/infra", "src/herd/bootstrap", "infra"):
        for file in Path(pytestconfig.rootpath / folder).rglob("*.py"):
            for module, name in re.findall(r"from pulumi_aws\.(?:(\w+)\.)?(get_\w+) import", file.read_text()):
                found.add((module, re.sub(r"_(\w)", lambda match: match[1].upper(), name)))
    assert found, "the program looks something up"
    named = {f"{module}.{name}" for module, name in found if name not in never_absent}
    assert named <= WORDS.keys()
    assert {one.function for one in LOOK_UPS} <= named
