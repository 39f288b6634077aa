"""S3 objects as plain values and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.s3 import models

from localcloud import backends
from localcloud.stored import Piece, Stored

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
    known.order = None  # `listings` looks anew
    if objects:
        dict.__setitem__(known, key, list(objects))
    else:
        dict.pop(known, key, None)


def is_marker(version: Any) -> bool:
    """Whether a version says that the object was deleted."""
    return isinstance(version, models.FakeDeleteMarker)


def content(version: Any) -> Stored:
    """A version's bytes."""
    stored: Stored = version.stored
    return stored


def set_content(version: Any, stored: Stored) -> None:
    """Let a version's bytes, the same as before, come from elsewhere from now on."""
    version.etag  # noqa: B018 - computed from the bytes at the first call
    version.stored = stored
    _remember_hash(version)


def _remember_hash(version: Any) -> None:
    """Entity tags are hashes, but of what came in parts."""
    match version.stored.pieces:
        case [Piece(is_whole=True) as piece] if "-" not in version.etag:
            piece.file.digests.setdefault("md5", bytes.fromhex(version.etag.strip('"')))


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


def revive(account: str, bucket: str, key: str, record: dict[str, Any], stored: Stored) -> Any:
    """What `describe` described, with its bytes, which a marker has none of."""
    if record.get("marker"):
        marker = object.__new__(models.FakeDeleteMarker)
        marker.key, marker.name = None, key
        marker.last_modified, marker._version_id = datetime.fromisoformat(record["modified"]), record["version"]
        return marker
    version = models.FakeKey(
        name=key,
        value=stored,
        account_id=account,
        region_name=record["region"],
        storage=record["storage"],
        etag=record["etag"],
        is_versioned=record["versioned"],
        version_id=None if record["version"] == "null" else record["version"],
        bucket_name=bucket,
    )
    _remember_hash(version)
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
