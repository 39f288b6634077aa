"""Where reports are published, and that it is said before anything is made that an account does not allow it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from herd.infra.settings.schema import Settings
from herd.infra.storage import report_site
from tests.herd.infra.program.mocks import ACCOUNT, REGION, Program, run_program

BUCKET = f"herd-dev-{ACCOUNT}-reports"


def published(team: Path, **given: Any) -> Program:
    return run_program(team, Settings("herd", "dev", REGION, ACCOUNT, allow_public=True, **given))


def policy(program: Program) -> list[dict[str, Any]]:
    loaded: dict[str, Any] = json.loads(program.one("s3/bucketPolicy:BucketPolicy", "reports-policy").inputs["policy"])
    statements: list[dict[str, Any]] = loaded["Statement"]
    return statements


def block(program: Program) -> dict[str, Any]:
    return program.one("s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "reports-access").inputs


def test_a_public_bucket_gives_pages_to_everybody_and_nothing_else(program: Program) -> None:
    pages, tls = policy(program)
    assert (pages["Principal"], pages["Action"], pages["Resource"]) == ("*", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert not block(program)["blockPublicPolicy"] and block(program)["blockPublicAcls"]
    assert not program.of("cloudfront/distribution:Distribution")


def test_with_cloudfront_the_bucket_is_private_and_the_distribution_alone_reads_it(team: Path) -> None:
    program = published(team, reports="cloudfront")
    assert all(block(program)[switch] for switch in ("blockPublicPolicy", "restrictPublicBuckets", "blockPublicAcls"))
    reads, tls = policy(program)
    assert reads["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert reads["Condition"] == {"StringEquals": {"AWS:SourceArn": "arn:published-distribution"}}
    assert tls["Effect"] == "Deny"
    (distribution,) = program.of("cloudfront/distribution:Distribution")
    assert distribution.inputs["defaultCacheBehavior"]["viewerProtocolPolicy"] == "redirect-to-https"
    (origin,) = distribution.inputs["origins"]
    assert origin["originAccessControlId"] == "published-control-id"
    assert program.exports["reports_url"] == "https://d1.cloudfront.example"
    assert program.exports["workloads"]["page"]["url"] == "https://d1.cloudfront.example/page/index.html"
    assert program.task("page")["reports_url"] == "https://d1.cloudfront.example"


def test_where_nothing_is_published_a_report_is_rendered_all_the_same(team: Path) -> None:
    program = published(team, reports="none")
    assert not [one for one in program.of("s3/bucket:Bucket") if "reports" in one.name]
    assert program.exports["reports_url"] is None and program.exports["workloads"]["page"]["url"] is None
    assert (program.task("page")["reports_bucket"], program.task("page")["reports_url"]) == (None, None)
    role = program.one("iam/rolePolicy:RolePolicy", "page-task").inputs["policy"]
    assert "-reports" not in role


@pytest.mark.parametrize("switch", ["block_public_policy", "restrict_public_buckets"])
def test_an_account_that_blocks_public_buckets_says_so_before_anything_is_made(
    team: Path, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    block = SimpleNamespace(**{"block_public_policy": False, "restrict_public_buckets": False, switch: True})
    monkeypatch.setattr(report_site, "get_account_public_access_block", lambda account_id: block)
    with pytest.raises(
        pulumi.RunError, match="Pulumi.dev.yaml: herd:reports = bucket .* blocks those; write cloudfront"
    ):
        published(team)
    assert published(team, reports="cloudfront").of("s3/bucket:Bucket"), "which needs no public bucket"


def test_an_account_without_a_block_allows_public_buckets(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(account_id: str) -> None:
        words = f"reading S3 Account Public Access Block ({account_id}): couldn't find resource"
        raise Exception(f"invoking aws:s3/getAccountPublicAccessBlock: 1 error occurred:\n\t* {words}\n\n")

    monkeypatch.setattr(report_site, "get_account_public_access_block", missing)
    assert published(team).of("s3/bucket:Bucket")


def test_an_account_whose_block_may_not_be_read_stops_the_program(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(account_id: str) -> None:
        raise Exception(f"reading S3 Account Public Access Block ({account_id}): operation error S3 Control: denied")

    monkeypatch.setattr(report_site, "get_account_public_access_block", refused)
    with pytest.raises(Exception, match="denied"):
        published(team)
