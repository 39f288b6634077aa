"""Rules of a load balancer as pure functions: conditions, rewrites, redirects, turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.gateway.routing import Asked, Redirect, RoundRobin, _read_balancer, _read_condition, _read_rule


def asked(**changes: Any) -> Asked:
    given: dict[str, Any] = {
        "method": "GET", "host": "herd-1.eu-west-1.elb.localhost", "path": "/delay-api/predict",
        "query": "Month=3&x=a%20b",
        "headers": [("user-agent", "Mozilla/5.0"), ("x-team", "Blue"), ("x-team", "Red")], "client": "127.0.0.1",
    }  # fmt: skip
    return Asked(**{**given, **changes})


CONDITIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "path exact": ({"Field": "path-pattern", "Values": ["/delay-api/predict"]}, True),
    "path star": ({"Field": "path-pattern", "PathPatternConfig": {"Values": ["/x", "/delay-api/*"]}}, True),
    "path star matches slashes": ({"Field": "path-pattern", "Values": ["/*/predict"]}, True),
    "path is case-sensitive": ({"Field": "path-pattern", "Values": ["/Delay-api/*"]}, False),
    "path question mark": ({"Field": "path-pattern", "Values": ["/delay?api/predict"]}, True),
    "path prefix alone is no match": ({"Field": "path-pattern", "Values": ["/delay-api"]}, False),
    "path dot is a dot": ({"Field": "path-pattern", "Values": ["/delay.api/predict"]}, False),
    "path regex": (
        {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/delay-api/(predict|version)$"]}},
        True,
    ),
    "path regex that does not match": ({"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/x"]}}, False),
    "host any case": ({"Field": "host-header", "Values": ["HERD-*.elb.localhost"]}, True),
    "another host": ({"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}}, False),
    "header": (
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "Values": ["*mozilla*"]}},
        True,
    ),
    "second header line": (
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Team", "Values": ["red"]}},
        True,
    ),
    "absent header": ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-No", "Values": ["*"]}}, False),
    "method": ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST", "GET"]}}, True),
    "other method": ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST"]}}, False),
    "source": ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8", "127.0.0.0/8"]}}, True),
    "other source": ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}, False),
    "query": ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "month", "Value": "?"}]}}, True),
    "query value alone": ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Value": "a b"}]}}, True),
    "other query": (
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "month", "Value": "4"}]}},
        False,
    ),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_condition(case: str) -> None:
    condition, expected = CONDITIONS[case]
    assert _read_condition(condition)(asked()) is expected


def rule(**attributes: Any) -> Any:
    action = SimpleNamespace(data={"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}})
    return SimpleNamespace(**{"conditions": [], "actions": [action], "transforms": [], "priority": 1, **attributes})


def rewriting(regex: str, replace: str, kind: str = "url-rewrite") -> Any:
    name = "UrlRewriteConfig" if kind == "url-rewrite" else "HostHeaderRewriteConfig"
    return _read_rule(rule(transforms=[{"Type": kind, name: {"Rewrites": [{"Regex": regex, "Replace": replace}]}}]), {})


REWRITES = {
    "prefix stripped": ("^/delay-api/?(.*)$", "/$1", "/delay-api/predict?month=3", "/predict?month=3"),
    "root": ("^/delay-api/?(.*)$", "/$1", "/delay-api", "/"),
    "no match leaves it": ("^/other/(.*)$", "/$1", "/delay-api/x", "/delay-api/x"),
    "only what matched is replaced": ("^/delay-api", "/v2", "/delay-api/x?y=/delay-api", "/v2/x?y=/delay-api"),
    "two groups": ("^/(\\w+)/(\\w+)$", "/$2/$1", "/a/b", "/b/a"),
    "group that took no part": ("^/(a)?(.*)$", "/$1$2", "/x", "/x"),
    "encoded stays encoded": ("^/api(/.*)$", "$1", "/api/a%20b%2Fc", "/a%20b%2Fc"),
}


@pytest.mark.parametrize("case", REWRITES)
def test_url_rewrite(case: str) -> None:
    regex, replace, url, expected = REWRITES[case]
    assert rewriting(regex, replace).url(url) == expected


def test_a_rewrite_that_gives_no_path_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a path"):
        rewriting("^/(.*)$", "$1").url("/x")


def test_host_rewrite() -> None:
    (rewrite,) = rewriting("^herd-(\\d+)\\..*$", "internal-$1.example", "host-header-rewrite").rewrite_host
    assert rewrite.apply("herd-1.eu-west-1.elb.localhost") == "internal-1.example"


REDIRECTS = {
    "same address, other path": (("HTTP", "#{host}", "#{port}", "/new/#{path}", "#{query}"),
                                 "http://herd-1.eu-west-1.elb.localhost:4000/new/delay-api/predict?Month=3&x=a%20b"),
    "to https": (("HTTPS", "#{host}", "443", "/#{path}", ""), "https://herd-1.eu-west-1.elb.localhost/delay-api/predict"),
    "elsewhere": (("#{protocol}", "example.com", "8080", "/", "q=1"), "http://example.com:8080/?q=1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REDIRECTS)
def test_redirect(case: str) -> None:
    parts, expected = REDIRECTS[case]
    assert Redirect(302, *parts).location(asked(), 4000) == expected


def fixed(text: str) -> Any:
    data = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": text}}
    return SimpleNamespace(data=data)


def listener(protocol: str, port: int, *rules: Any) -> Any:
    return SimpleNamespace(protocol=protocol, port=port, rules=dict(enumerate(rules)))


def balancer(*listeners: Any) -> Any:
    return _read_balancer(SimpleNamespace(listeners=dict(enumerate(listeners)), attrs={}, arn="balancer/1"), {})


def test_rules_come_by_priority_and_the_default_last() -> None:
    path = [{"Field": "path-pattern", "Values": ["/delay-api/*"]}]
    found = balancer(listener(
        "HTTP", 80,
        rule(priority="default", actions=[fixed("default")]),
        rule(priority=20, conditions=path, actions=[fixed("late")]),
        rule(priority=3, conditions=path, actions=[fixed("early")]),
    ))  # fmt: skip
    assert found.route(asked()).action.body == "early"
    assert found.route(asked(path="/other")).action.body == "default"


def test_the_https_listener_answers_if_there_is_one() -> None:
    plain, secure = rule(actions=[fixed("plain")]), rule(actions=[fixed("secure")])
    assert balancer(listener("HTTP", 80, plain), listener("HTTPS", 443, secure)).route(asked()).action.body == "secure"
    assert balancer(listener("HTTP", 8080, secure), listener("HTTP", 80, plain)).route(asked()).action.body == "plain"
    assert balancer().route(asked()) is None


def test_what_it_cannot_do_it_names() -> None:
    action = SimpleNamespace(data={"Type": "authenticate-oidc"})
    assert "authenticate-oidc" in _read_rule(rule(actions=[action]), {}).action.text


def group(*states: str) -> Any:
    targets = {
        str(port): {"Id": "127.0.0.1", "Port": port, "health": (state, None, None)}
        for port, state in enumerate(states, 1)
    }
    return SimpleNamespace(arn="group", port=80, targets=targets)


def test_healthy_targets_take_turns() -> None:
    turns = RoundRobin()
    targets = group("healthy", "unhealthy", "healthy", "draining", "initial")
    assert [turns.order(targets)[0][1] for _ in range(4)] == [1, 3, 1, 3]
    assert turns.order(targets) == [("127.0.0.1", 1), ("127.0.0.1", 3)]


def test_if_all_are_unhealthy_they_are_asked_all_the_same() -> None:
    assert RoundRobin().order(group("unhealthy", "draining", "initial")) == [("127.0.0.1", 1)]
    assert RoundRobin().order(group("draining", "initial")) == []
    assert RoundRobin().order(group()) == []
