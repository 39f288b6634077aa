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
