"""Lambda: what moto drops of a function is kept, and invocations go to whoever runs functions here.

Applied when moto's part for Lambda is loaded, which costs memory that a cloud without functions does not pay.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any
from urllib.parse import unquote

from localcloud import atomic, backends
from localcloud.patches import hooks
from localcloud.patches.loading import when_loaded

_acting = threading.local()


def apply() -> None:
    """Wait for moto's parts."""
    when_loaded("moto.awslambda.models", _patch_models)
    when_loaded("moto.awslambda.responses", _patch_responses)
    when_loaded("moto.s3.notifications", _patch_buckets)


def functions(account: str) -> hooks.Functions | None:
    """Who runs the account's functions; None where nobody does, as in a replay."""
    listener = hooks.listener(account)
    return listener.functions if listener is not None else None


def _patch_models() -> None:
    from moto.awslambda import exceptions, models

    _keep_what_is_dropped(models)
    _check_and_keep_code(models, exceptions)
    _tell_of_changes(models)
    _poll_queues_only(models)
    _call_asynchronously(models)


# --- invocations -----------------------------------------------------------------------------------------------------


def _patch_responses() -> None:
    from moto.awslambda import responses

    # core/responses.py:505 draws a request id of its own, which is in no log.
    stock = responses.LambdaResponse._enrich_response

    def enrich(headers: dict[str, str], body: Any) -> Any:
        request_id = headers.get("x-amzn-requestid")
        answered, body = stock(headers, body)
        return ({**answered, "x-amzn-requestid": request_id} if request_id else answered), body

    responses.LambdaResponse._enrich_response = staticmethod(enrich)
    responses.LambdaResponse.invoke = _invoke
    responses.LambdaResponse.invoke_async = _invoke_async


def _invoke(self: Any) -> tuple[int, dict[str, str], bytes]:
    # awslambda/responses.py:56 starts a container of Docker's for each event, with the lock held.
    name = unquote(self.path.partition("/functions/")[2].rpartition("/invocations")[0])
    qualifier = (self.querystring.get("Qualifier") or [""])[0]
    kind = self.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    runner = functions(self.current_account)
    if runner is None:
        text = json.dumps({"Type": "Service", "Message": "Nobody runs functions here"}).encode()
        return 500, {"x-amzn-errortype": "ServiceException", "content-type": "application/json"}, text
    with_log = self.headers.get("X-Amz-Log-Type") == "Tail"
    return _with_status(runner.answer(self.region, name, qualifier, kind, _bytes(self.body), with_log))


def _invoke_async(self: Any) -> tuple[int, dict[str, str], bytes]:
    name = unquote(self.path.partition("/functions/")[2].rpartition("/invoke-async")[0])
    runner = functions(self.current_account)
    assert runner is not None
    return _with_status(runner.answer(self.region, name, "", "Event", _bytes(self.body), False))


def _with_status(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """core/responses.py:414 takes the status from the headers."""
    status, headers, body = answer
    return status, {**headers, "status": str(status)}, body


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _call_asynchronously(models: Any) -> None:
    # awslambda/models.py:1138: whoever has an event for a function (buckets, log groups) runs it at once and waits.
    def invoke(self: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        service, source = getattr(_acting, "as_service", ("lambda.amazonaws.com", ""))
        runner = functions(self.account_id)
        if runner is not None:
            runner.called_by(service, source, self.function_arn, _bytes(body))
        return b""

    models.LambdaFunction.invoke = invoke
    backend = models.LambdaBackend
    stock = backend.send_log_event

    def send_log_event(self: Any, function_arn: str, filter_name: str, log_group_name: str, *args: Any) -> None:
        source = f"arn:aws:logs:{self.region_name}:{self.account_id}:log-group:{log_group_name}:*"
        with _as("logs.amazonaws.com", source):
            stock(self, function_arn, filter_name, log_group_name, *args)

    backend.send_log_event = send_log_event


@contextmanager
def _as(service: str, source_arn: str) -> Iterator[None]:
    """Inside, functions are invoked by a service for one of its resources."""
    before = getattr(_acting, "as_service", None)
    _acting.as_service = service, source_arn
    try:
        yield
    finally:
        if before is None:
            del _acting.as_service
        else:
            _acting.as_service = before


def _patch_buckets() -> None:
    # s3/notifications.py:261 knows no bucket by then.
    from moto.s3 import notifications

    def invoke(account: str, event: Any, function_arn: str, region: str) -> None:
        runner = functions(account)
        if runner is not None:
            source = event["Records"][0]["s3"]["bucket"]["arn"]
            runner.called_by("s3.amazonaws.com", source, function_arn, json.dumps(event).encode())

    notifications._invoke_awslambda = invoke


# --- what a function is ----------------------------------------------------------------------------------------------

_UPDATED: Mapping[str, Callable[[Any, Any], None]] = {
    "EphemeralStorage": lambda fn, value: setattr(fn, "ephemeral_storage", value["Size"]),
    "KMSKeyArn": lambda fn, value: setattr(fn, "kms_key_arn", value or None),
    "TracingConfig": lambda fn, value: setattr(fn, "tracing_config", value),
    "DeadLetterConfig": lambda fn, value: setattr(fn, "dead_letter_config", value),
    "LoggingConfig": lambda fn, value: setattr(fn, "logging_config", value),
}
"""Part of UpdateFunctionConfiguration that moto passes over -> how it is kept."""


def _keep_what_is_dropped(models: Any) -> None:
    # awslambda/models.py:634, :844: dead letter queues are dropped, most updates are, and nothing tells that one was
    # made: LastModified stays, and so does the code's hash where only its place is new.
    function = models.LambdaFunction
    stock_init, stock_config, stock_update = (
        function.__init__,
        function.get_configuration,
        function.update_configuration,
    )

    def init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.dead_letter_config = spec.get("DeadLetterConfig")
        self.logging_config = spec.get("LoggingConfig")
        stock_init(self, account_id, spec, *args, **kwargs)

    def get_configuration(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        config: dict[str, Any] = stock_config(self, *args, **kwargs)
        if (self.dead_letter_config or {}).get("TargetArn"):
            config["DeadLetterConfig"] = self.dead_letter_config
        config["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **(self.logging_config or {})}
        return config

    def update_configuration(self: Any, updates: dict[str, Any]) -> dict[str, Any]:
        for name, keep in _UPDATED.items():
            if name in updates:
                keep(self, updates[name])
        if "Environment" in updates:
            updates = {**updates, "Environment": {"Variables": (updates["Environment"] or {}).get("Variables") or {}}}
        self.last_modified = models.iso_8601_datetime_with_nanoseconds()
        stock_update(self, updates)
        return get_configuration(self)

    function.__init__, function.get_configuration = init, get_configuration
    function.update_configuration = update_configuration
    _replace_invoke_configs(models)
    _refuse_second_statements(models)


def _replace_invoke_configs(models: Any) -> None:
    # awslambda/models.py:2561 appends another one, and answers the first for ever; an update replaces the whole.
    backend = models.LambdaBackend
    stock = backend.put_function_event_invoke_config

    def put(self: Any, function_name: str, config: dict[str, Any]) -> Any:
        self.get_function(function_name).event_invoke_config.clear()
        return stock(self, function_name, config)

    def update(self: Any, function_name: str, config: dict[str, Any]) -> Any:
        kept = [each.config for each in self.get_function(function_name).event_invoke_config]
        return put(self, function_name, {**(kept[0] if kept else {}), **config})

    backend.put_function_event_invoke_config = put
    backend.update_function_event_invoke_config = update


def _refuse_second_statements(models: Any) -> None:
    # awslambda/policy.py:48 takes two statements with one id.
    from moto.awslambda.exceptions import LambdaClientError
    from moto.awslambda.policy import Policy

    class Exists(LambdaClientError):  # type: ignore[misc]
        code = 409

    stock = Policy.add_statement

    def add_statement(self: Any, raw: str, qualifier: str | None = None) -> Any:
        sid = json.loads(raw).get("StatementId")
        arn = f"{self.parent.function_arn}:{qualifier}" if qualifier else getattr(self.parent, "function_arn", "")
        if any(each.get("Sid") == sid and each.get("Resource") == arn for each in self.statements):
            text = (
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            )
            raise Exists("ResourceConflictException", text)
        return stock(self, raw, qualifier)

    Policy.add_statement = add_statement


def _check_and_keep_code(models: Any, exceptions: Any) -> None:
    # awslambda/models.py:880 takes what is no zip, keeps each package twice, and asks S3 again for one that lies there,
    # where it is not any more when a restarted cloud makes the function again.
    function = models.LambdaFunction
    stock = function._set_function_code

    def set_function_code(self: Any, spec: dict[str, Any]) -> None:
        if spec.get("DryRun"):
            return
        before = getattr(self, "code_digest", None)
        if "ZipFile" in spec:
            content = _zip(spec["ZipFile"], exceptions)
        elif "S3Bucket" in spec:
            name = str(models.random.uuid4())
            content = _from_s3(self.account_id, spec, name, exceptions)
            self.kept_packages = [*getattr(self, "kept_packages", []), name]
        else:
            stock(self, spec)
            return
        _check(self.account_id, content, exceptions)
        digest = hashlib.sha256(content)
        self.code_bytes, self.code_size = content, len(content)
        self.code_sha_256, self.code_digest = base64.b64encode(digest.digest()).decode(), digest.hexdigest()
        self.code = {name: spec[name] for name in ("S3Bucket", "S3Key", "S3ObjectVersion") if name in spec}
        self.code.setdefault("S3Key", f"{self.function_name}-{self.code_digest}")
        if before is not None:
            self.last_modified = models.iso_8601_datetime_with_nanoseconds()

    function._set_function_code = set_function_code
    backend = models.LambdaBackend

    def update_function_code(self: Any, function_name: str, qualifier: str, body: dict[str, Any]) -> Any:
        # :2467 sets the code of the new version a second time, which is to stay as it is.
        fn = self.get_function(function_name, qualifier)
        if "Architectures" in body:
            fn.architectures = body["Architectures"]
        config = fn.update_function_code(body)
        return self.publish_version(function_name).get_configuration() if body.get("Publish") else config

    backend.update_function_code = update_function_code


def _zip(archive: str | bytes, exceptions: Any) -> bytes:
    try:
        return base64.b64decode(archive, validate=True)
    except (binascii.Error, ValueError) as error:
        raise exceptions.InvalidParameterValueException(f"Could not unzip uploaded file: {error}") from None


def _from_s3(account: str, spec: dict[str, Any], name: str, exceptions: Any) -> bytes:
    """A package that lies in a bucket; when the cloud is brought back, the one that lay there then."""
    site = hooks.site(account)
    kept = site.packages / name if site is not None and site.packages is not None else None
    if kept is not None and functions(account) is None and kept.exists():
        return kept.read_bytes()
    bucket, key, version = spec["S3Bucket"], spec["S3Key"], spec.get("S3ObjectVersion") or ""
    stored = backends.s3_object(account, bucket, key, version)
    if stored is None:
        code = "NoSuchKey" if bucket in backends.s3(account).buckets else "NoSuchBucket"
        text = "The specified key does not exist." if code == "NoSuchKey" else "The specified bucket does not exist"
        raise exceptions.InvalidParameterValueException(
            f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {text}"
        )
    content = bytes(stored.value)
    if kept is not None:
        atomic.write(kept, content)
    return content


def _check(account: str, content: bytes, exceptions: Any) -> None:
    runner = functions(account)
    if runner is None:  # it was taken once
        return
    try:
        runner.check_code(content)
    except hooks.BadPackage as error:
        raise exceptions.InvalidParameterValueException(str(error)) from None


# --- what starts functions -------------------------------------------------------------------------------------------


def _tell_of_changes(models: Any) -> None:
    for name in (
        "create_function", "update_function_code", "update_function_configuration", "delete_function",
        "create_event_source_mapping", "update_event_source_mapping", "delete_event_source_mapping",
    ):  # fmt: skip
        setattr(models.LambdaBackend, name, _telling(getattr(models.LambdaBackend, name)))


def _telling(stock: Any) -> Any:
    @wraps(stock)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = stock(self, *args, **kwargs)
        runner = functions(self.account_id)
        if runner is not None:
            runner.changed()
        return result

    return method


def _poll_queues_only(models: Any) -> None:
    # awslambda/models.py:2075 lets a queue invoke the function itself, message by message, as soon as one is sent; a
    # mapping that was removed still does so. Streams are not polled here.
    from moto.core.exceptions import JsonRESTError

    backend = models.LambdaBackend
    stock = backend.create_event_source_mapping

    def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
        source = str(spec.get("EventSourceArn") or "")
        if source.split(":")[2:3] != ["sqs"]:
            raise JsonRESTError("InvalidParameterValueException", "The local cloud polls SQS queues only, not "
                                f"{source or 'nothing'}")  # fmt: skip
        function = self.get_function(spec.get("FunctionName", ""))
        if any(
            each.event_source_arn == source and each.function_arn == function.function_arn
            for each in self._event_source_mappings.values()
        ):
            text = "An event source mapping with this queue and function already exists. Please update or delete it"
            error = JsonRESTError("ResourceConflictException", text)
            error.code = 409
            raise error
        mapping = stock(self, spec)
        queue = backends.queue(self.account_id, self.region_name, source.rsplit(":", 1)[-1])
        if queue is not None:
            queue.lambda_event_source_mappings.clear()
        name = str(spec["FunctionName"])
        qualifier = name.split(":")[7:8] if name.startswith("arn:") else name.split(":")[1:2]
        if qualifier and not mapping.function_arn.endswith(f":{qualifier[0]}"):
            mapping.function_arn += f":{qualifier[0]}"
        return mapping

    def list_event_source_mappings(self: Any, event_source_arn: str, function_name: str) -> Any:
        # :2221 compares what the mapping was made with, a name or an ARN.
        wanted = self.get_function(function_name).function_arn if function_name else ""
        return [
            each
            for each in self._event_source_mappings.values()
            if (not event_source_arn or each.event_source_arn == event_source_arn)
            and (not wanted or each.function_arn.startswith(wanted))
        ]

    backend.create_event_source_mapping = create_event_source_mapping
    backend.list_event_source_mappings = list_event_source_mappings
