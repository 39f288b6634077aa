"""The profile prod beside dev: what it adopts is made in the local cloud, as an administrator would on AWS."""

from __future__ import annotations

import json
from pathlib import Path

from bench.measure import Result, seconds
from harness.sandbox import Sandbox
from herd.bootstrap.permissions import boundary
from herd.bootstrap.scope import Scope
from herd.infra.context import Account

ACCOUNT, REGION = "123456789012", "eu-west-1"
SCOPE = Scope(Account(ACCOUNT, REGION), "herd", ("prod",))
DATA = SCOPE.data_bucket("prod")
ZONE = "acme.localhost"
SETTINGS = f"""
config:
  herd:profile: prod
  herd:allow_public: true
  herd:data_bucket: {DATA}
  herd:boundary: {SCOPE.boundary_arn}
  herd:domain: {ZONE}
  herd:dns_zone: {ZONE}
"""


def adopt(sandbox: Sandbox) -> None:
    """Make the data bucket, the boundary and the zone in the local cloud of `sandbox`, which must be running."""
    s3 = sandbox.client("s3")
    tags = {"herd:environment": "prod", "herd:project": "herd"}
    s3.create_bucket(Bucket=DATA, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=DATA, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(
        Bucket=DATA, Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
    )
    iam = sandbox.client("iam")
    iam.create_policy(PolicyName=SCOPE.boundary_name, PolicyDocument=json.dumps(boundary(SCOPE)))
    sandbox.client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")


def profiles(folder: Path) -> list[Result]:
    """`herd up` of the sample from nothing in dev and in prod, images built and packages there, nothing run."""
    with Sandbox(folder / "checkout") as sandbox:
        sandbox.herd("up", "--no-run", "-e", "warm")
        adopt(sandbox)
        sandbox.write("Pulumi.prod.yaml", SETTINGS)
        dev = seconds(lambda: sandbox.herd("up", "--no-run"))
        prod = seconds(lambda: sandbox.herd("up", "--no-run", "-e", "prod"))
        sandbox.herd("down", "-e", "prod", "--confirm", "prod")
    return [Result("up of the sample in prod", prod, 1.6 * dev, "s", f"in dev {dev:.2f} s")]
