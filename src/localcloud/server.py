"""The AWS API of the local cloud: moto in this process, answering one request at a time.

moto is not thread-safe (a describe iterates over a dictionary that a create inserts into), so `Server.lock` is held for
each request and by whoever touches moto's models directly. Everything that clients do to the cloud's state comes in
through `Server.handle`: requests of the gateway as well as those of the in-process boto3 clients of `Server.client`.
"""

from __future__ import annotations

import io
import logging
import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.moto_server import werkzeug_app

from localcloud import backends, patches, rules
from localcloud.iam.guard import Guard, asked_for
from localcloud.patches import hooks
from localcloud.patches.s3 import contents
from localcloud.patches.sts import PRINCIPAL_HEADER
from localcloud.registry_logins import Logins
from localcloud.request import Call, Refused, Request, Response, address, read, render, s3
from localcloud.request.access import Access
from localcloud.request.judged import Judged, carrying_out

log = logging.getLogger(__name__)

ACCOUNT_HEADER = "x-moto-account-id"
"""How moto is told whose state a request is about (moto 5.2.5, core/responses.py:354). Never taken from a client."""

INTERNAL_KEYS = {environ_key_for_header(name) for name in (ACCOUNT_HEADER, PRINCIPAL_HEADER)}

CONTROL_PATHS = ("/moto-api", "/latest/meta-data", "/latest/api", "/favicon.ico")
"""moto's own control API and its EC2 instance metadata: neither is part of AWS's API."""


UNLOCKED = {("stepfunctions", "StartSyncExecution"), ("lambda", "Invoke"), ("lambda", "InvokeAsync")}
"""Operations that wait for what comes back through here: a state machine's threads, a function's own calls."""


class Recorder(Protocol):
    """Keeps what is declared, so that it can be declared again after a restart."""

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Answer an accepted request by `carry_out`. The server's lock is held."""


class Server:
    """An AWS account in one region (others work too), reachable by `handle` and by in-process boto3 clients.

    `endpoint` ("http://127.0.0.1:PORT") is where the gateway listens: addresses that services echo contain its port.
    Two servers of one process share nothing as long as their accounts differ. `registry_key` signs the logins to the
    image registry; a random one makes them end with the server. `packages` is the folder in which deployment packages
    of functions are kept that came from S3.
    """

    def __init__(
        self, account: str, region: str, endpoint: str, registry_key: bytes = b"", packages: Path | None = None
    ):
        self.account = account
        self.region = region
        self.endpoint = endpoint
        self.lock = threading.RLock()
        self.recorder: Recorder | None = None
        self.guard: Guard | None = None
        self.logins = Logins(registry_key or secrets.token_bytes(32), account)
        port = urlsplit(endpoint).port
        if port is None:
            raise ValueError(f"endpoint {endpoint!r} names no port")
        patches.apply()
        hooks.connect_site(
            account,
            hooks.Site(
                port=port,
                lock=self.lock,
                client=self.client,
                assume=self.assume,
                logins=self.logins,
                permit=self.permit,
                packages=packages,
            ),  # fmt: skip
        )
        self._app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        self._clients: dict[tuple[str, str], Any] = {}
        self._client_lock = threading.Lock()
        self._acting = threading.local()
        self._session = boto3.session.Session(
            aws_access_key_id="local",
            aws_secret_access_key="local",
            region_name=region,
            botocore_session=_session_without_profile(),
        )

    def handle(self, request: Request) -> Response:
        """Answer a request. The one way in: what is refused by AWS's own rules never reaches moto.

        Never raises: what moto does not implement is answered with 501, an error inside moto with 500, both in the
        shape that the caller's SDK understands.
        """
        # Decoded, for moto tells them by the decoded path: "/%6doto-api/reset" is one of them.
        if unquote(request.url.partition("?")[0]).startswith(CONTROL_PATHS):
            return Response(404, [("Content-Type", "text/plain")], b"not part of the AWS API\n")
        call = address(request, self.account, self.region)
        try:
            call = read(request, call)
            if call.service == "s3":
                self._look_at_bytes(call)
            if (call.model, call.operation) in UNLOCKED:
                with self.lock:
                    judged = self._judge(call)
                    rules.check(call)
                with carrying_out(judged):
                    return self._call_moto(call.request)
            with self.lock, carrying_out(self._judge(call)):
                rules.check(call)
                if self.recorder is None:
                    return self._call_moto(call.request)
                return self.recorder.perform(call, call.request, self._call_moto)
        except Refused as refused:
            return Response(*render(refused, call))
        except NotImplementedError as missing:
            message = f"The local cloud does not implement {call.name}: {missing}"
            log.warning(message)
            return Response(*render(Refused("NotImplemented", message, 501), call))
        except Exception as failure:
            log.exception("moto failed on %s", call.name)
            message = f"{call.name} failed inside the local cloud: {type(failure).__name__}: {failure}"
            return Response(*render(Refused("InternalFailure", message, 500), call))

    def _look_at_bytes(self, call: Call) -> None:
        """What is slow about large objects is done without the lock: are they as promised, and what are their hashes,
        which are remembered? Raises `Refused`.
        """
        s3.check_bytes(call)
        with self.lock:
            ahead = contents.will_hash(call)
        for stored, name in ahead:
            stored.digest(name)

    def refusal(self, request: Request) -> Response | None:
        """What a request for putting an object is answered without having a look at the object: that it is not
        permitted, or that there is no such bucket. None where the bytes decide.
        """
        call = address(request, self.account, self.region)
        try:
            call = read(request, call)
            with self.lock:
                self._judge(call)
                if call.bucket not in backends.s3(self.account).buckets:
                    return self.handle(request)
        except Refused as refused:
            return Response(*render(refused, call))
        return None

    def repeat(self, call: Call) -> Response:
        """Carry out a request that was accepted once: no rule judges it again. Raises what moto raises."""
        with self.lock, carrying_out(asked_for(call)):
            return self._call_moto(call.request)

    def _judge(self, call: Call) -> Judged:
        """What moto may do for this request, once it is permitted. Raises `Refused`."""
        judged = asked_for(call)
        if self.guard is not None:
            self.guard.check(call)
        return judged

    def client(self, service: str, region: str | None = None, principal: str = "root") -> Any:
        """A boto3 client of `service` whose requests go to `handle` in this process: no socket, no signature.

        Made once per service and region; thread-safe. Its calls are those of `principal`: the account's root, or the
        ARN of a role's session.
        """
        client = self._client(service, region or self.region)
        return client if principal == "root" else _ActingClient(client, principal, self._acting)

    def assume(self, role_arn: str | None, service: str, source_arn: str | None, session: str) -> str:
        """The principal that one of AWS's services becomes when it acts by a role for the resource `source_arn`.

        Without `source_arn` the role's trust is taken for granted; without a role, or where nobody judges
        permissions, it is the account's root. Raises `CannotAssume`.
        """
        if self.guard is None or not role_arn:
            return "root"
        with self.lock:
            return self.guard.assume(role_arn, service, source_arn, session)

    def permit(self, service: str, action: str, arn: str, source_arn: str) -> None:
        """Raise `Denied` unless what one of AWS's services reaches for `source_arn`, without a role, lets it."""
        if self.guard is not None:
            with self.lock:
                self.guard.demand_service(service, Access(action, arn), source_arn)

    def _client(self, service: str, region: str) -> Any:
        key = (service, region)
        client = self._clients.get(key)
        if client is None:
            with self._client_lock:
                client = self._clients.get(key) or self._make_client(*key)
                self._clients[key] = client
        return client

    def close(self) -> None:
        """Forget the clients and the account's connections. moto's state stays, for it belongs to the process."""
        self._clients.clear()
        hooks.disconnect(self.account)

    def _make_client(self, service: str, region: str) -> Any:
        client = self._session.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            config=Config(
                signature_version="v4" if service != "s3" else "s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        signing_name = client.meta.service_model.signing_name
        scope = f"AWS4-HMAC-SHA256 Credential=local/20000101/{region}/{signing_name}/aws4_request, SignedHeaders=host, "

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            return self._send(request, scope + "Signature=0")

        client.meta.events.register("choose-signer.*.*", lambda **_: botocore.UNSIGNED)
        client.meta.events.register("before-send.*.*", send)
        return client

    def _send(self, prepared: AWSPreparedRequest, authorization: str) -> AWSResponse:
        """botocore's transport: what would go over a socket goes to `handle` instead."""
        parts = urlsplit(prepared.url)
        headers = [(k, v.decode() if isinstance(v, bytes) else str(v)) for k, v in prepared.headers.items()]
        headers += [("Host", parts.netloc), ("Authorization", authorization)]
        url = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        principal, self._acting.principal = getattr(self._acting, "principal", "root"), "root"
        try:  # what moto calls in its turn is not the principal's doing
            response = self.handle(Request(prepared.method, url, headers, _body_bytes(prepared.body), principal))
        finally:
            self._acting.principal = principal
        return AWSResponse(prepared.url, response.status, dict(response.headers), _RawBody(response.read()))

    def _call_moto(self, request: Request) -> Response:
        status = "500"
        headers: list[tuple[str, str]] = []

        def start_response(status_line: str, response_headers: list[tuple[str, str]], _: Any = None) -> Any:
            nonlocal status, headers
            status, headers = status_line, response_headers
            return lambda _: None

        with contents.answering() as answered:
            chunks: Iterable[bytes] = self._app(_environ(request, self.account), start_response)
            try:
                body = b"".join(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
            content = answered()
        if content is not None:
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            headers.append(("Content-Length", str(len(content))))
        return Response(int(status.split(" ", 1)[0]), list(headers), body, content)


class _ActingClient:
    """A client whose calls are made as a certain principal. It has operations only: no waiters and paginators, whose
    calls would come later.
    """

    def __init__(self, client: Any, principal: str, acting: threading.local):
        self._client = client
        self._principal = principal
        self._acting = acting

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name in ("meta", "exceptions"):
            return value
        if name not in self._client.meta.method_to_api_mapping:
            raise AttributeError(f"{name} is no operation")

        def call(*args: Any, **kwargs: Any) -> Any:
            before = getattr(self._acting, "principal", "root")
            self._acting.principal = self._principal
            try:
                return value(*args, **kwargs)
            finally:
                self._acting.principal = before

        return call


class _RawBody(io.BytesIO):
    """The part of urllib3's response that botocore reads from."""

    def stream(self, amount: int = 65536, **_: Any) -> Iterable[bytes]:
        while chunk := self.read(amount):
            yield chunk

    def release_conn(self) -> None:
        """Nothing is held."""


def _session_without_profile() -> botocore.session.Session:
    """A session that reads no configuration of the person who runs us: a broken profile there must not matter here."""
    session = botocore.session.Session()
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, "/dev/null")
    session.set_config_variable("profile", None)
    return session


def _body_bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if isinstance(body, str):
        return body.encode()
    data = body.read()
    return data if isinstance(data, bytes) else data.encode()


def _environ(request: Request, account: str) -> dict[str, Any]:
    """The WSGI environment that moto's own HTTP handler would make of this request.

    As werkzeug's handler: RAW_URI keeps the percent-encoding that S3 keys need, PATH_INFO is decoded. As moto's:
    headers `x-amz-meta-…` with underscores keep their spelling (moto 5.2.5, moto_server/werkzeug_app.py:44).
    """
    path, _, query = request.url.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # moto takes S3's keys from RAW_URI; its patterns of paths know no line breaks.
        "PATH_INFO": unquote(path, "utf-8").replace("\n", "_").encode("utf-8").decode("latin-1"),
        "QUERY_STRING": query.encode("utf-8").decode("latin-1"),
        "REQUEST_URI": request.url,
        "RAW_URI": request.url,
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    spelled: dict[str, str] = {}
    dashed = {environ_key_for_header(name) for name, _ in request.headers if "_" not in name}
    for name, value in request.headers:
        key = environ_key_for_header(name)
        if key in INTERNAL_KEYS or name.lower() in ("content-length", "transfer-encoding"):
            continue
        if "_" in name:
            if not should_preserve_original_header_name(name) or key in dashed:
                continue
            spelled.setdefault(key, name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ[environ_key_for_header(ACCOUNT_HEADER)] = account
    environ[environ_key_for_header(PRINCIPAL_HEADER)] = request.principal
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = spelled
    return environ
