"""Values as Pulumi's protocols carry them: marks for secrets, and for what only AWS will know."""

from __future__ import annotations

from typing import Any

from herd.policy.model import UNKNOWN

# The wire's own marks (sdk/go/common/resource/properties.go).
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWNS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


def plain(value: Any) -> Any:
    """A value of the wire, as a rule sees it: secrets unwrapped, UNKNOWN for what is not known yet."""
    if isinstance(value, str):
        return UNKNOWN if value in UNKNOWNS else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        match value.get(SIGNATURE):
            case None:
                return {key: plain(item) for key, item in value.items()}
            case mark if mark == SECRET:
                return plain(value.get("value"))
            case mark if mark == OUTPUT:
                return plain(value["value"]) if "value" in value else UNKNOWN
            case _:
                return value
    return value


def has_unknown(value: Any) -> bool:
    """Whether a value, or anything in it, is not known yet."""
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    return isinstance(value, list) and any(has_unknown(item) for item in value)
