"""Sign-in at a load balancer: the action `authenticate-oidc`, as an OpenID Connect client with the code flow.

Source of the behaviour: "Authenticate users using an Application Load Balancer", ELB user guide. The browser is sent
to the provider, comes back to `/oauth2/idpresponse` with a code, and gets a cookie that stands for its session.
Services see who it is in `x-amzn-oidc-*` headers, which nobody else can set.

Not like AWS: sessions are kept in memory and end with the local cloud; the key that signs `x-amzn-oidc-data` is
published nowhere; an access token is not refreshed, its session ends after `SessionTimeout`.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from multidict import CIMultiDict

from localcloud.gateway.http import own_text

CALLBACK = "/oauth2/idpresponse"
HEADERS = ("x-amzn-oidc-accesstoken", "x-amzn-oidc-identity", "x-amzn-oidc-data")
SIGN_IN_SECONDS = 15 * 60
"""How long a person may take at the provider: the load balancer's own limit."""

PROVIDER_SECONDS = 10
MOST = 10_000
"""Sessions, and sign-ins under way, that are kept: strangers can begin as many as they like, so the oldest goes."""

MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class SignIn:
    """What a rule's `authenticate-oidc` says."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "openid"
    cookie: str = "AWSELBAuthSessionCookie"
    session_seconds: float = 604_800
    otherwise: str = "authenticate"
    extra: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> SignIn:
        """From moto's `AuthenticateOidcConfig`; defaults are those of the API."""
        return cls(
            issuer=config["Issuer"],
            authorization_endpoint=config["AuthorizationEndpoint"],
            token_endpoint=config["TokenEndpoint"],
            user_info_endpoint=config["UserInfoEndpoint"],
            client_id=config["ClientId"],
            client_secret=config.get("ClientSecret") or "",
            scope=config.get("Scope") or "openid",
            cookie=config.get("SessionCookieName") or "AWSELBAuthSessionCookie",
            session_seconds=float(config.get("SessionTimeout") or 604_800),
            otherwise=config.get("OnUnauthenticatedRequest") or "authenticate",
            extra=tuple(sorted((config.get("AuthenticationRequestExtraParams") or {}).items())),
        )


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in."""

    access_token: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Begun:
    """A sign-in under way: where the browser wanted to go, and the secret that this browser alone was given."""

    sign_in: SignIn
    host: str
    target: str
    browser: str = field(repr=False)


_Kept = TypeVar("_Kept")


class _Memory(Generic[_Kept]):
    """Values under unguessable keys, each for a while, the oldest first to go."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[float, _Kept]] = OrderedDict()

    def put(self, value: _Kept, seconds: float) -> str:
        key = secrets.token_urlsafe(32)
        self._values[key] = (time.monotonic() + seconds, value)
        while len(self._values) > MOST:
            self._values.popitem(last=False)
        return key

    def get(self, key: str) -> _Kept | None:
        until, value = self._values.get(key, (0.0, None))
        if until <= time.monotonic():
            self._values.pop(key, None)
            return None
        return value

    def take(self, key: str) -> _Kept | None:
        value = self.get(key)
        self._values.pop(key, None)
        return value


class SignIns:
    """The sessions of all load balancers. Lives on the gateway's event loop."""

    def __init__(self) -> None:
        self._begun: _Memory[_Begun] = _Memory()
        self._sessions: _Memory[tuple[SignIn, str, Person]] = _Memory()
        self._key = ec.generate_private_key(ec.SECP256R1())

    def person(self, request: web.BaseRequest, host: str, sign_in: SignIn) -> Person | None:
        """Who sends `request` to `host`, if they signed in there and for this rule's provider."""
        kept = self._sessions.get(request.cookies.get(f"{sign_in.cookie}-0", ""))
        if kept is None or kept[:2] != (sign_in, host):
            return None
        return kept[2]

    def begin(self, request: web.BaseRequest, host: str, sign_in: SignIn) -> web.StreamResponse:
        """Send the browser to the provider."""
        if sign_in.otherwise == "deny":
            return own_text(401, "401 Authorization Required\n")
        browser = secrets.token_urlsafe(32)
        state = self._begun.put(_Begun(sign_in, host, request.raw_path, browser), SIGN_IN_SECONDS)
        asked = {
            **dict(sign_in.extra),
            "response_type": "code",
            "client_id": sign_in.client_id,
            "redirect_uri": _callback(request),
            "scope": sign_in.scope,
            "state": state,
        }
        joint = "&" if "?" in sign_in.authorization_endpoint else "?"
        response = web.Response(
            status=302, headers={"Location": sign_in.authorization_endpoint + joint + urlencode(asked)}
        )
        _set(response, f"{sign_in.cookie}-nonce", browser, SIGN_IN_SECONDS)
        return response

    async def finish(self, request: web.BaseRequest, host: str) -> web.StreamResponse:
        """The browser comes back from the provider: ask there who it is, and go on to where it wanted to go."""
        query = request.query
        begun = self._begun.take(query.get("state", ""))
        # The browser that began must be the one that ends: otherwise a stranger could sign somebody in as themselves.
        if begun is None or begun.host != host or not _same(request.cookies, begun):
            return own_text(401, "401 this sign-in was not begun here, or too long ago; open the page again\n")
        if "code" not in query:
            return own_text(401, "401 the sign-in was refused by the provider\n")
        sign_in = begun.sign_in
        try:
            person = await _ask(sign_in, query["code"], _callback(request))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            # Never the provider's own words: they may hold tokens.
            return own_text(
                561, f"561 Unauthorized: the sign-in provider {sign_in.issuer} failed ({type(error).__name__})\n"
            )
        session = self._sessions.put((sign_in, host, person), sign_in.session_seconds)
        response = web.Response(status=302, headers={"Location": begun.target})
        _set(response, f"{sign_in.cookie}-0", session, sign_in.session_seconds)
        return response

    def headers(self, sign_in: SignIn, person: Person) -> CIMultiDict[str]:
        """Who it is, for the service."""
        return CIMultiDict(
            {
                "x-amzn-oidc-accesstoken": person.access_token,
                "x-amzn-oidc-identity": str(person.claims["sub"]),
                "x-amzn-oidc-data": self._signed(sign_in, person.claims),
            }
        )

    def _signed(self, sign_in: SignIn, claims: Mapping[str, Any]) -> str:
        """The claims as a JWT by ES256, with padding, as the load balancer makes it."""
        header = {"typ": "JWT", "alg": "ES256", "iss": sign_in.issuer, "client": sign_in.client_id, "kid": "local"}
        body = {**claims, "iss": sign_in.issuer, "exp": int(time.time()) + 120}
        signed = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(body).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


async def _ask(sign_in: SignIn, code: str, callback: str) -> Person:
    """Exchange the code for a token, and the token for the person. Raises when the provider does not answer so."""
    timeout = aiohttp.ClientTimeout(total=PROVIDER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback}
        basic = {"Authorization": aiohttp.encode_basic_auth(sign_in.client_id, sign_in.client_secret)}
        async with session.post(sign_in.token_endpoint, data=form, headers=basic, allow_redirects=False) as answer:
            token = str((await _object(answer))["access_token"])
        bearer = {"Authorization": f"Bearer {token}"}
        async with session.get(sign_in.user_info_endpoint, headers=bearer, allow_redirects=False) as answer:
            claims = await _object(answer)
    if not claims.get("sub") or any(character < " " for character in token + str(claims["sub"])):
        raise ValueError("the provider does not say who it is")
    return Person(token, claims)


async def _object(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    answer.raise_for_status()
    body = await answer.content.read(MAX_ANSWER_BYTES)
    document = json.loads(body) if answer.status == 200 else None
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _callback(request: web.BaseRequest) -> str:
    return f"http://{request.headers['Host']}{CALLBACK}"


def _same(cookies: Mapping[str, str], begun: _Begun) -> bool:
    nonce = cookies.get(f"{begun.sign_in.cookie}-nonce", "")
    return secrets.compare_digest(nonce.encode(), begun.browser.encode())


def _set(response: web.Response, name: str, value: str, seconds: float) -> None:
    response.set_cookie(name, value, max_age=int(seconds), path="/", httponly=True, samesite="Lax")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
