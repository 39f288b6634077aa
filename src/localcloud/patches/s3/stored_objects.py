"""S3 objects as plain values and back, and bytes that stay in files until somebody reads them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from moto.s3 import models

from localcloud import backends

PLAIN = (
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "website_redirect_location",
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "lock_mode",
    "lock_legal_status",
    "lock_until",
)
"""Attributes of an object that are kept as they are."""


class FileBytes:
    """An object's bytes in a file that never changes: what moto has as a temporary file (s3/models.py:180).

    The file is open only while it is read: a bucket may have more objects than a process may have files.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        self._size = size
        self._place = 0

    def seek(self, place: int, whence: int = 0) -> int:
        self._place = place + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self._place)
            data = file.read(size)
        self._place += len(data)
        return data

    def close(self) -> None:
        """Nothing is open."""


def versions(account: str, bucket: str, key: str) -> list[Any]:
    """An object's versions and delete markers, the oldest first."""
    model = backends.s3(account).buckets.get(bucket)
    return list(model.keys.getlist(key, [])) if model is not None else []


def keys(account: str, bucket: str) -> list[str]:
    """The names of all objects of a bucket, deleted ones with older versions included."""
    model = backends.s3(account).buckets.get(bucket)
    return list(dict.keys(model.keys)) if model is not None else []


def put_versions(account: str, bucket: str, key: str, objects: list[Any]) -> None:
    """Set an object's versions. Raises KeyError if there is no such bucket."""
    known = backends.s3(account).buckets[bucket].keys
    if objects:
        dict.__setitem__(known, key, list(objects))
    else:
        dict.pop(known, key, None)


def is_marker(version: Any) -> bool:
    """Whether a version says that the object was deleted."""
    return isinstance(version, models.FakeDeleteMarker)


def content(version: Any) -> bytes:
    """A version's bytes."""
    return bytes(version.value)


def kept_in(version: Any) -> Path | None:
    """The file that has a version's bytes already."""
    buffer = version._value_buffer
    return buffer.path if isinstance(buffer, FileBytes) else None


def keep_in(version: Any, path: Path) -> None:
    """Let a version's bytes come from this file from now on."""
    version.etag  # noqa: B018 - computed from the bytes at the first call
    version._value_buffer.close()
    version._value_buffer = FileBytes(path, version.contentsize)


def describe(account: str, version: Any) -> dict[str, Any]:
    """All of a version but its bytes, for JSON."""
    values = {"version": version.version_id, "modified": version.last_modified.isoformat()}
    if is_marker(version):
        return {**values, "marker": True}
    tags = backends.s3(account).tagger.get_tag_dict_for_resource(version.arn)
    return {
        **values,
        **{name: value for name in PLAIN if (value := getattr(version, name)) is not None},
        "region": version.region_name,
        "etag": version.etag.strip('"'),
        "versioned": version._is_versioned,
        "storage": version.storage_class,
        "metadata": dict(version.metadata),
        "expiry": version._expiry.isoformat() if version._expiry else None,
        "acl": [_describe_grant(grant) for grant in version.acl.grants] if version.acl else None,
        "tags": tags,
    }


def _describe_grant(grant: Any) -> dict[str, Any]:
    return {"permissions": list(grant.permissions), "grantees": [vars(grantee) for grantee in grant.grantees]}


def revive(account: str, bucket: str, key: str, record: dict[str, Any], file: FileBytes | None) -> Any:
    """What `describe` described; `file` has its bytes, None for a marker."""
    if record.get("marker") or file is None:
        marker = object.__new__(models.FakeDeleteMarker)
        marker.key, marker.name = None, key
        marker.last_modified, marker._version_id = datetime.fromisoformat(record["modified"]), record["version"]
        return marker
    version = models.FakeKey(
        name=key,
        value=b"",
        account_id=account,
        region_name=record["region"],
        storage=record["storage"],
        etag=record["etag"],
        is_versioned=record["versioned"],
        version_id=None if record["version"] == "null" else record["version"],
        bucket_name=bucket,
    )
    version._value_buffer.close()
    version._value_buffer, version.contentsize = file, file.seek(0, 2)
    version.last_modified = datetime.fromisoformat(record["modified"])
    version._expiry = datetime.fromisoformat(record["expiry"]) if record["expiry"] else None
    version._metadata.update(record["metadata"])
    version.acl = (
        models.FakeAcl([_revive_grant(grant) for grant in record["acl"]]) if record["acl"] is not None else None
    )
    for name in PLAIN:
        setattr(version, name, record.get(name))
    tagger = backends.s3(account).tagger
    tagger.delete_all_tags_for_resource(version.arn)
    tagger.tag_resource(version.arn, tagger.convert_dict_to_tags_input(record["tags"]))
    return version


def _revive_grant(record: dict[str, Any]) -> Any:
    grantees = [
        models.FakeGrantee(grantee["id"], grantee["uri"], grantee["display_name"]) for grantee in record["grantees"]
    ]
    return models.FakeGrant(grantees, record["permissions"])
