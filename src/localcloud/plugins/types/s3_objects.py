"""S3: objects that a program puts into a bucket."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.types.s3 import versions
from localcloud.plugins.values import Props

_CONTENTS = ("content", "contentBase64", "source")


class _ObjectTagging(Tagging):
    """S3 replaces an object's whole set of tags; the object is named `bucket/key`."""

    def change(self, client: Any, resource: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        bucket, _, key = resource.partition("/")
        client.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": self.wrap(new)})

    def read(self, client: Any, resource: str) -> dict[str, str]:
        bucket, _, key = resource.partition("/")
        return self.unwrap(client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])


@resource_type
class ObjectV2(Resource):
    """An object; its id is its key. `source` is a file or text (an asset), `content` text, or neither: an empty one."""

    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    service = "s3"
    table = """
        bucket ! ^
        key ^
        source asset =-
        sourceHash =-
        content =-
        contentBase64 =-
        contentType ?
        cacheControl
        contentDisposition
        contentEncoding
        contentLanguage
        metadata map
        serverSideEncryption ? =-
        storageClass ? =-
        websiteRedirect =WebsiteRedirectLocation
        etag ? =-
        forceDestroy bool =-
        arn ~ =-
        checksumCrc32 ~ =-
        checksumCrc32c ~ =-
        checksumCrc64nvme ~ =-
        checksumSha1 ~ =-
        checksumSha256 ~ =-
        versionId ~ =-
    """
    tagging = _ObjectTagging()
    autoname = Autoname("key", 1024, random=False)
    recomputed = frozenset({"versionId", "etag"})

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        present = [name for name in _CONTENTS if inputs.get(name) is not None]
        return [(present[1], f"only one of {' and '.join(present)} can be given")] if len(present) > 1 else []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        absent = dict.fromkeys((name for name in self.fields if name.startswith("checksum")), "")
        return {**absent, "arn": f"arn:aws:s3:::{props['bucket']}/{props['key']}"}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        return inputs["key"], self._put(cloud, inputs)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        bucket, key = (props["bucket"], props["key"]) if props else _place(identifier)
        head = self.call(cloud, "head_object", Bucket=bucket, Key=key)
        live = {"bucket": bucket, "key": key, **self.live(cloud, head), **_answered(head)}
        live["tagsAll"] = _ObjectTagging().read(cloud.client("s3"), f"{bucket}/{key}")
        live.setdefault("storageClass", "STANDARD")
        if props.get("etag") not in (None, live["etag"]):  # what is in it was changed by somebody else
            live |= {name: "" for name in ("content", "contentBase64") if props.get(name) is not None}
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll", "forceDestroy"}:
            return self._put(cloud, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        client, bucket, key = cloud.client("s3"), props["bucket"], props["key"]
        for _, version in versions(client, bucket, key):
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)

    def tagged(self, identifier: str, props: Props) -> str:
        return f"{props['bucket']}/{props['key']}"

    def _put(self, cloud: Cloud, inputs: Props) -> Props:
        body = _bytes(cloud, inputs)
        arguments = self.arguments(cloud, inputs)
        guessed = mimetypes.guess_type(inputs["key"])[0] or "application/octet-stream"
        for name in ("serverSideEncryption", "storageClass"):
            if inputs.get(name):
                arguments[name[:1].upper() + name[1:]] = inputs[name]
        if tags := self.all_tags(cloud, inputs):
            arguments["Tagging"] = urlencode(tags)
        answer = self.call(cloud, "put_object", **{"ContentType": guessed, **arguments}, Body=body)
        told_type = {"contentType": inputs.get("contentType") or guessed}
        return {"storageClass": "STANDARD", **told_type, **_answered(answer), "etag": hashlib.md5(body).hexdigest()}


@resource_type
class Object(ObjectV2):
    """An object, by the older name of the type."""

    token = "aws:s3/bucketObject:BucketObject"
    table = "\n".join(line for line in ObjectV2.table.splitlines() if "checksum" not in line)


def _place(identifier: str) -> tuple[str, str]:
    bucket, _, key = identifier.removeprefix("s3://").partition("/")
    if not key:
        raise Refused(f"the id to import must be bucket/key, not {identifier!r}")
    return bucket, key


def _answered(answer: Props) -> Props:
    return {
        "etag": str(answer.get("ETag", "")).strip('"'),
        "versionId": answer.get("VersionId") or "",
        "serverSideEncryption": answer.get("ServerSideEncryption") or "AES256",
    }


def _bytes(cloud: Cloud, inputs: Props) -> bytes:
    if inputs.get("contentBase64") is not None:
        return base64.b64decode(str(inputs["contentBase64"]))
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode()
    asset: dict[str, Any] = inputs.get("source") or {"text": ""}
    if "path" in asset:
        try:
            return Path(cloud.directory, str(asset["path"])).read_bytes()
        except OSError as error:
            raise Refused(f"the file of object {inputs['key']!r} cannot be read: {error}") from error
    if "uri" in asset:
        raise Refused("the local cloud does not fetch remote assets; use a file or text")
    return str(asset.get("text", "")).encode()
