"""Who owns what, as the real engine leads it: renames by aliases, what is retained, what is taken out of the state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.localcloud.plugins_engine import Engine, engine_in

pytestmark = pytest.mark.live

HEAD = """
from pulumi import Alias, ResourceOptions as Options
from pulumi_aws.s3.bucket import Bucket
"""


@dataclass
class Team(Engine):
    """The engine, and what a team writes for it."""

    def declare(self, *lines: str, status: int = 0) -> str:
        """Write the program and bring it up."""
        (self.folder / "program" / "__main__.py").write_text("\n".join([HEAD, *lines]))
        return self("up", "--yes", "--skip-preview", status=status)

    def owned(self) -> dict[str, str]:
        """Logical name → bucket, as the state says."""
        file = self.folder / "state" / ".pulumi" / "stacks" / "proj" / "dev.json"
        resources = json.loads(file.read_text())["checkpoint"]["latest"].get("resources") or []
        return {one["urn"].rpartition("::")[2]: one["id"] for one in resources if one["type"].startswith("aws:")}

    def buckets(self) -> list[str]:
        return sorted(bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"])

    def unowned(self) -> list[str]:
        return sorted(one["id"] for one in self.ask(do="unowned")["unowned"])

    def write(self, bucket: str) -> None:
        self.client("s3").put_object(Bucket=bucket, Key="precious", Body=bucket.encode())

    def read(self, bucket: str) -> str:
        return str(self.client("s3").get_object(Bucket=bucket, Key="precious")["Body"].read().decode())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with engine_in(tmp_path_factory.mktemp("ownership")) as engine:
        engine("stack", "init", "dev")
        yield Team(engine.folder, engine.pulumi)


@pytest.fixture(autouse=True)
def nothing_before(team: Team) -> Iterator[None]:
    yield
    team("destroy", "--yes", "--skip-preview")
    removed = team.ask(do="sweep", project="proj", stack="dev", released=True)
    assert "error" not in removed and team.buckets() == [] and team.known() == 0


def bucket(name: str, more: str = "", options: str = "") -> str:
    return f"Bucket('{name}', force_destroy=True{more}, opts=Options({options}))"


def test_a_new_resource_does_not_get_what_an_alias_has_renamed(team: Team) -> None:
    team.declare(bucket("data"))
    first = team.owned()["data"]
    team.write(first)
    lake = bucket("lake", options="aliases=[Alias(name='data')]")
    team.declare(lake)
    assert team.owned() == {"lake": first}
    team.declare(lake, bucket("data"))
    assert team.owned()["lake"] == first != team.owned()["data"]
    team.declare(lake)
    assert team.buckets() == [first] and team.read(first) == first

    back = bucket("data", options="aliases=[Alias(name='lake')]")
    team.declare(back)
    team.declare(back, bucket("lake"))
    assert team.owned()["data"] == first != team.owned()["lake"]
    team.declare(back)
    assert team.buckets() == [first] and team.read(first) == first and team.unowned() == []


def test_what_was_retained_stays_and_is_nobodys(team: Team) -> None:
    team.declare(bucket("kept", options="retain_on_delete=True"))
    first = team.owned()["kept"]
    team.write(first)
    team.declare()
    assert team.owned() == {} and team.unowned() == [first]
    team.declare(bucket("kept"))
    second = team.owned()["kept"]
    assert second != first and team.unowned() == [first]
    team.declare()
    assert team.buckets() == [first] and team.read(first) == first

    team.declare(bucket("again", f", bucket='{first}'", f"import_='{first}'"))
    assert team.owned() == {"again": first} and team.unowned() == []


def test_a_second_creator_is_refused_as_aws_refuses_it(team: Team) -> None:
    named = bucket("named", ", bucket='fixed-name'", "retain_on_delete=True")
    team.declare(named)
    team.declare()
    assert "BucketAlreadyOwnedByYou" in team.declare(named, status=1)
    assert team.owned() == {} and team.unowned() == ["fixed-name"]


def test_what_was_taken_out_of_the_state_stays_and_is_nobodys(team: Team) -> None:
    team.declare(bucket("data"))
    first = team.owned()["data"]
    team.write(first)
    team("state", "delete", "--yes", "urn:pulumi:dev::proj::aws:s3/bucket:Bucket::data")
    team.declare(bucket("data"))
    second = team.owned()["data"]
    assert second != first and team.unowned() == [first]
    assert team.ask(do="sweep", project="proj", stack="dev")["removed"] == []
    team.declare()
    assert team.buckets() == [first] and team.read(first) == first


def test_a_state_that_cannot_be_read_is_no_reason_to_adopt(team: Team, tmp_path: Any) -> None:
    """Where Pulumi keeps no checkpoints either, nothing would ever put a killed update right."""
    (team.folder / "program" / "__main__.py").write_text("\n".join([HEAD, bucket("data")]))
    port = team.endpoint["port"]
    s3 = team.client("s3")
    s3.create_bucket(Bucket="the-state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    key = team.credentials()
    place = f"region=eu-west-1&endpoint=http://127.0.0.1:{port}&use_path_style=true"
    team.variables |= {
        "PULUMI_BACKEND_URL": f"s3://the-state?{place}", "AWS_ACCESS_KEY_ID": key["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["aws_secret_access_key"],
    }  # fmt: skip
    try:
        team("stack", "init", "dev")
        refused = team("up", "--yes", "--skip-preview", status=1)
        assert "PULUMI_SKIP_CHECKPOINTS is set" in refused and "kept at s3://" in refused, refused
        team.variables["PULUMI_SKIP_CHECKPOINTS"] = "false"
        team("up", "--yes", "--skip-preview")
        team("preview", "--expect-no-changes")
        team("destroy", "--yes", "--skip-preview")
    finally:
        team.variables.clear()
        for each in s3.list_objects_v2(Bucket="the-state")["Contents"]:
            s3.delete_object(Bucket="the-state", Key=each["Key"])
        s3.delete_bucket(Bucket="the-state")
