"""Steps around an update of a local stack: start the local cloud and prepare the stack before it, sweep after it, stop
the local cloud with the last environment. On AWS these steps do nothing.
"""

from __future__ import annotations

import shutil
import time
from functools import singledispatch
from pathlib import Path

from herd import console
from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.deploy import leftovers, unmanaged
from herd.deploy.leftovers import Left
from herd.engine import lock
from herd.engine.pulumi import Engine
from herd.errors import HerdError, WrongInput
from herd.runs import try_r
from herd.targets import environment_lock, local_cloud, losses
from herd.targets.local import LocalTarget
from herd.targets.target import Target

AGAIN = "`herd up` makes them again"
"""End of the message about lost resources, for commands that do not make them again themselves."""


@singledispatch
def prepare(target: Target, then: str = AGAIN) -> None:
    """Start the local cloud, and prepare the stack so that an engine can use it.

    `then`: end of the message about lost resources.
    """


@prepare.register
def _(target: LocalTarget, then: str = AGAIN) -> None:
    start_cloud(target)
    _prepare_stack(target, then)


def prepare_locked(target: Target) -> None:
    """`prepare`, holding the environment's lock."""
    with target.locked():
        prepare(target)


@singledispatch
def settle(target: Target) -> None:
    """After a successful update: remove orphans of interrupted updates, and record the count of losses."""


@settle.register
def _(target: LocalTarget) -> None:
    unmanaged.tidy(target)
    losses.record(target, target.cloud.losses)


def settle_lock(target: LocalTarget) -> None:
    """Remove Pulumi's lock that a killed update has left."""
    if lock.settle(target):
        console.note("an earlier update was killed; its lock is removed")


def start_cloud(target: LocalTarget, anywhere: bool = False) -> None:
    """Start the local cloud of the target's checkout; `anywhere`: at another port if its own is taken."""
    with console.step("starting the local cloud", quiet=True) as step:
        # Also if it answers: another command may be stopping it.
        step.result = local_cloud.start(target.checkout, anywhere).endpoint


def choose_engine(target: Target, engine: str) -> None:
    """Have the checkout's tasks run by an engine from now on. Raises HerdError where that cannot change now."""
    if target.is_shared:
        raise WrongInput("--engine says what runs tasks on this machine; on AWS that is Fargate or your own pool")
    checkout = target.checkout
    now = local_cloud.engine(checkout)
    if engine != now and (there := environments(checkout)):
        ways = "\n".join(f"    herd down -e {name}" for name in there)
        raise HerdError(
            f"the environments of this checkout run with the engine {now}, whose images the engine {engine} does not "
            f"have; remove them first (with their data), then `herd up --engine {engine}`:\n{ways}"
        )
    with console.step("starting the local cloud", quiet=True) as step:
        step.result = local_cloud.start(checkout, chosen=engine).endpoint


def _prepare_stack(target: LocalTarget, then: str) -> None:
    """Make the stack if there is none, and forget one whose local cloud no longer exists.

    After losses, the next update refreshes first. `then`: end of the message about lost resources.
    """
    settle_lock(target)
    if target.state_file.exists() and losses.is_another_cloud(target):
        aside = _set_state_aside(target)
        console.note(
            "the local cloud was restarted without its state: making the environment again "
            f"(Pulumi's state from before: {aside})"
        )
        forget(target)
    if not target.state_file.exists():
        leftovers.record_existing(target)
        # Before the new, empty state exists: resources without any state are adopted by the next update.
        unmanaged.adopt_resources(target)
        Engine(target).init(target.checkout.pulumi)
        losses.record(target, target.cloud.losses)
    elif losses.suspected(target):
        losses.mention(target, then)
        target.unsettled = True
    losses.record(target)
    if pending := target.pending:
        names = ", ".join(urn.rsplit("::", 1)[-1] for urn in pending)
        with console.step(f"an earlier update was killed during {names}: refreshing the state"):
            Engine(target).forget_pending()


def _set_state_aside(target: LocalTarget) -> Path:
    """Keep a copy of Pulumi's state, for a person who restores the local cloud's files; its folder."""
    aside = target.checkout.folder("pulumi", time.strftime("set-aside-%Y%m%d-%H%M%S"))
    shutil.copy2(target.state_file, aside / target.state_file.name)
    return aside


def forget(target: LocalTarget) -> None:
    """Remove the stack's files from the state backend; its resources no longer exist."""
    for file in target.state_file.parent.glob(f"{target.name}.json*"):
        file.unlink()
    losses.forget(target)
    target.unsettled = False
    stack_config.path_of(target.checkout, target.name).unlink(missing_ok=True)
    target.forget_exports()


def environments(checkout: Checkout) -> list[str]:
    """The local environments that exist."""
    stacks = checkout.pulumi / ".pulumi" / "stacks" / checkout.project
    return sorted(file.stem for file in stacks.glob("*.json"))


def start_to_take_down(target: LocalTarget) -> None:
    """Start the local cloud for `herd down`; without a lost part of its state, if no other environment exists."""
    try:
        start_cloud(target, anywhere=True)
    except local_cloud.Lost as lost:
        if set(environments(target.checkout)) - {target.name}:
            raise
        console.note(str(lost).partition(f". {local_cloud.WAY_OUT}")[0])
        console.note(local_cloud.set_aside(target.checkout))
        start_cloud(target, anywhere=True)


def stop_when_empty(checkout: Checkout, left: Left | None) -> None:
    """Stop the local cloud if no environment, secret or other resource is left in it, and check for leftovers.

    Raises HerdError that names processes, files or a port that are left.
    """
    if left and left.added:
        things = "\n".join(f"    {item}" for item in left.added)
        console.note(f"not removed, because they belong to no environment:\n{things}")
    with local_cloud.start_lock(checkout):
        if environments(checkout) or environment_lock.holders(checkout):
            _leave_foreign_port(checkout)
            return
        if left and left.retained:
            console.note("the local cloud stays up, because it holds retained resources; `herd stop` stops it")
            return
        if left and left.secrets:
            console.note(
                "the local cloud stays up, because it holds secrets of protected environments; `herd stop` stops it"
            )
            return
        if left and left.others:
            console.note("the local cloud stays up, because it holds resources of no environment; `herd stop` stops it")
            return
        cloud = local_cloud.running(checkout)
        if others := _others(cloud):
            console.note(
                f"the local cloud stays up: it holds resources of {', '.join(others)}, whose state is no longer in "
                f"{checkout.pulumi}; put that back, or remove them with `herd down -e NAME`"
            )
            return
        with console.step("stopping the local cloud", quiet=True):
            port = cloud.port if cloud else local_cloud.port(checkout)
            stopped = local_cloud.stop(checkout)
            local_cloud.forget(checkout)
        if images := try_r.remove_images(checkout):
            console.note(f"Docker still has images that were built to try: docker image rm {' '.join(images)}")
        if not stopped:
            return
    remains = [*leftovers.processes(checkout), *leftovers.files(checkout)]
    if port and local_cloud.is_taken(port):
        remains.append(f"port {port} is still taken")
    if remains:
        raise HerdError(
            "\n".join(["everything is removed, but this is left on this machine:", *(f"    {it}" for it in remains)])
        )
    console.note(
        f"nothing is left; kept for the next time: {checkout.state} (address, keys, log), {checkout.cache} (tools)"
    )


def _others(cloud: local_cloud.LocalCloud | None) -> list[str]:
    """Environments that have resources in the local cloud, whether or not they have a state file."""
    stacks: dict[str, int] = cloud.ask({"do": "status"}).get("stacks", {}) if cloud else {}
    return sorted(name.rpartition("/")[2] for name, count in stacks.items() if count)


def _leave_foreign_port(checkout: Checkout) -> None:
    """Stop a local cloud that runs at another port than its own, which is in the addresses of its environments."""
    cloud, own = local_cloud.running(checkout), local_cloud.port(checkout)
    if cloud and cloud.port != own and not environment_lock.holders(checkout):
        local_cloud.stop(checkout)
        console.note(f"the local cloud's own port {own} is taken by another program: it is stopped until that ends")
