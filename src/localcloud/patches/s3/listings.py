"""S3: listings of large buckets. Names are kept in order, a page reads its own entries only, and is written at once."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3 import models, responses, utils
from moto.s3.exceptions import InvalidContinuationToken, MethodNotAllowed

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

ROOTS = {
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
}
"""What a listing's document is called."""

ELEMENTS = {"Versions": "Version", "DeleteMarkers": "DeleteMarker"}
"""Members whose elements have another name."""

ENCODED = ("Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker")
"""Names of a listing, beside those of its entries, that a client may want encoded."""


def apply() -> None:
    """Keep names in order, list by them, and write the answer without moto's serializer."""
    _keep_names_in_order()
    _list_in_order()
    _write_at_once()


def names(store: Any) -> list[str]:
    """The names of all objects of a bucket in order, deleted ones with older versions included."""
    order: list[str] | None = getattr(store, "order", None)
    if order is None or len(order) != len(store):
        order = store.order = sorted(dict.keys(store))
    return order


def _keep_names_in_order() -> None:
    store = utils._VersionedKeyStore
    set_item, pop = store.__setitem__, store.pop

    def note(self: Any, key: str) -> None:
        if getattr(self, "order", None) is not None and not dict.__contains__(self, key):
            insort(self.order, key)

    def noted_set_item(self: Any, key: str, value: Any) -> None:
        note(self, key)
        set_item(self, key, value)

    def noted_set_list(self: Any, key: str, versions: Any) -> None:
        note(self, key)
        # s3/utils.py:174 compares each old version with each new one to dispose of it, which does nothing here.
        dict.__setitem__(self, key, list(versions) if isinstance(versions, (list, tuple)) else [versions])

    def noted_pop(self: Any, key: str) -> None:
        order = getattr(self, "order", None)
        if order is not None and dict.__contains__(self, key):
            del order[bisect_left(order, key)]
        pop(self, key)

    store.__setitem__, store.setlist, store.pop = noted_set_item, noted_set_list, noted_pop


@dataclass(frozen=True)
class _Entry:
    """A name of a listing: of an object, or of all that begins so."""

    name: str
    is_prefix: bool = False


def entries(store: Any, prefix: str, delimiter: str, after: str, all_versions: bool = False) -> Iterator[_Entry]:
    """What a listing shows behind `after`. Objects that were deleted only with `all_versions`."""
    order = names(store)

    def shown(name: str) -> bool:
        return all_versions or isinstance(store[name], models.FakeKey)

    place = max(bisect_left(order, prefix), bisect_right(order, after) if after else 0)
    while place < len(order) and order[place].startswith(prefix):
        name = order[place]
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            if shown(name):
                yield _Entry(name)
            place += 1
            continue
        common = name[: cut + len(delimiter)]
        end = _end_of(order, common, place)
        if not common <= after and any(shown(order[each]) for each in range(place, end)):
            yield _Entry(common, is_prefix=True)
        place = end


def _end_of(order: list[str], prefix: str, place: int) -> int:
    """Where the names that begin with `prefix` end."""
    return bisect_left(order, True, lo=place, key=lambda name: not name.startswith(prefix))


def _list_in_order() -> None:
    # s3/models.py:2796 and :2071 look at every object of the bucket for each page, the latter at a copy of it.
    backend = models.S3Backend

    def list_objects(
        self: Any, bucket: Any, prefix: str | None, delimiter: str | None, marker: str | None, max_keys: int | None
    ) -> Any:
        if isinstance(bucket, models.FakeTableStorageBucket):
            raise MethodNotAllowed()
        page, truncated = _page(entries(bucket.keys, prefix or "", delimiter or "", marker or ""), max_keys)
        keys = [bucket.keys[entry.name] for entry in page if not entry.is_prefix]
        folders = [entry.name for entry in page if entry.is_prefix]
        return keys, folders, truncated, page[-1].name if truncated else None

    def list_objects_v2(
        self: Any,
        bucket: Any,
        prefix: str | None,
        delimiter: str | None,
        continuation_token: str | None,
        start_after: str | None,
        max_keys: int,
    ) -> Any:
        after = _name_of(continuation_token) if continuation_token else start_after
        keys, folders, truncated, last = list_objects(self, bucket, prefix, delimiter, after, max_keys)
        return [*keys, *folders], truncated, _token(last) if truncated else None

    def list_object_versions(
        self: Any,
        bucket_name: str,
        delimiter: str | None = None,
        key_marker: str | None = None,
        max_keys: int | None = 1000,
        prefix: str = "",
        version_id_marker: str | None = None,
    ) -> Any:
        store = self.get_bucket(bucket_name).keys
        listed, truncated = _page(
            _versions(store, prefix, delimiter or "", key_marker or "", version_id_marker), max_keys
        )
        last = listed[-1] if truncated else None
        return (
            [each for each in listed if isinstance(each, models.FakeKey)],
            [each for each in listed if isinstance(each, str)],
            [each for each in listed if isinstance(each, models.FakeDeleteMarker)],
            last if last is None or isinstance(last, str) else last.name,
            None if last is None or isinstance(last, str) else last.version_id,
        )

    backend.list_objects, backend.list_objects_v2 = list_objects, list_objects_v2
    backend.list_object_versions = list_object_versions


def _page(entries: Iterator[Any], most: int | None) -> tuple[list[Any], bool]:
    """The first of them, and whether there are more."""
    if most == 0:
        return [], False
    page: list[Any] = []
    for entry in entries:
        if most is not None and len(page) == most:
            return page, True
        page.append(entry)
    return page, False


def _versions(store: Any, prefix: str, delimiter: str, key: str, version: str | None) -> Iterator[Any]:
    """Versions and delete markers, the newest of an object first, and common prefixes, from behind a version on."""
    if version and key.startswith(prefix) and dict.__contains__(store, key):
        ids = [str(each.version_id) for each in store.getlist(key)]
        if version in ids:
            yield from _newest_first(store.getlist(key))[len(ids) - ids.index(version) :]
    for entry in entries(store, prefix, delimiter, key, all_versions=True):
        if entry.is_prefix:
            yield entry.name
        else:
            yield from _newest_first(store.getlist(entry.name))


def _newest_first(versions: list[Any]) -> list[Any]:
    for each in versions:
        each.is_latest = each is versions[-1]
    return versions[::-1]


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(b"after " + name.encode()).decode()


def _name_of(token: str) -> str:
    try:
        said = base64.b64decode(token, altchars=b"-_", validate=True)
        if said.startswith(b"after "):
            return said.removeprefix(b"after ").decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidContinuationToken()


# --- the answer ------------------------------------------------------------------------------------------------------


def _write_at_once() -> None:
    # moto's serializer takes 0.5 ms for each entry, and leaves names as they are where they were to be encoded.
    response = responses.S3Response
    stock = response.serialized

    def serialized(self: Any, action_result: Any) -> Any:
        root, result = ROOTS.get(self.data.get("Action", "")), action_result.result
        if root is None or not isinstance(result, dict):
            return stock(self, action_result)
        if self.querystring.get("encoding-type", [""])[0] == "url":
            result = _encoded(self.data["Action"], result)
        pieces = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">']
        _write(pieces, result)
        pieces.append(f"</{root}>")
        return 200, {"Content-Type": "application/xml"}, "".join(pieces)

    response.serialized = serialized


def _encoded(action: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The result with its names encoded where moto has not done it (s3/responses.py:762, :833 and :907)."""
    new = {**result, "EncodingType": "url"}
    done = {"ListObjectsV2": ("Prefix",)}.get(action, ())
    for name in ENCODED:
        if new.get(name) and name not in done:
            new[name] = quote(new[name])
    if action == "ListObjects" and "CommonPrefixes" in new or action == "ListObjectVersions":
        new["CommonPrefixes"] = [{"Prefix": quote(each["Prefix"] if isinstance(each, dict) else each)}
                                 for each in new.get("CommonPrefixes", ())]  # fmt: skip
    if action == "ListObjectVersions":
        for name in ELEMENTS:
            new[name] = [{**each, "Key": quote(each["Key"])} for each in new[name]]
    return new


def _write(pieces: list[str], members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if value is None:
            continue
        for each in value if isinstance(value, list) else (value,):
            element = ELEMENTS.get(name, name)
            if isinstance(each, dict):
                pieces.append(f"<{element}>")
                _write(pieces, each)
                pieces.append(f"</{element}>")
            else:
                text = str(each).lower() if isinstance(each, bool) else escape(str(each), {"\r": "&#13;"})
                pieces.append(f"<{element}>{text}</{element}>")
