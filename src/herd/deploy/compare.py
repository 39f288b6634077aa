"""Two environments as `herd diff` compares them, and the differences that the files state on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from herd.checkout import stack_config, team_files
from herd.engine.plan import ENVIRONMENT
from herd.errors import HerdError, WrongInput
from herd.infra.settings.keys import config_key
from herd.review import settings
from herd.review.difference import Difference, Environment, differences
from herd.review.modulo_names import Place
from herd.review.settings import Change, Changed, Written
from herd.runs import secret_store
from herd.targets.target import Target


def compare(one: Target, other: Target) -> list[Difference]:
    """What differs between two environments. Raises HerdError where one is not up, WrongInput for wrong files."""
    return differences(of(one), of(other), Stated(one, other).where)


def of(target: Target) -> Environment:
    """One environment as it is deployed."""
    exports = target.require_exports()
    if exports.settings is None:
        raise HerdError(
            f"{target.name} does not say its settings, because an earlier Herd deployed it; `herd up` first, and "
            "nothing of it is compared until then"
        )
    return Environment(
        Place(exports.project, exports.environment, exports.account, exports.region),
        Written(exports.settings.workloads, exports.settings.stack),
        target.state_resources(),
        frozenset(secret.name for secret in secret_store.listed(target)),
    )


def written(target: Target) -> Written:
    """The settings of an environment as the files of the checkout have them now. Raises WrongInput."""
    from herd.infra import as_written

    specs = team_files.load(target.checkout, target.name)
    workloads = {name: as_written.workload(spec) for name, spec in specs.workloads.items()}
    return Written(workloads, _stack(config(target)))


def config(target: Target) -> dict[str, Any]:
    """The settings in a stack's file: `{"profile": "prod"}`."""
    if not target.is_shared:
        return team_files.settings(target.checkout, target.name)
    values = target.settings().get("config") or {}
    return stack_config.settings(target.checkout, values, target.settings_file.name)


def _stack(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in force where a file says these. What is wrong in it is left out: the program refuses it."""
    from herd.infra import as_written
    from herd.infra.settings import reading
    from herd.infra.settings.schema import BY_PROFILE, PROFILES, SETTINGS, Settings

    said = {key: value for key, value in chosen.items() if not (value == BY_PROFILE and key in PROFILES["dev"])}
    known, _ = reading.read(SETTINGS, said)
    profile = known.pop("profile", "dev")
    return as_written.stack(Settings.by_profile(profile, "", "", "", **{"account": "", **known}))


class Stated:
    """What the files say differs between two environments."""

    def __init__(self, one: Target, other: Target) -> None:
        self._sides = ((other, config(other)), (one, config(one)))
        self._changes = settings.changes(written(one), written(other))

    def where(self, change: Change) -> str:
        """The file that states this very difference; "" where none does."""
        if not isinstance(change, Changed) or change not in self._changes:
            return ""
        last = _file(self._sides[0][0])
        if change.owner == ENVIRONMENT and not change.kind:
            names = [_file(target) for target, said in self._sides if change.setting in said]
            return names[0] if names else f"{last} ({config_key('profile')})"
        for target, _ in self._sides:
            origins = team_files.load(target.checkout, target.name).origins.get(change.owner, {})
            for key in (".".join(change.path[:2]), change.setting):
                if key in origins and origins[key].section:
                    return str(origins[key])
        return last


def _file(target: Target) -> str:
    """The file that people write; a local environment's own is a copy."""
    tracked = stack_config.tracked(target.checkout, target.name) if not target.is_shared else None
    return (tracked or target.settings_file).name


def require_two(one: str, other: str) -> None:
    """Raises WrongInput for an environment that is to be compared with itself, or copied onto itself."""
    if one == other:
        raise WrongInput(f"both are {one}: name two environments")
