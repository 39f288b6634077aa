"""What `herd bootstrap` makes in an account, and that none of it is lost by mistake."""

import json
from typing import Any

import pulumi
import pytest

from herd.bootstrap.settings import Settings, parse
from herd.targets.exports import parse_account
from tests.herd.bootstrap.conftest import SETTINGS, run_bootstrap
from tests.herd.infra.program.mocks import ACCOUNT, REGION, Program


def names(program: Program, kind: str) -> set[str]:
    return {resource.inputs["name"] for resource in program.of(kind)}


def test_it_makes_what_outlives_environments(foundation: Program) -> None:
    buckets = {bucket.inputs["bucket"] for bucket in foundation.of("s3/bucket:Bucket")}
    assert buckets == {f"herd-{ACCOUNT}-state", f"herd-prod-{ACCOUNT}-data"}
    assert names(foundation, "ecr/repository:Repository") == {"herd/python"}
    assert names(foundation, "iam/role:Role") == {
        *("herd-preview", "herd-deploy", "herd-environments"),
        *("herd-run-dev", "herd-run-prod"),
    }
    assert {"herd-boundary", "herd-pr-boundary"} <= names(foundation, "iam/policy:Policy")


def test_its_exports_are_what_is_to_be_filled_in(foundation: Program) -> None:
    assert foundation.exports == {
        "account": ACCOUNT,
        "region": REGION,
        "backend": f"s3://herd-{ACCOUNT}-state?region={REGION}",
        "secrets_provider": f"awskms://alias/herd-state?region={REGION}",
        "boundary": "arn:boundary",
        "image_repositories": "herd",
        "data_buckets": {"prod": f"herd-prod-{ACCOUNT}-data"},
        "roles": {name: f"arn:{name}" for name in ("preview", "deploy", "environments", "run-dev", "run-prod")},
    }
    assert parse_account(foundation.exports, "main").model_dump() == foundation.exports


def test_every_bucket_is_private_versioned_encrypted_and_refuses_plain_http(foundation: Program) -> None:
    for bucket in foundation.of("s3/bucket:Bucket"):
        block = foundation.one("s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket.name).inputs
        assert all(value is True for key, value in block.items() if key != "bucket")
        versioning = foundation.one("s3/bucketVersioning:BucketVersioning", bucket.name).inputs
        assert versioning["versioningConfiguration"] == {"status": "Enabled"}
        policy = json.loads(foundation.one("s3/bucketPolicy:BucketPolicy", bucket.name).inputs["policy"])
        assert [statement["Sid"] for statement in policy["Statement"]] == ["TlsOnly"]
        assert not bucket.inputs.get("forceDestroy")
    rules = foundation.one(
        "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "state"
    ).inputs["rules"]
    assert rules[0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"


def test_the_data_bucket_says_whose_it_is(foundation: Program) -> None:
    tags = foundation.one("s3/bucket:Bucket", "data-prod").inputs["tags"]
    assert tags["herd:environment"] == "prod"


def test_without_a_repository_nobody_deploys_from_github() -> None:
    program = run_bootstrap(Settings(REGION, ACCOUNT))
    assert not program.of("iam/role:Role") and not program.of("iam/openIdConnectProvider:OpenIdConnectProvider")


def test_an_account_has_one_provider_so_one_that_is_there_is_used() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    program = run_bootstrap(Settings(**{**vars(SETTINGS), "oidc_provider": arn}))
    assert not program.of("iam/openIdConnectProvider:OpenIdConnectProvider")
    trust = json.loads(program.one("iam/role:Role", "deploy").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Federated": arn}


def test_another_account_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="account = 999999999999, but the credentials are of the account"):
        run_bootstrap(Settings(REGION, "999999999999"))


GIVEN = {"aws:region": REGION, "herd-bootstrap:account": ACCOUNT}
GITHUB = {"repository": "acme/delays", "repository_id": "1", "owner_id": "2"}


def read(**given: str) -> Settings:
    return parse("herd-bootstrap", GIVEN | {f"herd-bootstrap:{key}": value for key, value in given.items()})


def test_settings_are_read() -> None:
    settings = read(environments='["prod", "test"]', images='["python", "r"]', tags='{"cost": "1"}', **GITHUB)
    assert (settings.environments, settings.images, settings.tags) == (("prod", "test"), ("python", "r"), {"cost": "1"})


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "an unknown setting": (
        {"enviroments": "[]"},
        "unknown setting 'enviroments'; did you mean 'environments'?",
    ),
    "an account that is none": ({"account": "12"}, "herd-bootstrap:account = 12 must be the 12 digits"),
    "a list that is none": ({"images": "python"}, "herd-bootstrap:images must be a list, like"),
    "an environment that cannot be": (
        {"environments": '["Prod!"]'},
        'environments: "Prod!" is not the name',
    ),
    "a repository without its number": ({"repository": "acme/delays"}, "repository_id must be given with repository"),
    "a repository that is none": (
        {**GITHUB, "repository": "acme"},
        "repository = acme must be owner/name",
    ),
    "a wildcard in the repository": ({**GITHUB, "repository": "acme/*"}, "must be owner/name"),
    "a path without its last slash": ({"iam_path": "/acme"}, "herd-bootstrap:iam_path = /acme must be a path of IAM"),
    "a provider of somebody else": ({"oidc_provider": "arn:aws:iam::1:oidc-provider/x"}, "must be the ARN of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_said_in_words(name: str) -> None:
    given, words = WRONG[name]
    with pytest.raises(pulumi.RunError) as refused:
        read(**given)
    assert words in str(refused.value)
    assert all(line.startswith("bootstrap/Pulumi.main.yaml: ") for line in str(refused.value).splitlines())


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(pulumi.RunError) as refused:
        parse("herd-bootstrap", {"herd-bootstrap:project": "No", "herd-bootstrap:x": "1"})
    assert len(str(refused.value).splitlines()) == 4


def test_every_setting_is_declared(pytestconfig: pytest.Config) -> None:
    import yaml

    declared: dict[str, Any] = yaml.safe_load((pytestconfig.rootpath / "src/herd/bootstrap/Pulumi.yaml").read_text())[
        "config"
    ]
    assert declared.keys() - {"aws:region"} == vars(Settings("", "")).keys() - {"region"}
    assert all(isinstance(each, str) or each["description"] for each in declared.values())
