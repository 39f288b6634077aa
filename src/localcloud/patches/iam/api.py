"""IAM: policy statements that moto cannot judge, and AWS's own managed policies."""

from __future__ import annotations

import json
from typing import Any

from moto.iam import access_control, models

MANAGED_PREFIX = "arn:aws:iam::aws:policy/"


def apply() -> None:
    """Judge only statements that can be judged; know AWS-managed policies from the first time one is named."""
    _patch_statements()
    _patch_managed_policies()


def _patch_statements() -> None:
    # iam/access_control.py:471. Bucket policies are evaluated without a caller and without a request context. A
    # TLS-only Deny ("aws:SecureTransport": "false") then denies everything, and an Allow for CloudFront or another
    # account lets everybody in. A statement that cannot be judged decides nothing.
    statement = access_control.IAMPolicyStatement
    stock = statement.is_action_permitted

    def is_action_permitted(
        self: Any,
        action: str,
        resource: str = "*",
        principal: str | None = None,
        incoming_condition_values: dict[str, str] | None = None,
    ) -> Any:
        if principal is None and incoming_condition_values is None:
            stated = self._statement.get("Principal")
            if self._statement.get("Condition") or stated not in (None, "*", {"AWS": "*"}, {"AWS": ["*"]}):
                return access_control.PermissionResult.NEUTRAL
        return stock(self, action, resource, principal, incoming_condition_values)

    statement.is_action_permitted = is_action_permitted


def _patch_managed_policies() -> None:
    # iam/models.py:1908 loads all or (by default) none. All are 4.7 MB of JSON and some 60 MB of objects.
    backend = models.IAMBackend
    stock_get, stock_attach = backend.get_policy, backend.attach_role_policy

    def get_policy(self: Any, policy_arn: str) -> Any:
        _learn(self, policy_arn)
        return stock_get(self, policy_arn)

    def attach_role_policy(self: Any, policy_arn: str, role_name: str) -> None:
        _learn(self, policy_arn)
        stock_attach(self, policy_arn, role_name)

    backend.get_policy, backend.attach_role_policy = get_policy, attach_role_policy


def _learn(backend: Any, arn: str) -> None:
    if not arn.startswith(MANAGED_PREFIX) or arn in backend.managed_policies:
        return
    name = arn.rsplit("/", 1)[-1]
    data = json.loads(models.aws_managed_policies_data).get(name)
    if data is not None:
        policy = models.AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        backend.managed_policies[policy.arn] = policy
