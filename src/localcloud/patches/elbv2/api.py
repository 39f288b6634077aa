"""Load balancers: targets on one address, health as observed, addresses that answer here, URL rewriting."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2 import models, responses

from localcloud.patches import hooks

Health = tuple[str, str | None, str | None]
"""State, reason, description: what DescribeTargetHealth shows."""

REGISTERED: Health = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
UNKNOWN: Health = ("unused", "Target.NotRegistered", "Target is not registered to the target group")


def apply() -> None:
    """Let several targets live on 127.0.0.1, tell their observed health, and give load balancers an address here."""
    _patch_targets()
    _patch_addresses()
    _patch_transforms()
    _hide_client_secrets()


def target_key(group: Any, target: dict[str, Any]) -> str:
    """The key of a target within its group: address and port."""
    return f"{target['Id']}:{target.get('Port') or group.port}"


def _patch_targets() -> None:
    # elbv2/models.py:186, 200, 213 key targets by address alone, so that of two ports on 127.0.0.1 only one is known;
    # and every registered target is healthy from the first moment.
    def register(group: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            port = target.get("Port") or group.port
            group.targets.setdefault(
                target_key(group, target), {"Id": target["Id"], "Port": port, "health": REGISTERED}
            )

    def deregister(group: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            group.targets.pop(target_key(group, target), None)

    def health_for(group: Any, target: dict[str, Any], ec2_backend: Any) -> Any:
        port = target.get("Port") or group.port
        known = group.targets.get(target_key(group, target))
        health: Health = known["health"] if known else UNKNOWN
        return models.FakeHealthStatus(target["Id"], port, str(port), *health)

    group = models.FakeTargetGroup
    group.register, group.deregister, group.health_for = register, deregister, health_for


def _patch_addresses() -> None:
    # elbv2/models.py:778: `<name>-1.<region>.elb.amazonaws.com`, which leads to the real AWS.
    backend = models.ELBv2Backend
    stock = backend.create_load_balancer

    def create_load_balancer(self: Any, *args: Any, **kwargs: Any) -> Any:
        balancer = stock(self, *args, **kwargs)
        site = hooks.site(self.account_id)
        if site is not None:
            number = int(balancer.arn.rsplit("/", 1)[-1], 16) % 10**10
            balancer.dns_name = f"{balancer.name}-{number}.{self.region_name}.elb.localhost:{site.port}"
        return balancer

    backend.create_load_balancer = create_load_balancer


def _patch_transforms() -> None:
    # elbv2/responses.py:65, 240 do not know `Transforms` (URL and host header rewriting, on AWS since October 2025).
    response = responses.ELBV2Response
    stock_create, stock_modify = response.create_rule, response.modify_rule

    def create_rule(self: Any) -> Any:
        result = stock_create(self)
        result.result["Rules"][0].transforms = self._get_params().get("Transforms", [])
        return result

    def modify_rule(self: Any) -> Any:
        parameters = self._get_params()
        if "Conditions" in parameters or "Actions" in parameters:
            result = stock_modify(self)
        else:  # moto insists on one of the two (elbv2/models.py:1621)
            rules = self.elbv2_backend.describe_rules(None, [parameters["RuleArn"]])
            result = ActionResult({"Rules": list(rules)})
        rule = result.result["Rules"][0]
        if parameters.get("ResetTransforms"):
            rule.transforms = []
        elif "Transforms" in parameters:
            rule.transforms = parameters["Transforms"]
        return result

    response.create_rule, response.modify_rule = create_rule, modify_rule
    models.FakeRule.transforms = []


def _hide_client_secrets() -> None:
    # elbv2/models.py:532 answers with all that an action was given, its OpenID Connect client secret too; AWS never
    # does. Who signs people in here reads `data`.
    stock = models.FakeAction.__init__

    def init(self: Any, data: dict[str, Any]) -> None:
        stock(self, data)
        config = data.get("AuthenticateOidcConfig")
        if config is not None:
            shown = {name: value for name, value in config.items() if name != "ClientSecret"}
            self.__dict__["AuthenticateOidcConfig"] = shown

    models.FakeAction.__init__ = init
