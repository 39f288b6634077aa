"""Which rule of a load balancer takes a request, and what the rule makes of it. No sockets here.

Read from moto's elbv2 models. Rules come in order of priority, the first whose conditions all hold wins, the default
rule is last. All listeners of a load balancer share the gateway's one port, so one of them answers: the HTTPS one if
there is one (its HTTP sibling usually only redirects to it), else the one on the lowest port.
"""

from __future__ import annotations

import functools
import ipaddress
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.gateway.sign_in import SignIn
from localcloud.signing import unquote


@dataclass(frozen=True)
class Asked:
    """A request as rules see it: `host` without port, `path` and `query` as sent, header names in lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    client: str


@dataclass(frozen=True)
class Forward:
    """Send to one of these target groups (moto's objects, so that their targets' health is always the latest), by
    weight.
    """

    groups: tuple[tuple[Any, int], ...]

    def choose(self) -> Any | None:
        """A target group; None when all weights are 0."""
        if len(self.groups) == 1:
            return self.groups[0][0] if self.groups[0][1] else None
        weights = [weight for _, weight in self.groups]
        return random.choices([group for group, _ in self.groups], weights)[0] if any(weights) else None


@dataclass(frozen=True)
class Redirect:
    """Answer with another address; the fields are templates over the request's own parts (`/#{path}`)."""

    status: int
    protocol: str
    host: str
    port: str
    path: str
    query: str

    def location(self, asked: Asked, port: int) -> str:
        parts = {
            "protocol": "http",
            "host": asked.host,
            "port": str(port),
            "path": asked.path.lstrip("/"),
            "query": asked.query,
        }

        def fill(template: str) -> str:
            return re.sub(r"#\{(protocol|host|port|path|query)\}", lambda match: parts[match[1]], template)

        protocol = fill(self.protocol).lower()
        given_port = fill(self.port)
        shown_port = "" if (protocol, given_port) in (("http", "80"), ("https", "443")) else f":{given_port}"
        query = fill(self.query)
        return f"{protocol}://{fill(self.host)}{shown_port}{fill(self.path)}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Fixed:
    """Answer with these words."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True)
class Unsupported:
    """An action that this cloud cannot perform; it answers 501 with this text rather than doing something else."""

    text: str


OIDC = "authenticate-oidc"

Action = Forward | Redirect | Fixed | Unsupported
Condition = Callable[[Asked], bool]


@dataclass(frozen=True)
class Rewrite:
    """Replaces the first match of a pattern in the URL (path and query) or in the host header."""

    pattern: re.Pattern[str]
    replacement: str

    def apply(self, text: str) -> str:
        return self.pattern.sub(self._expand, text, count=1)

    def _expand(self, match: re.Match[str]) -> str:
        return re.sub(r"\$(\d)", lambda reference: match[int(reference[1])] or "", self.replacement)


@dataclass(frozen=True)
class Rule:
    conditions: tuple[Condition, ...]
    action: Action
    rewrite_url: tuple[Rewrite, ...] = ()
    rewrite_host: tuple[Rewrite, ...] = ()
    sign_in: SignIn | None = None

    def takes(self, asked: Asked) -> bool:
        return all(condition(asked) for condition in self.conditions)

    def url(self, url: str) -> str:
        """The URL (path and query) to send to the target. Raises ValueError when a rewrite makes none; AWS answers
        500 then.
        """
        for rewrite in self.rewrite_url:
            url = rewrite.apply(url)
        if not url.startswith("/") or any(character <= " " or character > "~" for character in url):
            raise ValueError(f"the rule's URL rewrite gives {url!r}, which is not a path")
        return url


@dataclass(frozen=True)
class Balancer:
    """One load balancer: its rules in order, and how long a connection may be silent."""

    rules: tuple[Rule, ...]
    idle_seconds: float = 60.0
    arn: str = ""

    @property
    def signs_in(self) -> bool:
        """Whether any of its rules asks people who they are: the provider's answers come to a path of the balancer."""
        return any(rule.sign_in for rule in self.rules)

    def route(self, asked: Asked) -> Rule | None:
        """The rule that takes the request; None when there is no listener."""
        return next((rule for rule in self.rules if rule.takes(asked)), None)


@dataclass
class RoundRobin:
    """Takes turns over a target group's targets."""

    _turns: dict[str, int] = field(default_factory=dict)

    def order(self, group: Any) -> list[tuple[str, int]]:
        """Addresses of the targets that may be asked, the one whose turn it is first.

        Healthy ones; if there are none, the unhealthy ones (an Application Load Balancer fails open). Targets that
        have not passed their first check, or are draining, get nothing.
        """
        # A copy in one step: moto's dictionary changes under other threads.
        targets = list(group.targets.values())
        states = [target["health"][0] for target in targets]
        wanted = "healthy" if "healthy" in states else "unhealthy"
        chosen = [target for target, state in zip(targets, states, strict=True) if state == wanted]
        if not chosen:
            return []
        turn = self._turns.get(group.arn, 0)
        self._turns[group.arn] = turn + 1
        start = turn % len(chosen)
        return [(target["Id"], int(target.get("Port") or group.port)) for target in chosen[start:] + chosen[:start]]


def read_balancers(backends: Sequence[Any], zones: Sequence[Any] = ()) -> dict[str, Balancer]:
    """Every load balancer of moto's elbv2 `backends`, by DNS name in lower case without port; also by the names below
    `.localhost` that records in moto's Route 53 `zones` give it. Hold the server's lock.
    """
    balancers = {}
    for backend in backends:
        for load_balancer in backend.load_balancers.values():
            balancers[_host(load_balancer.dns_name)] = _read_balancer(load_balancer, backend.target_groups)
    for zone in zones:
        for record in zone.rrsets:
            targets = [record.alias_target["DNSName"]] if record.alias_target else record.records
            # Names that do not end so lead nobody to this machine by themselves, and must not: see `hosts`.
            name = _host(record.name) if record.type in ("A", "CNAME") else ""
            if targets and name.endswith(".localhost") and _host(targets[0]) in balancers:
                balancers.setdefault(name, balancers[_host(targets[0])])
    return balancers


def _host(name: Any) -> str:
    return str(name).split(":")[0].rstrip(".").lower()


def _read_balancer(load_balancer: Any, groups: Mapping[str, Any]) -> Balancer:
    listeners = sorted(load_balancer.listeners.values(), key=lambda one: (one.protocol != "HTTPS", int(one.port)))
    idle = float(load_balancer.attrs.get("idle_timeout.timeout_seconds", 60))
    if not listeners:
        return Balancer((), idle, str(load_balancer.arn))
    rules = sorted(listeners[0].rules.values(), key=lambda rule: (rule.priority == "default", rule.priority))
    return Balancer(tuple(_read_rule(rule, groups) for rule in rules), idle, str(load_balancer.arn))


def _read_rule(rule: Any, groups: Mapping[str, Any]) -> Rule:
    rewrites: dict[str, list[Rewrite]] = {"url-rewrite": [], "host-header-rewrite": []}
    for transform in getattr(rule, "transforms", None) or ():
        config = transform.get("UrlRewriteConfig") or transform.get("HostHeaderRewriteConfig") or {}
        for rewrite in config.get("Rewrites", ()):
            rewrites[transform["Type"]].append(Rewrite(_compiled(rewrite["Regex"]), rewrite["Replace"]))
    actions = sorted((action.data for action in rule.actions), key=lambda data: int(data.get("Order", 0) or 0))
    first = actions[0] if len(actions) > 1 else None  # who may pass comes before where to; there is at most one of each
    return Rule(
        conditions=tuple(_read_condition(condition) for condition in rule.conditions or ()),
        action=_read_actions(first, actions[-1], groups) if actions else Unsupported("the rule has no action"),
        rewrite_url=tuple(rewrites["url-rewrite"]),
        rewrite_host=tuple(rewrites["host-header-rewrite"]),
        sign_in=SignIn.read(first["AuthenticateOidcConfig"]) if first and first["Type"] == OIDC else None,
    )


def _read_actions(first: Mapping[str, Any] | None, last: Mapping[str, Any], groups: Mapping[str, Any]) -> Action:
    if first is not None and first["Type"] != OIDC:
        # Never let through what AWS would have stopped.
        return Unsupported(f"the local load balancer does not perform the action {first['Type']!r}")
    return _read_action(last, groups)


def _read_action(data: Mapping[str, Any], groups: Mapping[str, Any]) -> Action:
    match data["Type"]:
        case "forward":
            config = data.get("ForwardConfig") or {}
            weighted = config.get("TargetGroups") or [{"TargetGroupArn": data.get("TargetGroupArn"), "Weight": 1}]
            pairs = [(groups.get(one["TargetGroupArn"]), int(one.get("Weight", 1))) for one in weighted]
            return Forward(tuple((group, weight) for group, weight in pairs if group is not None))
        case "redirect":
            config = data["RedirectConfig"]
            return Redirect(
                status=int(config["StatusCode"].removeprefix("HTTP_")),
                protocol=config.get("Protocol") or "#{protocol}",
                host=config.get("Host") or "#{host}",
                port=str(config.get("Port") or "#{port}"),
                path=config.get("Path") or "/#{path}",
                query=config.get("Query", "#{query}") or "",
            )
        case "fixed-response":
            config = data["FixedResponseConfig"]
            return Fixed(
                int(config["StatusCode"]), config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
            )
        case other:
            return Unsupported(f"the local load balancer does not perform the action {other!r}")


def _read_condition(condition: Mapping[str, Any]) -> Condition:
    match condition["Field"]:
        case "path-pattern":
            patterns = _patterns(condition, "PathPatternConfig", ignore_case=False)
            return lambda asked: _any(patterns, asked.path)
        case "host-header":
            patterns = _patterns(condition, "HostHeaderConfig", ignore_case=True)
            return lambda asked: _any(patterns, asked.host)
        case "http-header":
            name = condition["HttpHeaderConfig"]["HttpHeaderName"].lower()
            patterns = _patterns(condition, "HttpHeaderConfig", ignore_case=True)
            return lambda asked: any(_any(patterns, value) for key, value in asked.headers if key == name)
        case "http-request-method":
            methods = set(condition["HttpRequestMethodConfig"]["Values"])
            return lambda asked: asked.method in methods
        case "source-ip":
            networks = [ipaddress.ip_network(value, strict=False) for value in condition["SourceIpConfig"]["Values"]]
            return lambda asked: any(ipaddress.ip_address(asked.client) in network for network in networks)
        case "query-string":
            pairs = [
                (_wildcards(pair["Key"], True) if pair.get("Key") else None, _wildcards(pair["Value"], True))
                for pair in condition["QueryStringConfig"]["Values"]
            ]
            return lambda asked: _query_matches(pairs, asked.query)
        case other:
            raise ValueError(f"unknown condition {other!r}")


def _query_matches(pairs: Sequence[tuple[re.Pattern[str] | None, re.Pattern[str]]], query: str) -> bool:
    parameters = [
        (unquote(key), unquote(value)) for key, _, value in (part.partition("=") for part in query.split("&") if part)
    ]
    return any(
        (key is None or key.fullmatch(name) is not None) and value.fullmatch(text) is not None
        for key, value in pairs
        for name, text in parameters
    )


def _patterns(condition: Mapping[str, Any], config: str, *, ignore_case: bool) -> list[re.Pattern[str]]:
    """What a condition may match: its values with wildcards, and its regular expressions as they are."""
    holder = condition.get(config) or {}
    values = list(holder.get("Values") or condition.get("Values") or ())
    patterns = [_wildcards(value, ignore_case) for value in values]
    for regex in holder.get("RegexValues") or condition.get("RegexValues") or ():
        patterns.append(_compiled(f"(?i:.*(?:{regex}).*)" if ignore_case else f".*(?:{regex}).*"))
    return patterns


def _any(patterns: Sequence[re.Pattern[str]], text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in patterns)


@functools.lru_cache(maxsize=4096)
def _wildcards(value: str, ignore_case: bool) -> re.Pattern[str]:
    """`*` is any characters, `?` exactly one, everything else itself."""
    pattern = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in value)
    return re.compile(pattern, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
