"""The environment's own key: made with it, or the company's, or none.

`encryption_key = "create"` costs a key (`herd.infra.prices`) and what it is asked; bucket keys keep that small. What
outlives the environment must not be encrypted with a key that goes with it: an adopted data bucket has the key of
whoever made it.
"""

import json

import pulumi
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key as KmsKey

from herd.infra.context import Component, Context, Document, Statement

WINDOW_DAYS = {True: 30, False: 7}
"""From the deletion of a key to its end, by `protect`: the most and the least that KMS offers."""


class Key(Component):
    """One KMS Key that is rotated every year, and its Alias. `arn` is what others encrypt with."""

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Key", "key", parent)
        key = KmsKey(
            self.child("kms"),
            description=f"data, logs and images of the environment {context.naming.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=WINDOW_DAYS[context.settings.protect],
            policy=json.dumps(key_policy(context)),
            tags=context.tags(),
            opts=self.options(),
        )
        alias = Alias(self.child("alias"), name=context.naming.key_alias, target_key_id=key.id, opts=self.options())
        # Roles may use the key by its alias, which AWS takes up to five minutes to know: so nothing has the key before
        # it has the alias.
        self.arn = pulumi.Output.all(key.arn, alias.arn).apply(lambda arns: str(arns[0]))
        self.register_outputs({})


def key_arn(context: Context, parent: pulumi.Resource) -> pulumi.Input[str] | None:
    """The key that the settings ask for; None where AWS's own keys are to be used."""
    match context.settings.encryption_key:
        case "none":
            return None
        case "create":
            return Key(context, parent).arn
        case arn:
            return arn


def key_policy(context: Context) -> Document:
    """Who may use the key beside those whom IAM lets: CloudWatch Logs, for this environment's log groups alone.

    The first statement hands the key over to the account's IAM; without it nobody could ever change the key again.
    All else (S3, ECR, Secrets Manager, SQS) asks in the name of the role that reads or writes.
    Source: "Encrypt log data in CloudWatch Logs using KMS"; "Default key policy", KMS developer guide.
    """
    account = context.account
    naming = context.naming
    groups = [account.arn("logs", f"log-group:{name}") for name in (naming.log_group("*"), naming.insights_log_group)]
    iam: Statement = {
        "Sid": "ByIam",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{account.partition}:iam::{account.id}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    logs: Statement = {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{account.region}.{account.dns_suffix}"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }
    return {"Version": "2012-10-17", "Statement": [iam, logs]}


def key_use(context: Context, actions: str | list[str], via: str) -> list[Statement]:
    """The statement by which a role may use the key through a service: `key_use(context, "kms:Decrypt", "s3")`.

    The id of a key that is made here is not known beforehand, so the permission names its alias instead: exactly one
    key has that. Nothing where there is no key.
    """
    setting, account = context.settings.encryption_key, context.account
    if setting == "none":
        return []
    condition = {"StringEquals": {"kms:ViaService": f"{via}.{account.region}.{account.dns_suffix}"}}
    if setting == "create":
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": context.naming.key_alias}
    resource = account.arn("kms", "key/*") if setting == "create" else setting
    return [{"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition}]
