"""moto is held to what was judged: it reads a request again, and what it reads otherwise is refused (`judged`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from moto.core import responses
from moto.core.request import Request as MotoRequest
from moto.core.utils import get_service_model
from moto.s3 import models as s3_models
from moto.s3 import responses as s3_responses
from moto.s3.exceptions import NoSuchUpload

from localcloud.request import Refused, judged

BUCKET_HANDLERS: Mapping[str, str] = {
    "delete_bucket": "DeleteBucket",
    "delete_bucket_cors": "PutBucketCORS",
    "delete_bucket_encryption": "PutEncryptionConfiguration",
    "delete_bucket_lifecycle": "PutLifecycleConfiguration",
    "delete_bucket_ownership_controls": "PutBucketOwnershipControls",
    "delete_bucket_policy": "DeleteBucketPolicy",
    "delete_bucket_replication": "PutReplicationConfiguration",
    "delete_bucket_tagging": "PutBucketTagging",
    "delete_bucket_website": "DeleteBucketWebsite",
    "delete_public_access_block": "PutBucketPublicAccessBlock",
    "get_bucket_accelerate_configuration": "GetAccelerateConfiguration",
    "get_bucket_acl": "GetBucketAcl",
    "get_bucket_cors": "GetBucketCORS",
    "get_bucket_encryption": "GetEncryptionConfiguration",
    "get_bucket_inventory_configuration": "GetInventoryConfiguration",
    "get_bucket_lifecycle": "GetLifecycleConfiguration",
    "get_bucket_location": "GetBucketLocation",
    "get_bucket_logging": "GetBucketLogging",
    "get_bucket_notification": "GetBucketNotification",
    "get_bucket_ownership_controls": "GetBucketOwnershipControls",
    "get_bucket_policy": "GetBucketPolicy",
    "get_bucket_policy_status": "GetBucketPolicyStatus",
    "get_bucket_replication": "GetReplicationConfiguration",
    "get_bucket_tags": "GetBucketTagging",
    "get_bucket_versioning": "GetBucketVersioning",
    "get_bucket_website": "GetBucketWebsite",
    "get_object_lock_configuration": "GetBucketObjectLockConfiguration",
    "get_public_access_block": "GetBucketPublicAccessBlock",
    "head_bucket": "ListBucket",
    "list_bucket_inventory_configurations": "GetInventoryConfiguration",
    "list_multipart_uploads": "ListBucketMultipartUploads",
    "list_object_versions": "ListBucketVersions",
    "list_objects": "ListBucket",
    "list_objects_v2": "ListBucket",
}
"""moto's handler of a request for a bucket -> S3's action."""

OBJECT_HANDLERS: Mapping[str, str] = {
    "abort_multipart_upload": "AbortMultipartUpload",
    "copy_object": "PutObject",
    "delete_object": "DeleteObject",
    "delete_object_tagging": "DeleteObjectTagging",
    "get_object": "GetObject",
    "get_object_acl": "GetObjectAcl",
    "get_object_attributes": "GetObjectAttributes",
    "get_object_legal_hold": "GetObjectLegalHold",
    "get_object_tagging": "GetObjectTagging",
    "head_object": "GetObject",
    "list_parts": "ListMultipartUploadParts",
    "put_object": "PutObject",
    "put_object_acl": "PutObjectAcl",
    "put_object_legal_hold": "PutObjectLegalHold",
    "put_object_retention": "PutObjectRetention",
    "put_object_tagging": "PutObjectTagging",
    "upload_part": "PutObject",
    "upload_part_copy": "PutObject",
}
"""The same of a request for an object."""

WITH_VERSION = frozenset(
    ["delete_object", "delete_object_tagging", "get_object", "get_object_acl", "get_object_tagging", "head_object",
     "put_object_acl", "put_object_tagging"]
)  # fmt: skip
"""Handlers whose action is another one where a version is named."""

MODELS: Mapping[str, str] = {
    "create_bucket": "CreateBucket",
    "put_bucket_accelerate_configuration": "PutAccelerateConfiguration",
    "put_bucket_cors": "PutBucketCORS",
    "put_bucket_encryption": "PutEncryptionConfiguration",
    "put_bucket_inventory_configuration": "PutInventoryConfiguration",
    "put_bucket_lifecycle": "PutLifecycleConfiguration",
    "put_bucket_logging": "PutBucketLogging",
    "put_bucket_notification_configuration": "PutBucketNotification",
    "put_bucket_ownership_controls": "PutBucketOwnershipControls",
    "put_bucket_policy": "PutBucketPolicy",
    "put_bucket_replication": "PutReplicationConfiguration",
    "put_bucket_tagging": "PutBucketTagging",
    "put_bucket_versioning": "PutBucketVersioning",
    "put_bucket_website": "PutBucketWebsite",
    "put_object_lock_configuration": "PutBucketObjectLockConfiguration",
    "put_public_access_block": "PutBucketPublicAccessBlock",
}
"""moto's functions for buckets that have no handler of their own (s3/responses.py:980) -> S3's action."""

KEYED_MODELS: Mapping[str, str] = {
    "create_multipart_upload": "PutObject",
    "restore_object": "RestoreObject",
    "select_object_content": "GetObject",
}
"""The same for objects: bucket and key are their first two arguments."""

UPLOADS = ("abort_multipart_upload", "complete_multipart_upload", "list_parts", "upload_part", "upload_part_copy")
"""moto's functions that take a bucket and the id of an upload, and the key from that upload."""


def apply() -> None:
    """Let moto ask at each of its doors."""
    _read_parameters_where_they_belong()
    _hold_actions()
    _hold_s3()


def _takes_form(self: Any) -> bool:
    """Forms come by POST. An object that is put as one (curl calls all data so) would be stored empty, and its fields
    taken for parameters of the request (moto 5.2.5, core/responses.py:222).
    """
    return self.method == "POST" and bool(self.environ.get("CONTENT_TYPE"))


def _read_parameters_where_they_belong() -> None:
    MotoRequest.want_form_data_parsed = property(_takes_form)
    # core/responses.py:266 takes a JSON body for a form where there is no query: `{"x": "&Action=DeleteSecret&"}` is
    # another action then, and parameters of a form come before those of the JSON (:594). The region is taken from the
    # address or from a word of the user agent (:316) before the signature's.
    base = responses.BaseResponse
    stock, stock_region = base.setup_class, base.get_region_from_url

    def setup_class(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        parsed, self.automated_parameter_parsing = self.automated_parameter_parsing, False
        try:
            stock(self, request, *args, **kwargs)
        finally:
            self.automated_parameter_parsing = parsed
        if self.service_name != "s3" and not request.form:
            self.querystring = self.data = dict(parse_qs(self.parsed_url.query, keep_blank_values=True))
        judge = judged.current()
        signing_name = _signing_name(self.boto3_service_name)
        if judge is not None and signing_name and self.service_name != "s3":  # buckets have no regions here
            judge.check_place(signing_name, self.get_region_from_url(request, ""), self.current_account)
        if parsed and self._get_action():
            self.parse_parameters(request)

    def get_region_from_url(self: Any, request: Any, full_url: str) -> str:
        scope = request.headers.get("Authorization", "").split(",")[0].split("/")
        return str(scope[2]) if len(scope) == 5 else str(stock_region(self, request, full_url))

    base.setup_class, base.get_region_from_url = setup_class, get_region_from_url


@cache
def _signing_name(service: str) -> str:
    """Service as signatures name it; "" where nobody knows."""
    try:
        return str(get_service_model(service).signing_name)
    except UnknownServiceError:
        return ""


def _hold_actions() -> None:
    # core/responses.py:381 looks for an action in the query, the form, the headers and the path, in this order.
    base = responses.BaseResponse
    stock_call, stock_parse, stock_action = base.call_action, base.parse_parameters, base._get_action

    def check(self: Any) -> None:
        judge = judged.current()
        # A class that tells its actions by the path alone has names of its own for them.
        if judge is None or self.service_name == "s3" or type(self)._get_action is not stock_action:
            return
        judge.check_action(self._get_action() or "")

    def call_action(self: Any) -> Any:
        check(self)
        return stock_call(self)

    def parse_parameters(self: Any, request: Any) -> None:
        check(self)
        stock_parse(self, request)

    base.call_action, base.parse_parameters = call_action, parse_parameters


def _hold_s3() -> None:
    response, backend = s3_responses.S3Response, s3_models.S3Backend
    for name in ("_bucket_response", "_key_response"):
        _before(response, name, _check_path)
    for name, action in BUCKET_HANDLERS.items():
        _before(
            response,
            name,
            lambda judge, self, *_, action=action, **__: judge.check_access(action, judge.call.bucket),
        )
    for name, action in OBJECT_HANDLERS.items():
        _before(response, name, _object_check(action, name in WITH_VERSION))
    _before(response, "all_buckets", lambda judge, self: _listing_all(judge))
    for name, action in MODELS.items():
        _before(backend, name, lambda judge, self, bucket_name, *_, action=action, **__: judge.check_access(
            action, bucket_name))  # fmt: skip
    for name, action in KEYED_MODELS.items():
        _before(backend, name, lambda judge, self, bucket_name, key_name, *_, action=action, **__: judge.check_access(
            action, f"{bucket_name}/{key_name}"))  # fmt: skip
    for name in UPLOADS:
        _before(backend, name, _check_upload)
    _before(backend, "delete_objects", _check_deleted)
    _before(backend, "copy_object", _check_copied)
    _before(backend, "upload_part_copy", _check_part_copied)


Check = Callable[..., None]
"""What is to be asked before moto goes on: what was judged, and the function's own arguments."""


def _before(owner: Any, name: str, check: Check) -> None:
    stock = getattr(owner, name)

    @wraps(stock)
    def held(self: Any, *args: Any, **kwargs: Any) -> Any:
        judge = judged.current()
        if judge is not None and judge.call.service == "s3":
            check(judge, self, *args, **kwargs)
        return stock(self, *args, **kwargs)

    setattr(owner, name, held)


def _check_path(judge: judged.Judged, self: Any, *_: Any) -> None:
    bucket = self.bucket_name or ""
    judge.check_path(bucket, self.parse_key_name() if bucket else "")


def _object_check(action: str, with_version: bool) -> Check:
    def check(judge: judged.Judged, self: Any, *_: Any, **__: Any) -> None:
        version = self.querystring.get("versionId", [""])[0] if with_version else ""
        judge.check_access(action, f"{self.bucket_name}/{self.parse_key_name()}", version)

    return check


def _listing_all(judge: judged.Judged) -> None:
    if [access.action for access in judge.accesses] != ["s3:ListAllMyBuckets"]:
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)


def _check_upload(judge: judged.Judged, self: Any, bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> None:
    # An upload is one of the key that it was begun for; moto looks at its id alone (s3/models.py:2714).
    upload = self.get_bucket(bucket_name).multiparts.get(multipart_id)
    if upload is None or (bucket_name, upload.key_name) != (judge.call.bucket, judge.call.key):
        raise NoSuchUpload(upload_id=multipart_id)


def _check_deleted(judge: judged.Judged, self: Any, bucket_name: str, objects: Any, *_: Any, **__: Any) -> None:
    for one in objects:
        judge.check_access("DeleteObject", f"{bucket_name}/{one['Key']}", one.get("VersionId") or "")


def _check_copied(judge: judged.Judged, self: Any, source: Any, *_: Any, **more: Any) -> None:
    version = more.get("provided_version_id") or ""
    judge.check_access("GetObject", f"{source.bucket_name}/{source.name}", version)


def _check_part_copied(judge: judged.Judged, self: Any, *_: Any, **more: Any) -> None:
    source = f"{more['src_bucket_name']}/{more['src_key_name']}"
    judge.check_access("GetObject", source, more.get("src_version_id") or "")
