"""The provider protocol: configuration, names, previews, differences, errors, secrets, functions, half-made things."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from localcloud.plugins import Plugins
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.types.s3 import _BucketTagging
from localcloud.plugins.values import UNKNOWN, Props, dump, load
from localcloud.provider_executables import VERSIONS
from localcloud.server import Server
from tests.localcloud.plugins_support import TRUST, Made, Provider

BUCKET = "urn:pulumi:dev::proj::aws:s3/bucket:Bucket::data"
ROLE = "urn:pulumi:dev::proj::aws:iam/role:Role::worker"
GROUP = "urn:pulumi:dev::proj::aws:cloudwatch/logGroup:LogGroup::logs"
MACHINE = "urn:pulumi:dev::proj::aws:sfn/stateMachine:StateMachine::machine"
BALANCER = "urn:pulumi:dev::proj::aws:lb/loadBalancer:LoadBalancer::a-name-that-is-far-too-long-for-aws"


@pytest.fixture
def provider(plugins: Plugins) -> Iterator[Provider]:
    provider = Provider(plugins)
    yield provider
    provider.close()


def error_of(call: Any, *arguments: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments)
    return raised.value.code(), raised.value.details()


# ── the instance ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_handshake_says_what_is_spoken(provider: Provider) -> None:
    answer = provider.stub.Handshake(pb.ProviderHandshakeRequest())
    assert not answer.accept_secrets and answer.supports_autonaming_configuration
    assert provider.stub.GetPluginInfo(empty_pb2.Empty()).version == VERSIONS["aws"]
    provider.stub.Cancel(empty_pb2.Empty())
    assert error_of(provider.stub.GetSchema, pb.GetSchemaRequest())[0] is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"region": "eu-west-1", "skipCredentialsValidation": "true", "maxRetries": 2.0}, {}),
        ({"defaultTags": '{"tags": {"a": "b"}}', "allowedAccountIds": "[]"}, {}),
        ({"region": UNKNOWN}, {}),
        ({"region": "europe"}, {"region": "no AWS region"}),
        ({"endpoints": '[{"s3": "http://x"}]'}, {"endpoints": "stays inside the local cloud"}),
        ({"profile": "work", "accessKey": "A"}, {"profile": "never used", "accessKey": "never taken"}),
        ({"colour": "blue"}, {"colour": "it supports: allowedAccountIds, defaultTags"}),
    ],
)
def test_settings_of_the_provider(provider: Provider, config: Props, refused: dict[str, str]) -> None:
    answer = provider.stub.CheckConfig(pb.CheckRequest(news=dump(config)))
    failures = {failure.property: failure.reason for failure in answer.failures}
    assert set(failures) == set(refused)
    assert all(text in failures[name] for name, text in refused.items())


def test_an_account_that_is_not_allowed_is_refused(plugins: Plugins) -> None:
    code, text = error_of(Provider, plugins, "aws", {"allowedAccountIds": '["999999999999"]'})
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "allows only" in text


def test_another_region_replaces_everything(provider: Provider) -> None:
    answer = provider.stub.DiffConfig(
        pb.DiffRequest(old_inputs=dump({"region": "eu-west-1", "version": "7"}), news=dump({"region": "eu-west-2"}))
    )
    assert list(answer.replaces) == ["region"]
    same = pb.DiffRequest(old_inputs=dump({"region": "eu-west-1", "version": "7"}), news=dump({"region": "eu-west-1"}))
    assert provider.stub.DiffConfig(same).changes == pb.DiffResponse.DIFF_NONE


def test_a_package_that_is_none_of_ours(plugins: Plugins) -> None:
    with pytest.raises(ValueError, match="no provider for package 'gcp'; there are: aws, docker"):
        plugins.open({"package": "gcp"})


# ── what is refused by name ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_type_is_named(provider: Provider) -> None:
    urn = "urn:pulumi:dev::proj::aws:appsync/graphQLApi:GraphQLApi::f"
    code, text = error_of(provider.check, urn, {})
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert (
        "does not support resources of type aws:appsync/graphQLApi:GraphQLApi" in text
        and "aws:s3/bucket:Bucket" in text
    )


def test_an_unknown_property_is_named(provider: Provider) -> None:
    failures = provider.check(BUCKET, {"acl": "private", "forceDestory": True})[1]
    assert "does not support the property 'acl' of aws:s3/bucket:Bucket" in failures["acl"]
    assert "Did you mean 'forceDestroy'?" in failures["forceDestory"]


def test_what_a_bucket_takes_no_more_in_line_has_a_type_of_its_own(provider: Provider) -> None:
    for name, token in REGISTRY["aws:s3/bucket:Bucket"].instead.items():
        failures = provider.check(BUCKET, {name: {}})[1]
        assert failures[name].endswith(f"Declare {token} instead")
        assert any(token.rsplit(".", 1)[-1] == known.rsplit(":", 1)[-1] for known in REGISTRY)


def test_an_unknown_function_is_named(provider: Provider) -> None:
    code, text = error_of(provider.stub.Invoke, pb.InvokeRequest(tok="aws:ec2/getInstance:getInstance"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "aws:ec2/getInstance:getInstance" in text


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        ("aws:ec2/route:Route", {"routeTableId": "rtb-1"}, "destinationCidrBlock", "exactly one of"),
        (
            "aws:ecs/taskDefinition:TaskDefinition",
            {"family": "f", "containerDefinitions": "{}"},
            "containerDefinitions",
            "JSON list",
        ),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0"},
            "fromPort",
            "must be given",
        ),
        (
            "aws:lb/listenerRule:ListenerRule",
            {
                "listenerArn": "a",
                "actions": [{"type": "forward"}],
                "conditions": [],
                "transforms": [{"type": "url-rewrite"}],
            },
            "transforms[0].urlRewriteConfig",
            "needs 'urlRewriteConfig'",
        ),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "on"}},
            "versioningConfiguration.status",
            "Enabled, Suspended",
        ),
    ],
)
def test_rules_over_several_properties(provider: Provider, token: str, inputs: Props, path: str, reason: str) -> None:
    failures = provider.check(f"urn:pulumi:dev::proj::{token}::x", inputs)[1]
    assert reason in failures[path]


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_is_made_of_the_logical_one_and_kept(provider: Provider) -> None:
    inputs = provider.checked(BUCKET, {})
    assert inputs["bucket"] == "data-0001020"
    assert provider.checked(BUCKET, {"tags": {}}, inputs)["bucket"] == "data-0001020"
    assert provider.checked(BUCKET, {"bucketPrefix": "pre-"})["bucket"] == "pre-0001020"
    assert provider.checked(BUCKET, {"bucket": "own"})["bucket"] == "own"


def test_names_obey_the_limits_of_aws(provider: Provider) -> None:
    name = provider.checked(BALANCER, {})["name"]
    assert len(name) <= 32 and name.endswith("-0001020") and "--" not in name
    upper = provider.checked(BUCKET.replace("data", "My_Data"), {})["bucket"]
    assert upper == "my-data-0001020"


@pytest.mark.parametrize(("mode", "proposed", "name"), [("PROPOSE", "Proj_data", "proj-data"), ("ENFORCE", "x", "x")])
def test_the_projects_own_naming_is_followed(provider: Provider, mode: str, proposed: str, name: str) -> None:
    options = pb.CheckRequest.AutonamingOptions(proposed_name=proposed, mode=mode)
    answer = provider.stub.Check(pb.CheckRequest(urn=BUCKET, news=dump({}), olds=dump({}), autonaming=options))
    assert load(answer.inputs)["bucket"] == name


def test_automatic_names_can_be_forbidden(provider: Provider) -> None:
    options = pb.CheckRequest.AutonamingOptions(mode="DISABLE")
    answer = provider.stub.Check(pb.CheckRequest(urn=BUCKET, news=dump({}), olds=dump({}), autonaming=options))
    assert [failure.property for failure in answer.failures] == ["bucket"]


# ── previews and differences ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_preview_knows_what_follows_from_the_inputs(provider: Provider) -> None:
    foreseen = provider.create(BUCKET, provider.checked(BUCKET, {"bucket": "b", "tags": {"a": UNKNOWN}}), preview=True)
    assert foreseen.outputs["arn"] == "arn:aws:s3:::b"
    assert foreseen.outputs["bucketRegionalDomainName"] == "b.s3.eu-west-1.localhost:4999"
    assert foreseen.outputs["tagsAll"] is UNKNOWN
    unknown = provider.create(BUCKET, provider.checked(BUCKET, {"bucket": UNKNOWN}), preview=True)
    assert unknown.outputs["arn"] is UNKNOWN and unknown.outputs["bucketRegion"] == "eu-west-1"


def test_a_preview_has_a_state_machine_validated(provider: Provider) -> None:
    """As the real provider does in CustomizeDiff: what Step Functions refuses is known before anything is made."""
    right = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
    role = "arn:aws:iam::123456789012:role/r"
    good = provider.checked(MACHINE, {"name": "m", "definition": right, "roleArn": role})
    wrong = {**good, "definition": right.replace('"StartAt": "A"', '"StartAt": "B"')}
    told = "invalid Step Functions State Machine definition: ERROR (MISSING_TRANSITION_TARGET): Missing 'StartAt'"
    for preview in (True, False):
        assert told in error_of(provider.create, MACHINE, wrong, preview)[1]
    provider.create(MACHINE, {**good, "definition": UNKNOWN}, preview=True)
    made = provider.create(MACHINE, good)
    for preview in (True, False):
        assert told in error_of(provider.update, MACHINE, made, wrong, preview)[1]


def test_an_unknown_value_is_a_difference_and_replaces_where_a_change_would(provider: Provider) -> None:
    made = provider.create(ROLE, provider.checked(ROLE, {"assumeRolePolicy": TRUST, "path": "/a/"}))
    found = provider.diff(ROLE, made, {**made.inputs, "path": UNKNOWN, "assumeRolePolicy": UNKNOWN})
    assert set(found.diffs) == {"path", "assumeRolePolicy"} and list(found.replaces) == ["path"]


def test_the_detailed_difference_names_paths_and_kinds(provider: Provider) -> None:
    made = provider.create(ROLE, provider.checked(ROLE, {"assumeRolePolicy": TRUST, "tags": {"a": "1", "b": "2"}}))
    wanted = provider.checked(
        ROLE, {"assumeRolePolicy": TRUST, "tags": {"a": "2", "c:d": "3"}, "path": "/p/"}, made.inputs
    )
    details = {path: detail.kind for path, detail in provider.diff(ROLE, made, wanted).detailedDiff.items()}
    kinds = pb.PropertyDiff.Kind
    assert details == {
        "tags.a": kinds.UPDATE, "tags.b": kinds.DELETE, 'tags["c:d"]': kinds.ADD, "path": kinds.ADD_REPLACE,
    }  # fmt: skip


def test_what_is_ignored_is_no_difference(provider: Provider) -> None:
    made = provider.create(ROLE, provider.checked(ROLE, {"assumeRolePolicy": TRUST}))
    wanted = {**made.inputs, "tags": {"a": "1"}, "path": "/p/"}
    assert not provider.diff(ROLE, made, wanted, ("tags", "path")).diffs
    assert list(provider.diff(ROLE, made, wanted, ("path",)).diffs) == ["tags"]


@pytest.mark.parametrize(("given", "first"), [({}, False), ({"name": "/fixed"}, True)])
def test_a_fixed_name_is_deleted_before_it_is_made_again(provider: Provider, given: Props, first: bool) -> None:
    made = provider.create(GROUP, provider.checked(GROUP, given))
    wanted = provider.checked(GROUP, {**given, "logGroupClass": "INFREQUENT_ACCESS"}, made.inputs)
    found = provider.diff(GROUP, made, wanted)
    assert list(found.replaces) == ["logGroupClass"] and found.deleteBeforeReplace is first


def test_default_tags_reach_resources_and_a_change_of_them_too(plugins: Plugins, server: Server) -> None:
    first = Provider(plugins, config={"defaultTags": '{"tags": {"team": "x", "a": "default"}}'})
    inputs = first.checked(BUCKET, {"bucket": "default-tags", "tags": {"a": "own"}})
    made = first.create(BUCKET, inputs)
    assert made.outputs["tagsAll"] == {"team": "x", "a": "own"}
    read = first.read(BUCKET, made)
    assert read is not None and read.inputs == inputs
    first.close()
    second = Provider(plugins, config={"defaultTags": '{"tags": {"team": "y"}}'})
    assert list(second.diff(BUCKET, made, inputs).diffs) == ["tagsAll"]
    second.update(BUCKET, made, inputs)
    tags = server.client("s3").get_bucket_tagging(Bucket=made.id)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "y", "a": "own"}
    second.close()


def test_a_resource_may_have_a_region_of_its_own(provider: Provider, server: Server) -> None:
    made = provider.create(GROUP, provider.checked(GROUP, {"name": "/there", "region": "eu-west-2"}))
    assert made.outputs["arn"].startswith("arn:aws:logs:eu-west-2:")
    assert not server.client("logs").describe_log_groups()["logGroups"]
    provider.delete(GROUP, made)
    assert not server.client("logs", "eu-west-2").describe_log_groups()["logGroups"]


# ── errors and secrets ───────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_name_the_resource_and_keep_the_words_of_aws(provider: Provider) -> None:
    inputs = provider.checked(ROLE, {"name": "twice", "assumeRolePolicy": TRUST})
    provider.create(ROLE, inputs)
    code, text = error_of(provider.create, ROLE.replace("worker", "second"), inputs)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert text.startswith('creating aws:iam/role:Role "second": CreateRole: EntityAlreadyExists: ') and "twice" in text


def test_what_is_half_made_is_kept_with_the_reason(
    provider: Provider, plugins: Plugins, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "InvalidTag", "Message": "no such tag"}}, "PutBucketTagging")

    inputs = provider.checked(BUCKET, {"bucket": "half-made", "tags": {"a": "1"}})
    with monkeypatch.context() as patch:
        patch.setattr(_BucketTagging, "change", fail)
        with pytest.raises(grpc.RpcError) as raised:
            provider.create(BUCKET, inputs)
    assert raised.value.code() is grpc.StatusCode.UNKNOWN
    trailer = dict(raised.value.trailing_metadata())["grpc-status-details-bin"]
    details = pb.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(trailer).details[0].Unpack(details)
    assert details.id == inputs["bucket"] and "no such tag" in details.reasons[0]
    assert plugins.stacks() == {"proj/dev": 1}
    half = Made(details.id, load(details.inputs), load(details.properties))
    assert list(provider.diff(BUCKET, half, inputs).diffs) == ["tags"]
    provider.update(BUCKET, half, inputs)
    assert server.client("s3").get_bucket_tagging(Bucket=details.id)["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_secrets_are_unwrapped(provider: Provider) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hidden"}
    assert provider.checked(ROLE, {"assumeRolePolicy": TRUST, "description": secret})["description"] == "hidden"


def test_a_defect_of_ours_says_so(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_BucketTagging, "read", lambda *_: 1 / 0)
    made = provider.create(BUCKET, provider.checked(BUCKET, {"bucket": "defect"}))
    code, text = error_of(provider.read, BUCKET, made)
    assert code is grpc.StatusCode.INTERNAL and "defect of the local cloud in Read: ZeroDivisionError" in text


def test_sixteen_resources_at_once(provider: Provider, server: Server) -> None:
    def make(number: int) -> None:
        urn = ROLE.replace("worker", f"worker{number}")
        provider.create(urn, provider.checked(urn, {"assumeRolePolicy": TRUST}))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(server.client("iam").list_roles()["Roles"]) == 16


# ── functions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_functions(provider: Provider, server: Server) -> None:
    def invoke(tok: str, **arguments: Any) -> Props:
        return load(getattr(provider.stub.Invoke(pb.InvokeRequest(tok=tok, args=dump(arguments))), "return"))

    assert invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == server.account
    assert invoke("aws:index/getRegion:getRegion")["region"] == "eu-west-1"
    assert invoke("aws:index/getPartition:getPartition")["partition"] == "aws"
    zones = invoke(
        "aws:index/getAvailabilityZones:getAvailabilityZones", state="available", excludeNames=["eu-west-1a"]
    )
    assert zones["names"] == ["eu-west-1b", "eu-west-1c"] and len(zones["zoneIds"]) == 2
    token = invoke("aws:ecr/getAuthorizationToken:getAuthorizationToken")
    assert token["userName"] == "AWS" and token["password"]
    assert token["proxyEndpoint"] == f"http://{server.account}.dkr.ecr.eu-west-1.localhost:4999"
    kinds = {
        kind: invoke(
            "aws:index/getAvailabilityZones:getAvailabilityZones", filters=[{"name": "zone-type", "values": [kind]}]
        )["names"]
        for kind in ("availability-zone", "local-zone")
    }
    assert kinds == {"availability-zone": ["eu-west-1a", "eu-west-1b", "eu-west-1c"], "local-zone": []}
    with pytest.raises(grpc.RpcError, match="does not support the argument 'unheardOf'"):
        invoke("aws:index/getAvailabilityZones:getAvailabilityZones", unheardOf=True)
