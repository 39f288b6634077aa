"""Load balancer listeners and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import from_api, to_api
from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.types.elbv2 import TAGGING
from localcloud.plugins.values import Props

_ACTION = """
            type !
            order int ?
            targetGroupArn ?
            forward object ? =ForwardConfig
                targetGroups bag !
                    arn ! =TargetGroupArn
                    weight int default:1
                stickiness object =TargetGroupStickinessConfig
                    duration int ! =DurationSeconds
                    enabled bool
            redirect object =RedirectConfig
                statusCode !
                host default:#{host}
                path default:/#{path}
                port default:#{port}
                protocol default:#{protocol}
                query default:#{query}
            fixedResponse object =FixedResponseConfig
                contentType !
                messageBody
                statusCode ?
            authenticateOidc object =AuthenticateOidcConfig
                authorizationEndpoint !
                clientId !
                clientSecret !
                issuer !
                tokenEndpoint !
                userInfoEndpoint !
                authenticationRequestExtraParams map
                onUnauthenticatedRequest ?
                scope ?
                sessionCookieName ?
                sessionTimeout int ?
            authenticateCognito object =AuthenticateCognitoConfig
                userPoolArn !
                userPoolClientId !
                userPoolDomain !
                authenticationRequestExtraParams map
                onUnauthenticatedRequest ?
                scope ?
                sessionCookieName ?
                sessionTimeout int ?
"""


def _actions(actions: list[Props]) -> list[Props]:
    """The API wants an order where there is more than one."""
    if len(actions) > 1:
        for index, action in enumerate(actions):
            action.setdefault("Order", index + 1)
    return actions


@resource_type
class Listener(Resource):
    """A port of a load balancer; its id is its ARN."""

    token = "aws:lb/listener:Listener"
    service = "elbv2"
    table = f"""
        loadBalancerArn ! ^
        port int
        protocol ?
        sslPolicy ?
        certificateArn =-
        alpnPolicy =-
        defaultActions objects !
            {_ACTION.strip()}
        arn ~ =ListenerArn
    """
    tagging = TAGGING
    create_call, create_answer, identifier = "create_listener", "Listeners", "ListenerArn"
    read_call, read_key, read_answer = "describe_listeners", "ListenerArns[]", "Listeners"
    update_call = "modify_listener"
    delete_call, delete_key = "delete_listener", "ListenerArn"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        arguments["DefaultActions"] = _actions(arguments["DefaultActions"])
        arguments.setdefault("Protocol", "HTTPS" if inputs.get("certificateArn") else "HTTP")
        if inputs.get("certificateArn"):
            arguments["Certificates"] = [{"CertificateArn": inputs["certificateArn"]}]
        if inputs.get("alpnPolicy"):
            arguments["AlpnPolicy"] = [inputs["alpnPolicy"]]
        if updating:
            arguments.pop("LoadBalancerArn")
        return arguments

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        certificates, alpn = described.get("Certificates") or [], described.get("AlpnPolicy") or []
        if certificates:
            live["certificateArn"] = certificates[0]["CertificateArn"]
        if alpn:
            live["alpnPolicy"] = alpn[0]
        return live


_CONDITIONS = {
    "hostHeader": ("host-header", "HostHeaderConfig"),
    "pathPattern": ("path-pattern", "PathPatternConfig"),
    "httpHeader": ("http-header", "HttpHeaderConfig"),
    "httpRequestMethod": ("http-request-method", "HttpRequestMethodConfig"),
    "sourceIp": ("source-ip", "SourceIpConfig"),
    "queryStrings": ("query-string", "QueryStringConfig"),
}
_TRANSFORMS = {"urlRewriteConfig": "UrlRewriteConfig", "hostHeaderRewriteConfig": "HostHeaderRewriteConfig"}
_FIRST_PRIORITY, _LAST_PRIORITY = 1, 50_000


@resource_type
class ListenerRule(Resource):
    """What a listener does with requests that match; its id is its ARN."""

    token = "aws:lb/listenerRule:ListenerRule"
    service = "elbv2"
    table = f"""
        listenerArn ! ^
        priority int ? =-
        actions objects !
            {_ACTION.strip()}
        conditions bag ! =-
            hostHeader object
                values set
                regexValues set
            httpHeader object
                httpHeaderName !
                values set
                regexValues set
            httpRequestMethod object
                values set !
            pathPattern object
                values set
                regexValues set
            queryStrings bag
                key
                value !
            sourceIp object
                values set !
        transforms bag =-
            type !
            urlRewriteConfig object
                rewrite object
                    regex !
                    replace !
            hostHeaderRewriteConfig object
                rewrite object
                    regex !
                    replace !
        arn ~ =RuleArn
    """
    tagging = TAGGING
    identifier = "RuleArn"
    create_call, create_answer = "create_rule", "Rules"
    read_call, read_key, read_answer = "describe_rules", "RuleArns[]", "Rules"
    delete_call, delete_key = "delete_rule", "RuleArn"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        problems = []
        for index, transform in enumerate(inputs.get("transforms") or []):
            wanted = {"url-rewrite": "urlRewriteConfig", "host-header-rewrite": "hostHeaderRewriteConfig"}
            name = wanted.get(transform.get("type")) if isinstance(transform.get("type"), str) else "type"
            if name is None:
                problems.append((f"transforms[{index}].type", f"must be one of {', '.join(wanted)}"))
            elif name != "type" and not transform.get(name):
                problems.append(
                    (f"transforms[{index}].{name}", f"a transform of type {transform['type']} needs '{name}'")
                )
        priority = inputs.get("priority")
        if isinstance(priority, float) and not _FIRST_PRIORITY <= priority <= _LAST_PRIORITY:
            problems.append(("priority", f"must be {_FIRST_PRIORITY} to {_LAST_PRIORITY}"))
        return problems

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        arguments["Actions"] = _actions(arguments["Actions"])
        arguments["Conditions"] = self._conditions(inputs)
        transforms = [
            {
                "Type": item["type"],
                **{api: {"Rewrites": [_rewrite(item[name])]} for name, api in _TRANSFORMS.items() if item.get(name)},
            }
            for item in inputs.get("transforms") or []
        ]
        if transforms:
            arguments["Transforms"] = transforms
        elif updating:
            arguments["ResetTransforms"] = True
        if updating:
            arguments.pop("ListenerArn")
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        priority = inputs.get("priority") or self._free_priority(cloud, inputs["listenerArn"])
        answer = self.call(
            cloud,
            "create_rule",
            Priority=int(priority),
            **self.arguments(cloud, inputs),
            **self.creating_tags(cloud, inputs),
        )
        live = self.live(cloud, answer["Rules"][0])
        return live["arn"], live

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        live["conditions"] = [self._condition(condition) for condition in described.get("Conditions", [])]
        live["transforms"] = [
            {
                "type": item["Type"],
                **{
                    name: {
                        "rewrite": {
                            "regex": item[api]["Rewrites"][0]["Regex"],
                            "replace": item[api]["Rewrites"][0]["Replace"],
                        }
                    }
                    for name, api in _TRANSFORMS.items()
                    if (item.get(api) or {}).get("Rewrites")
                },
            }
            for item in described.get("Transforms") or []
        ]
        if str(described.get("Priority", "")).isdigit():
            live["priority"] = float(described["Priority"])
        live["listenerArn"] = described["RuleArn"].replace(":listener-rule/", ":listener/").rpartition("/")[0]
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "priority" in changed and new.get("priority"):
            priorities = [{"RuleArn": identifier, "Priority": int(new["priority"])}]
            self.call(cloud, "set_rule_priorities", RulePriorities=priorities)
        if {"actions", "conditions", "transforms"} & changed:
            self.call(cloud, "modify_rule", RuleArn=identifier, **self.arguments(cloud, new, updating=True))
        return {}

    def _free_priority(self, cloud: Cloud, listener: str) -> int:
        rules = self.all(cloud, "describe_rules", "Rules", ListenerArn=listener)
        return max((int(rule["Priority"]) for rule in rules if rule["Priority"].isdigit()), default=0) + 1

    def _conditions(self, inputs: Props) -> list[Props]:
        inner = self.fields["conditions"].fields
        conditions = []
        for condition in inputs["conditions"]:
            for name, (field, member) in _CONDITIONS.items():
                if not condition.get(name):
                    continue
                if name == "queryStrings":
                    config: Props = {
                        "Values": [to_api(inner[name].fields, pair, self.spelling) for pair in condition[name]]
                    }
                else:
                    config = to_api(inner[name].fields, condition[name], self.spelling)
                conditions.append({"Field": field, member: config})
        return conditions

    def _condition(self, described: Mapping[str, Any]) -> Props:
        inner = self.fields["conditions"].fields
        for name, (field, member) in _CONDITIONS.items():
            if described.get("Field") == field:
                config = described.get(member) or {"Values": described.get("Values", [])}
                if name == "queryStrings":
                    return {name: [from_api(inner[name].fields, pair, self.spelling) for pair in config["Values"]]}
                return {name: from_api(inner[name].fields, config, self.spelling)}
        return {}


def _rewrite(config: Props) -> Props:
    return {"Regex": config["rewrite"]["regex"], "Replace": config["rewrite"]["replace"]}


@resource_type
class ListenerCertificate(Resource):
    """A further certificate of a listener, for another name; its id is `listener_certificate`."""

    token = "aws:lb/listenerCertificate:ListenerCertificate"
    service = "elbv2"
    table = """
        listenerArn ! ^ =-
        certificateArn ! ^ =-
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "add_listener_certificates", **self._named(inputs))
        return f"{inputs['listenerArn']}_{inputs['certificateArn']}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        listener, _, certificate = identifier.partition("_")
        certificates = self.all(cloud, "describe_listener_certificates", "Certificates", ListenerArn=listener)
        if not any(each["CertificateArn"] == certificate and not each.get("IsDefault") for each in certificates):
            return None
        return {"listenerArn": listener, "certificateArn": certificate}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "remove_listener_certificates", **self._named(props))

    def _named(self, props: Props) -> Props:
        certificates = [{"CertificateArn": props["certificateArn"]}]
        return {"ListenerArn": props["listenerArn"], "Certificates": certificates}
