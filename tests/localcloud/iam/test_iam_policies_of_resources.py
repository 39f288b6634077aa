"""Policies of buckets, queues, topics, secrets and keys; boundaries; managed policies; keys that encrypt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.iam.principals import session_of
from tests.localcloud.iam.acting import REGION, Account, Statement, allow, deny, document


def named(role: str, statement: Statement) -> Statement:
    return {**statement, "Principal": {"AWS": role}}


# --- a bucket --------------------------------------------------------------------------------------------------------


def policy_of(account: Account, bucket: str, *statements: Statement) -> None:
    account.root("s3").put_bucket_policy(Bucket=bucket, Policy=document(*statements))


def test_a_bucket_lets_a_role_in_that_has_no_policy_of_its_own(account: Account) -> None:
    bucket, role, other = account.bucket("a/x"), account.role(), account.role()
    policy_of(account, bucket, named(role, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*")))
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    assert not account.can(other, "s3", "get_object", Bucket=bucket, Key="a/x")


def test_a_bucket_that_denies_wins_over_an_administrator(account: Account) -> None:
    bucket, role = account.bucket("a/x"), account.role(allow("*"))
    policy_of(account, bucket, {**deny("s3:*", f"arn:aws:s3:::{bucket}/a/*"), "Principal": "*"})
    message = account.refusal(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    assert "with an explicit deny in a resource-based policy" in message
    assert 'The statement that denies it: {"Effect":"Deny"' in message


def test_a_bucket_for_tls_only_is_open_here(account: Account) -> None:
    bucket, role = account.bucket("a/x"), account.role(allow("s3:GetObject"))
    insecure = deny("s3:*", f"arn:aws:s3:::{bucket}/*", Bool={"aws:SecureTransport": "false"})
    policy_of(account, bucket, {**insecure, "Principal": "*"})
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")


def test_who_may_not_list_is_not_told_which_keys_are_missing(account: Account) -> None:
    bucket = account.bucket()
    below = {"StringLike": {"s3:prefix": "a/*"}}
    reader = account.role(allow("s3:GetObject"), allow("s3:ListBucket", "*", **below))
    lister = account.role(allow("s3:GetObject"), allow("s3:ListBucket"))
    assert "no such key" in account.refusal(reader, "s3", "get_object", Bucket=bucket, Key="a/x")
    with pytest.raises(ClientError) as missing:
        account.client(lister, "s3").get_object(Bucket=bucket, Key="a/x")
    assert missing.value.response["Error"]["Code"] == "NoSuchKey"


@pytest.mark.parametrize(
    ("prefix", "allowed"), [("a/", True), ("a/b", True), ("", False), ("b/", False), ("a", False), (None, False)]
)
def test_listing_by_prefix(account: Account, prefix: str | None, allowed: bool) -> None:
    bucket = account.bucket("a/x")
    role = account.role(allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "a/*"}))
    given = {} if prefix is None else {"Prefix": prefix}
    assert account.can(role, "s3", "list_objects_v2", Bucket=bucket, **given) is allowed


def test_the_advice_for_listing_names_the_prefix(account: Account) -> None:
    message = account.refusal(account.role(), "s3", "list_objects_v2", Bucket=account.bucket(), Prefix="a/b/")
    assert message.endswith('"Condition":{"StringLike":{"s3:prefix":"a/*"}}}')


def test_a_conditional_write_is_another_right(account: Account) -> None:
    bucket = account.bucket()
    role = account.role(allow("s3:PutObject", "*", Null={"s3:if-none-match": "false"}))
    assert account.can(role, "s3", "put_object", Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    assert not account.can(role, "s3", "put_object", Bucket=bucket, Key="k", Body=b"1")


# --- boundaries, managed policies, roles -----------------------------------------------------------------------------


def test_a_boundary_narrows(account: Account) -> None:
    bucket = account.bucket("a/x", "b/x")
    boundary = account.policy(allow("s3:*", f"arn:aws:s3:::{bucket}/a/*"))
    role = account.role(allow("s3:*"), boundary=boundary)
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    message = account.refusal(role, "s3", "get_object", Bucket=bucket, Key="b/x")
    assert "because no permissions boundary allows the s3:GetObject action" in message
    assert f"To the permissions boundary {boundary} add: " in message


def test_managed_policies_count_in_their_default_version(account: Account) -> None:
    bucket, iam = account.bucket("a/x"), account.root("iam")
    role, policy = account.role(), account.policy(allow("s3:PutObject"))
    iam.attach_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyArn=policy)
    assert not account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(allow("s3:GetObject")), SetAsDefault=True)
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")


def test_aws_own_managed_policies_count(account: Account) -> None:
    bucket, role = account.bucket("a/x"), account.role()
    account.root("iam").attach_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    assert not account.can(role, "s3", "put_object", Bucket=bucket, Key="a/x", Body=b"")


def test_a_change_counts_at_once_and_a_role_that_is_gone_may_do_nothing(account: Account) -> None:
    bucket, iam = account.bucket("a/x"), account.root("iam")
    role = account.role(allow("s3:GetObject"))
    name = role.rsplit("/", 1)[-1]
    iam.put_role_policy(RoleName=name, PolicyName="q", PolicyDocument=document(deny("s3:GetObject")))
    assert not account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    iam.delete_role_policy(RoleName=name, PolicyName="q")
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    assert "does not exist any more" in account.refusal(role, "s3", "get_object", Bucket=bucket, Key="a/x")


def test_tags_of_the_caller_fill_variables(account: Account) -> None:
    bucket = account.bucket("a/x", "b/x")
    role = account.role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/*"))
    account.root("iam").tag_role(RoleName=role.rsplit("/", 1)[-1], Tags=[{"Key": "team", "Value": "a"}])
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x")
    assert not account.can(role, "s3", "get_object", Bucket=bucket, Key="b/x")


def test_assuming_a_role_needs_its_trust(account: Account) -> None:
    caller = account.role(allow("sts:AssumeRole"))
    open_to = document({"Effect": "Allow", "Principal": {"AWS": caller}, "Action": "sts:AssumeRole"})
    whole = document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account.id}:root"}, "Action": "sts:AssumeRole"}
    )
    assert not account.can(caller, "sts", "assume_role", RoleArn=account.role(), RoleSessionName="session")
    assert account.can(caller, "sts", "assume_role", RoleArn=account.role(trusted=open_to), RoleSessionName="session")
    assert account.can(caller, "sts", "assume_role", RoleArn=account.role(trusted=whole), RoleSessionName="session")
    assert not account.can(
        account.role(), "sts", "assume_role", RoleArn=account.role(trusted=whole), RoleSessionName="session"
    )


# --- queues, topics, secrets, keys -----------------------------------------------------------------------------------


def test_a_queue_lets_in_whom_it_names(account: Account) -> None:
    role, sqs = account.role(), account.root("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    assert not account.can(role, "sqs", "send_message", QueueUrl=url, MessageBody="x")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(named(role, allow("sqs:SendMessage")))})
    assert account.can(role, "sqs", "send_message", QueueUrl=url, MessageBody="x")


def test_a_topic_is_not_open_by_the_policy_that_it_is_made_with(account: Account) -> None:
    role, sns = account.role(), account.root("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    assert "sns:Publish" in account.refusal(role, "sns", "publish", TopicArn=topic, Message="x")
    policy = document(named(role, allow("sns:Publish", topic)))
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    assert account.can(role, "sns", "publish", TopicArn=topic, Message="x")


def test_a_secret_is_one_secret(account: Account) -> None:
    secrets = account.root("secretsmanager")
    arn = secrets.create_secret(Name="dev/a", SecretString="1")["ARN"]
    secrets.create_secret(Name="dev/b", SecretString="2")
    role = account.role(allow("secretsmanager:GetSecretValue", f"{arn.rsplit('-', 1)[0]}-??????"))
    for identifier in ("dev/a", arn, arn.rsplit("-", 1)[0]):
        assert account.can(role, "secretsmanager", "get_secret_value", SecretId=identifier)
    assert not account.can(role, "secretsmanager", "get_secret_value", SecretId="dev/b")
    assert not account.can(role, "secretsmanager", "put_secret_value", SecretId="dev/a", SecretString="3")


def key(account: Account, policy: str = "") -> str:
    extra = {"Policy": policy} if policy else {}
    arn: str = account.root("kms").create_key(**extra)["KeyMetadata"]["Arn"]
    return arn


def test_a_key_that_leaves_it_to_the_account_is_opened_by_a_role(account: Account) -> None:
    arn = key(account)
    blob = account.root("kms").encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert account.can(account.role(allow("kms:Decrypt", arn)), "kms", "decrypt", CiphertextBlob=blob)
    assert not account.can(account.role(allow("kms:Decrypt", key(account))), "kms", "decrypt", CiphertextBlob=blob)


def test_a_key_that_names_others_is_closed_to_an_administrator(account: Account) -> None:
    other = account.role()
    arn = key(account, document(named(other, allow("kms:*"))))
    message = account.refusal(account.role(allow("*")), "kms", "encrypt", KeyId=arn, Plaintext=b"x")
    assert "because no resource-based policy allows the kms:Encrypt action" in message
    assert account.can(other, "kms", "encrypt", KeyId=arn, Plaintext=b"x")


def encrypted(account: Account, arn: str, *keys: str) -> str:
    bucket = account.bucket(*keys)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    account.root("s3").put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [{**rule, "BucketKeyEnabled": True}]}
    )
    return bucket


@pytest.mark.parametrize(
    ("action", "via", "reads", "writes"),
    [
        ("kms:Decrypt", "s3", True, False),
        ("kms:GenerateDataKey", "s3", False, True),
        (["kms:Decrypt", "kms:GenerateDataKey"], "s3", True, True),
        (["kms:Decrypt", "kms:GenerateDataKey"], "sqs", False, False),
        ("kms:Encrypt", "s3", False, False),
    ],
)
def test_an_encrypted_bucket_asks_for_its_key(
    account: Account, action: Any, via: str, reads: bool, writes: bool
) -> None:
    arn = key(account)
    bucket = encrypted(account, arn, "a/x")
    through = {"StringEquals": {"kms:ViaService": f"{via}.{REGION}.amazonaws.com"}}
    role = account.role(allow(["s3:GetObject", "s3:PutObject"]), allow(action, arn, **through))
    assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x") is reads
    assert account.can(role, "s3", "put_object", Bucket=bucket, Key="a/y", Body=b"1") is writes


def test_the_key_of_a_bucket_is_known_by_its_alias(account: Account) -> None:
    arn = key(account)
    account.root("kms").create_alias(AliasName="alias/mine", TargetKeyId=arn)
    bucket = encrypted(account, arn, "a/x")
    for alias, allowed in (("alias/mine", True), ("alias/other", False)):
        named_so = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        role = account.role(allow("s3:GetObject"), allow("kms:Decrypt", **named_so))
        assert account.can(role, "s3", "get_object", Bucket=bucket, Key="a/x") is allowed


def test_a_secret_with_a_key_asks_for_it(account: Account) -> None:
    arn = key(account)
    account.root("secretsmanager").create_secret(Name="s", SecretString="1", KmsKeyId=arn)
    without = account.role(allow("secretsmanager:GetSecretValue"))
    message = account.refusal(without, "secretsmanager", "get_secret_value", SecretId="s")
    assert f'"Action":"kms:Decrypt","Resource":"{arn}"' in message and "kms:ViaService" in message
    role = account.role(allow("secretsmanager:GetSecretValue"), allow("kms:Decrypt", arn))
    assert account.can(role, "secretsmanager", "get_secret_value", SecretId="s")


# --- the account's own key, services' errors, the log ----------------------------------------------------------------


def test_the_persons_key_needs_no_permission(account: Account) -> None:
    bucket = account.bucket("a/x")
    assert account.root("s3").get_object(Bucket=bucket, Key="a/x")["Body"].read() == b"a/x"
    assert account.root("sts").get_caller_identity()["Arn"].endswith(":root")


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("s3", "list_buckets", {}, "AccessDenied", 403),
        ("ecs", "list_clusters", {}, "AccessDeniedException", 400),
        ("stepfunctions", "list_state_machines", {}, "AccessDeniedException", 400),
        ("secretsmanager", "list_secrets", {}, "AccessDeniedException", 400),
        ("iam", "list_roles", {}, "AccessDenied", 403),
        ("sns", "list_topics", {}, "AuthorizationError", 403),
        ("sqs", "list_queues", {}, "AccessDenied", 403),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", 403),
        ("scheduler", "list_schedules", {}, "AccessDeniedException", 403),
        ("elbv2", "describe_load_balancers", {}, "AccessDenied", 403),
    ],
)
def test_each_service_refuses_in_its_own_way(
    account: Account, service: str, operation: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(account.client(account.role(), service), operation)(**parameters)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert "is not authorized to perform" in refused.value.response["Error"]["Message"]


def test_the_log_says_it_once(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    role = account.role()
    for _ in range(3):
        account.refusal(role, "s3", "list_buckets")
    assert len([record for record in caplog.records if "s3:ListAllMyBuckets" in record.getMessage()]) == 1


def test_everyone_is_told_who_he_is(account: Account) -> None:
    role = account.role()
    assert account.client(role, "sts").get_caller_identity()["Arn"] == session_of(role, "session")


def test_a_body_that_is_no_list_of_keys_deletes_nothing(account: Account) -> None:
    bucket = account.bucket("a/x")
    role = account.role(allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/b/*"))
    with pytest.raises(ClientError, match="AccessDenied"):
        account.client(role, "s3").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b/x"}, {"Key": "a/x"}]})
    assert json.dumps(account.root("s3").list_objects_v2(Bucket=bucket)["KeyCount"]) == "1"
