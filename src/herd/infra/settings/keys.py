"""Where a stack's settings stand in its file: below `herd:` in every project, whatever it is called.

Keys of the project's own name are the team's. Nothing is loaded here that would slow a command down.
"""

from collections.abc import Iterator, Mapping
from typing import Any

NAMESPACE = "herd"


def config_key(setting: str) -> str:
    """The key of a setting in a stack's file: `herd:network`."""
    return f"{NAMESPACE}:{setting}"


def own(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among all keys of a stack's file: `{"herd:profile": "prod"}` -> `{"profile": "prod"}`."""
    prefix = config_key("")
    return {str(name).removeprefix(prefix): value for name, value in config.items() if str(name).startswith(prefix)}


def without_prefix(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each key without a prefix: Pulumi takes it as one of the project's own name, which nobody sees."""
    bare = sorted(str(name) for name in config if ":" not in str(name))
    if not bare:
        return
    from herd.infra.messages import nearest, printable
    from herd.infra.settings.schema import SETTINGS  # with pydantic, which most commands do without

    for name in bare:
        shown, near = printable(name), name if name in SETTINGS else nearest(name, SETTINGS)
        own = f"<the project's name>:{shown} for a setting of your own program"
        meant = config_key(near) if near else f"{own}, {config_key('<setting>')} for one of Herd's"
        yield f"{shown}: has no prefix, so nothing says whose setting it is; write {meant}"


def misplaced(project: str, config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting below the project's own name, where earlier versions of Herd had it."""
    below = sorted(str(name) for name in config if str(name).startswith(f"{project}:"))
    if project == NAMESPACE or not below:
        return
    from herd.infra.settings.schema import SETTINGS  # with pydantic, which most commands do without

    for name in below:
        setting = name.removeprefix(f"{project}:")
        if setting in SETTINGS:
            yield f"{name}: settings are herd:<setting> in every project; rename it to {config_key(setting)}"
