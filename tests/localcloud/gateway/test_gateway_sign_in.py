"""Sign-in at a load balancer, against a small OpenID provider on loopback; the browser is played by hand."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.localcloud.gateway.serving import Balancer, Target


class Provider:
    """Knows one client and one person; says what it was asked."""

    def __init__(self) -> None:
        self.codes = {"good": "token-1"}
        self.claims: Any = {"sub": "ada", "email": "ada@example.com"}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                token = provider.codes.pop(form["code"][0], None)
                if login != "herd:client-secret" or token is None or form["grant_type"] != ["authorization_code"]:
                    return self.say(401, {"error": "invalid_grant"})
                self.say(200, {"access_token": token, "token_type": "Bearer"})

            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == "Bearer token-1"
                self.say(200 if known else 401, provider.claims)

            def say(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def action(self, **more: Any) -> dict[str, Any]:
        config = {
            "Issuer": self.address,
            "AuthorizationEndpoint": f"{self.address}/authorize",
            "TokenEndpoint": f"{self.address}/token",
            "UserInfoEndpoint": f"{self.address}/user",
            "ClientId": "herd",
            "ClientSecret": "client-secret",
            "Scope": "openid email",
            **more,
        }
        return {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": config}


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


class Browser:
    """Keeps cookies and follows nothing by itself."""

    def __init__(self, balancer: Balancer):
        self._balancer = balancer
        self.cookies: dict[str, str] = {}

    def ask(self, path: str, **headers: str) -> Any:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self._balancer.ask(path, **({"Cookie": kept} if kept else {}), **headers)
        for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items():
            self.cookies[name] = morsel.value
        return answer

    def sign_in(self, path: str, code: str = "good") -> Any:
        """Opens a page, is sent to the provider, and comes back from there with a code."""
        return self.ask(f"/oauth2/idpresponse?code={code}&state={self.begin(path)}")

    def begin(self, path: str) -> str:
        (state,) = parse_qs(urlsplit(self.ask(path).headers["location"]).query)["state"]
        return state


@pytest.fixture
def guarded(balancer: Balancer, target: Target, provider: Provider) -> Balancer:
    guard(balancer, target, provider.action())
    return balancer


def guard(balancer: Balancer, target: Target, action: dict[str, Any]) -> None:
    forward = {"Type": "forward", "Order": 2, "TargetGroupArn": balancer.group(target.port)}
    balancer.encrypt()  # AWS signs nobody in without
    balancer.elb.create_rule(
        ListenerArn=balancer.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/app/*"]}}],
        Actions=[action, forward],
    )


def test_a_stranger_is_sent_to_the_provider(guarded: Balancer, provider: Provider, target: Target) -> None:
    answer = Browser(guarded).ask("/app/page?x=1")
    there = urlsplit(answer.headers["location"])
    asked = {name: value for name, (value,) in parse_qs(there.query).items()}
    state = asked.pop("state")
    assert answer.status == 302 and f"{there.scheme}://{there.netloc}{there.path}" == f"{provider.address}/authorize"
    assert asked == {
        "response_type": "code",
        "client_id": "herd",
        "redirect_uri": f"http://{guarded.host}/oauth2/idpresponse",
        "scope": "openid email",
    }
    assert len(state) > 30 and "client-secret" not in str(answer.headers)
    assert target.requests == 0


def test_who_signed_in_reaches_the_page_and_the_service_knows_who_it_is(guarded: Balancer) -> None:
    browser = Browser(guarded)
    back = browser.sign_in("/app/page?x=1")
    assert (back.status, back.headers["location"]) == (302, "/app/page?x=1")
    assert "HttpOnly" in back.headers["set-cookie"] and "SameSite=Lax" in back.headers["set-cookie"]
    said = json.loads(browser.ask("/app/page?x=1").body)
    assert said["url"] == "/app/page?x=1"
    assert said["headers"]["x-amzn-oidc-identity"] == "ada"
    _, claims, signature = said["headers"]["x-amzn-oidc-data"].split(".")
    assert json.loads(base64.urlsafe_b64decode(claims))["email"] == "ada@example.com"
    assert len(base64.urlsafe_b64decode(signature)) == 64


def test_nobody_else_says_who_they_are(guarded: Balancer, api: Balancer) -> None:
    forged = {"X_Amzn_Oidc_Identity": "root", "X_Amzn_Oidc_Data": "x.y.z", "x_amzn_oidc_accesstoken": "t"}
    assert guarded.ask("/app/x", **forged).status == 302
    assert not [name for name in json.loads(api.ask("/api/x", **forged).body)["headers"] if "oidc" in name]
    browser = Browser(guarded)
    browser.sign_in("/app/x")
    assert json.loads(browser.ask("/app/x", **forged).body)["headers"]["x-amzn-oidc-identity"] == "ada"


def test_a_sign_in_is_finished_by_the_browser_that_began_it_and_once(guarded: Balancer) -> None:
    browser, other = Browser(guarded), Browser(guarded)
    state = browser.begin("/app/x")
    assert other.ask(f"/oauth2/idpresponse?code=good&state={state}").status == 401
    assert browser.ask(f"/oauth2/idpresponse?code=good&state={state}").status == 401, "a state is used once"
    assert Browser(guarded).ask("/oauth2/idpresponse?code=good&state=guessed").status == 401
    assert Browser(guarded).ask("/oauth2/idpresponse").status == 401


@pytest.mark.parametrize("claims", [{"email": "no subject"}, [], {"sub": "line\r\nbreak"}, {"sub": ""}])
def test_a_provider_that_does_not_say_who_it_is(guarded: Balancer, provider: Provider, claims: Any) -> None:
    provider.claims = claims
    browser = Browser(guarded)
    answer = browser.sign_in("/app/x")
    assert answer.status == 561 and "client-secret" not in answer.text and "token-1" not in answer.text
    assert browser.ask("/app/x").status == 302, "still a stranger"


def test_a_provider_that_refuses_the_code_or_the_person(guarded: Balancer, provider: Provider) -> None:
    assert Browser(guarded).sign_in("/app/x", code="stolen").status == 561
    browser = Browser(guarded)
    assert browser.ask(f"/oauth2/idpresponse?error=access_denied&state={browser.begin('/app/x')}").status == 401
    provider.close()
    assert Browser(guarded).sign_in("/app/x").status == 561


@pytest.mark.parametrize(("otherwise", "status"), [("deny", 401), ("allow", 200)])
def test_what_happens_to_strangers_is_the_rules_choice(
    balancer: Balancer, target: Target, provider: Provider, otherwise: str, status: int
) -> None:
    guard(balancer, target, provider.action(OnUnauthenticatedRequest=otherwise))
    assert balancer.ask("/app/x").status == status


def test_a_session_ends(balancer: Balancer, target: Target, provider: Provider) -> None:
    guard(balancer, target, provider.action(SessionTimeout=1))
    browser = Browser(balancer)
    browser.sign_in("/app/x")
    assert browser.ask("/app/x").status == 200
    threading.Event().wait(1.1)
    assert browser.ask("/app/x").status == 302


def test_cognito_is_refused_rather_than_let_through(balancer: Balancer, target: Target) -> None:
    config = {
        "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:1:userpool/x",
        "UserPoolClientId": "a",
        "UserPoolDomain": "b",
    }
    guard(balancer, target, {"Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": config})
    assert balancer.ask("/app/x").status == 501


def test_names_of_the_zone_lead_to_the_load_balancer(api: Balancer) -> None:
    site = api.site
    route53 = site.client("route53")
    zone = route53.create_hosted_zone(Name="acme.localhost", CallerReference="1")["HostedZone"]["Id"]

    def point(name: str) -> None:
        alias = {"HostedZoneId": "Z32O12XQLNTSW2", "DNSName": api.host, "EvaluateTargetHealth": True}
        record = {"Name": name, "Type": "A", "AliasTarget": alias}
        change = {"Action": "UPSERT", "ResourceRecordSet": record}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})

    assert site.ask(f"app.acme.localhost:{site.port}", "/api/x").status == 403
    point("app.acme.localhost")
    threading.Event().wait(0.3)  # rules are read again after a fifth of a second
    assert site.ask(f"app.acme.localhost:{site.port}", "/api/x").status == 200
    assert site.ask(f"other.acme.localhost:{site.port}", "/api/x").status == 403
    assert site.ask(f"app.acme.localhost:{site.port}", "/api/x", Origin="http://evil.localhost").status == 403
