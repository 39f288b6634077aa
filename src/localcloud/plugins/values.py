"""Values as Pulumi sends them (protobuf structs) and as the rest of this package sees them (plain Python).

`UNKNOWN` stands for an output that a preview cannot know. Secrets are unwrapped: this provider tells the engine that it
does not take them, and the engine then marks the outputs of the same name itself.
Constants: sdk/go/common/resource/plugin/rpc.go and sdk/go/common/resource/sig of Pulumi 3.259.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

Props = dict[str, Any]


class _Unknown:
    """The one value of its kind; compare with `is`."""

    def __repr__(self) -> str:
        return "<known after the update>"

    def __bool__(self) -> bool:
        return True


UNKNOWN: Final = _Unknown()

_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_MARKS = {
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    _UNKNOWN_STRING,
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

NO_FILES: Final[Mapping[str, Any]] = {_SIGNATURE: _ARCHIVE, "assets": {}, "hash": "0" * 64}
"""An archive with nothing in it."""


class UnsupportedValue(ValueError):
    """A resource reference, which no supported property takes."""


def load(struct: struct_pb2.Struct) -> Props:
    """The plain form of a struct; absent and null values are left out at the top level and below."""
    return {key: value for key, value in _load_fields(struct.fields).items() if value is not None}


def _load_fields(fields: Mapping[str, struct_pb2.Value]) -> Props:
    return {key: _load(value) for key, value in fields.items()}


def _load(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWN_MARKS else value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_load(item) for item in value.list_value.values]
        case "struct_value":
            return _special(_load_fields(value.struct_value.fields))
        case _:
            return None


def _special(fields: Props) -> Any:
    match fields.get(_SIGNATURE):
        case None:
            return {key: value for key, value in fields.items() if value is not None}
        case str() as mark if mark == _SECRET:
            return fields.get("value")
        case str() as mark if mark in (_ASSET, _ARCHIVE):
            return {key: value for key, value in fields.items() if value is not None}
        case str() as mark if mark == _OUTPUT:
            return fields.get("value", UNKNOWN)
        case _:
            raise UnsupportedValue("resource references are not supported here")


def dump(props: Mapping[str, Any]) -> struct_pb2.Struct:
    """The protobuf form of plain values; None is left out, integers become doubles."""
    struct = struct_pb2.Struct()
    for key, value in props.items():
        if value is not None:
            _dump(value, struct.fields[key])
    return struct


def _dump(value: Any, into: struct_pb2.Value) -> None:
    if value is UNKNOWN:
        into.string_value = _UNKNOWN_STRING
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif isinstance(value, Mapping):
        into.struct_value.SetInParent()
        for key, item in value.items():
            if item is not None:
                _dump(item, into.struct_value.fields[key])
    elif isinstance(value, Iterable):
        into.list_value.SetInParent()
        for item in value:
            _dump(item, into.list_value.values.add())
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    else:
        raise TypeError(f"cannot be sent to Pulumi: {value!r}")


def is_asset(value: Any) -> bool:
    """Whether it is a file or a text: an object with its hash, and one of path, text and uri."""
    return isinstance(value, dict) and value.get(_SIGNATURE) == _ASSET


def is_archive(value: Any) -> bool:
    """Whether it is several files: an object with its hash, and one of assets (by name), path and uri."""
    return isinstance(value, dict) and value.get(_SIGNATURE) == _ARCHIVE


def has_unknown(value: Any) -> bool:
    """Whether anything in a value is not known yet."""
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return False
