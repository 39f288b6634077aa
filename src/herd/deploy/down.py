"""`herd down`: confirm, stop runs, destroy, and check that nothing is left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from herd import console
from herd.deploy import kept, leftovers, local_stack, protection, unmanaged
from herd.deploy.leftovers import Left
from herd.engine.pulumi import Engine
from herd.errors import WrongInput
from herd.runs import runs, secret_store
from herd.targets import local_cloud, losses
from herd.targets.local import LocalTarget
from herd.targets.target import Target


@dataclass(frozen=True)
class Keep:
    """What stays: `secrets` if protected, adopted `buckets`. `released`: retained resources are removed too."""

    secrets: bool
    buckets: frozenset[str]
    released: bool


def take_down(target: Target, yes: bool, confirmed: str | None = None, retained: bool = False) -> None:
    """Stop runs, destroy, sweep, check that nothing is left, and stop the local cloud with its last environment.

    A protected environment needs `confirmed`, its name, or asks for it. `retained`: also remove resources that were
    retained or removed from the state. Raises HerdError that names leftovers, WrongInput for a wrong name.
    """
    if retained and not target.can_remove_retained:
        raise WrongInput("--retained is for local environments: on AWS remove with `aws` what was retained there")
    guarded = _approve(target, yes, confirmed)
    keep = Keep(secret_store.is_protected(target), protection.adopted_buckets(target), retained)
    _remove_environment(target, guarded, keep)


@singledispatch
def _remove_environment(target: Target, guarded: list[str], keep: Keep) -> None:
    _destroy(target, guarded)
    secret_store.clear(target, keep.secrets)
    left = leftovers.look(target, keep.secrets, keep.buckets)
    if left.unseen:
        console.note(f"could not be listed: {', '.join(left.unseen)}")
    leftovers.raise_if_any(target, left)
    Engine(target).remove()


@_remove_environment.register
def _(target: LocalTarget, guarded: list[str], keep: Keep) -> None:
    with target.locked():
        left = _empty(target, guarded, keep)
    # After the environment's lock is released: of two concurrent `down`, the last must see that it is the last.
    local_stack.stop_when_empty(target.checkout, left)
    if line := kept.summary(target.checkout):
        console.note(line, style="dim")


def _empty(target: LocalTarget, guarded: list[str], keep: Keep) -> Left | None:
    """Remove an environment from the local cloud; the leftovers, or None where there is no local cloud."""
    was_up = target.state_file.exists()
    if was_up or local_cloud.has_state(target.checkout):
        # Also if it is not running: only the local cloud knows whether it still has what the state describes.
        local_stack.start_to_take_down(target)
    if was_up:
        lost = losses.is_another_cloud(target)
        if not lost:
            local_stack.settle_lock(target)
            target.is_going = True
            _destroy(target, guarded)
    cloud = local_cloud.running(target.checkout)
    left = None
    if cloud is not None:
        unmanaged.sweep(target, keep.released)
        secret_store.clear(target, keep.secrets)
        left = leftovers.look(target, keep.secrets, keep.buckets, unmanaged.all_of(cloud))
        unmanaged.mention(left.retained, target)
    # Also without a stack: a killed `up` may have written the settings file.
    local_stack.forget(target)
    if left is not None:
        leftovers.raise_if_any(target, left)
    leftovers.clear_files(target)
    if not was_up:
        console.say(f"{target.name} was not up")
    elif lost:
        console.say(f"{target.name} is removed; the local cloud had already lost its resources")
    else:
        console.say(f"{target.name} is removed")
    return left


def _approve(target: Target, yes: bool, confirmed: str | None) -> list[str]:
    """Confirm that an environment is removed; the URNs of resources whose deletion protection must be turned off."""
    resources = protection.resources_of(target)
    if not resources or not target.is_protected:
        if confirmed not in (None, target.name):
            raise WrongInput(f"--confirm {confirmed}: this environment is called {target.name}; nothing was done")
        target.approve("remove everything", yes or confirmed is not None)
        return []
    protection.approve(target, resources, confirmed)
    return [resource.urn for resource in resources if resource.guarded]


def _unprotect(target: Target, guarded: list[str]) -> None:
    if guarded:
        with protection.unprotected_settings(target) as settings:
            Engine(target).unprotect(settings, guarded)


def _destroy(target: Target, guarded: list[str]) -> None:
    _stop_runs(target)
    _unprotect(target, guarded)
    Engine(target).destroy()


def _stop_runs(target: Target) -> None:
    """Stop every run of the environment, so that nothing starts or writes while it is destroyed."""
    if target.deployed is None:
        return
    going = runs.running(target)
    if going:
        with console.step(f"stopping {len(going)} runs"):
            for machine, run_id in going:
                runs.stop(target, machine, run_id)
