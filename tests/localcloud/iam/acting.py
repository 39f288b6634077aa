"""A server whose guard is on, and roles to act by."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

from botocore.exceptions import ClientError

from localcloud.iam.guard import Guard
from localcloud.iam.principals import session_of
from localcloud.server import Server

REGION = "eu-west-1"
Statement = dict[str, Any]

_numbers = itertools.count()


def allow(actions: str | list[str], resources: str | list[str] = "*", **condition: Any) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def deny(actions: str | list[str], resources: str | list[str] = "*", **condition: Any) -> Statement:
    return {**allow(actions, resources, **condition), "Effect": "Deny"}


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(service: str, **condition: Any) -> str:
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return document({**statement, "Condition": condition} if condition else statement)


class Account:
    """An account with a guard; its own key (`root`) may do everything."""

    def __init__(self, server: Server):
        server.guard = Guard()
        self.server = server
        self.id = server.account

    def root(self, service: str) -> Any:
        return self.server.client(service)

    def role(self, *statements: Statement, name: str = "", trusted: str = "", boundary: str = "") -> str:
        """A role with these permissions; its ARN."""
        iam = self.root("iam")
        name = name or f"role-{next(_numbers)}"
        extra = {"PermissionsBoundary": boundary} if boundary else {}
        arn: str = iam.create_role(
            RoleName=name, Path="/team/", AssumeRolePolicyDocument=trusted or trust("ecs-tasks.amazonaws.com"), **extra
        )["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return arn

    def policy(self, *statements: Statement) -> str:
        """A managed policy; its ARN."""
        arn: str = self.root("iam").create_policy(
            PolicyName=f"policy-{next(_numbers)}", PolicyDocument=document(*statements)
        )["Policy"]["Arn"]
        return arn

    def client(self, role_arn: str, service: str) -> Any:
        """boto3 whose calls are those of a session of the role."""
        return self.server.client(service, principal=session_of(role_arn, "session"))

    def can(self, role_arn: str, service: str, operation: str, **parameters: Any) -> bool:
        """Whether a role may do that; errors other than a refusal count as allowed."""
        return not self.refusal(role_arn, service, operation, **parameters)

    def refusal(self, role_arn: str, service: str, operation: str, **parameters: Any) -> str:
        """The message with which it is refused; "" if it is not."""
        try:
            getattr(self.client(role_arn, service), operation)(**parameters)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            refused = code in ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
            return (message or code) if refused else ""
        return ""

    def bucket(self, *keys: str) -> str:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        s3 = self.root("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in keys:
            s3.put_object(Bucket=name, Key=key, Body=key.encode())
        return name
