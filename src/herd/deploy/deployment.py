"""Bringing an environment up and down, step by step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from herd import console
from herd.checkout import files as project
from herd.checkout import review_dates as reviews
from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.deploy import leftovers, losses, protection, unowned
from herd.deploy.leftovers import Left
from herd.engine import lock as engine_lock
from herd.engine import plan
from herd.engine.changes import Changes, short, type_and_name
from herd.engine.plan import Plan
from herd.engine.pulumi import Engine
from herd.errors import HerdError, Interrupted, WrongInput
from herd.runs import runs, services
from herd.runs import secret_store as vault
from herd.runs import status as state
from herd.runs.follow import Following, describe, follow
from herd.targets import environment_lock as turn
from herd.targets import local_cloud
from herd.targets.target import LocalTarget, Target

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs


@dataclass(frozen=True)
class Review:
    """What a preview has to show: the plan, which services are to be public, whose review is due."""

    plan: Plan
    public_services: frozenset[str]
    due: tuple[reviews.Review, ...]


class Unfit(HerdError):
    """What would change cannot be done; `review` has what is known of it all the same."""

    def __init__(self, message: str, review: Review) -> None:
        super().__init__(message)
        self.review = review


def up(target: Target, run: bool, yes: bool, expected: Path | None = None) -> None:
    """Check, start the local cloud, deploy, wait for services, first runs, addresses.

    With `expected`, a list that `preview` saved, only if that is still what would change. Raises HerdError when any
    of it failed.
    """
    specs = _look_over(target)
    if expected is not None:
        plan.load(expected)
    with _alone(target):
        if isinstance(target, LocalTarget):
            start_cloud(target)
            prepare_stack(target, "making them again")
        engine = Engine(target)
        target.announce()
        if expected is not None or not isinstance(target, LocalTarget):
            # Where it costs money and others work on it, a person sees first what would change.
            planned = engine.preview(Plan(target.checkout.project, target.name, target.checkout.root))
            show_changes(planned)
            if expected is not None:
                plan.expect(planned, expected)
            target.approve("deploy", yes)
        known = _known(target) if target.unsettled else frozenset()
        changes = engine.up()
        show_changes(changes)
        if isinstance(target, LocalTarget):
            unowned.tidy(target)
            losses.record(target, target.cloud.losses)
        if again := [change.name for change in changes.done if (change.sign, change.type, change.name) in known]:
            console.note(f"made again, because they were gone: {losses.listed(again)}")
        # What was exported may have changed with the update.
        target.forget_exports()
        # Services come up while the first run is on its way: they do not need its results to start.
        started = start_first_runs(target, specs) if run else []
        problems = [*services.wait(target), *vault.use_key(target)]
    # Others may have their turn while this one looks on.
    if started:
        _follow(target, started)
    failed = [describe(entry) for following in started for entry in following.failed]
    _addresses(target)
    if not changes.done and not started:
        console.say("nothing changed")
    _mention_failing(target, started)
    for line in reviews.summary(reviews.due(specs)):
        console.note(f"! {line}", style="red")
    if problems or failed:
        raise HerdError("\n".join(["the environment is up, but not everything in it is well:", *problems, *failed]))


def _look_over(target: Target) -> Specs:
    """Read the team's files and the calendar, and say whose review is due soon or overdue: its schedule will be off."""
    specs = project.load(target.checkout, target.name)
    for review in reviews.due(specs):
        console.note(f"! {review}", style="red" if review.expired else "yellow")
    target.expired = reviews.expired(specs)
    return specs


def _known(target: Target) -> frozenset[tuple[str, str, str]]:
    """What a change of a resource would be called that Pulumi's state has, and that has to be made all the same."""
    names = (type_and_name(resource["urn"]) for resource in target.state_resources())
    return frozenset(("+", short(type_), name) for type_, name in names)


@contextmanager
def _alone(target: Target) -> Iterator[None]:
    """Be the only command that changes the environment. On AWS Pulumi's backend sees to that, for all machines."""
    if not isinstance(target, LocalTarget):
        yield
        return
    with turn.taken(target.checkout, target.name) as mine:
        if mine.killed:
            console.note(f"{mine.killed} was killed in the middle; going on from what it left")
        yield
        leftovers.prune(target.checkout)


def show_changes(changes: Changes) -> None:
    """The changes on stdout, what the program and the engine said on stderr."""
    for line in changes.lines():
        console.say(line)
    for message in changes.messages:
        console.note(message)
    for finding in sorted(changes.findings):
        console.note(str(finding), style="yellow")


def preview(target: Target) -> Review:
    """What `up` would do."""
    specs = _look_over(target)
    if isinstance(target, LocalTarget):
        prepare(target)
    public = frozenset(
        name for name, spec in specs.workloads.items() if getattr(spec, "access", "internal") == "public"
    )
    target.announce()
    review = Review(Plan(target.checkout.project, target.name, target.checkout.root), public, tuple(reviews.due(specs)))
    try:
        Engine(target).preview(review.plan)
    except HerdError as error:
        raise Unfit(str(error), review) from None
    return review


def prepare(target: LocalTarget) -> None:
    """The local cloud and a stack in a state that an engine can start from; waits for whoever is at work on it."""
    with _alone(target):
        start_cloud(target)
        prepare_stack(target)


def down(target: Target, yes: bool, confirmed: str | None = None, retained: bool = False) -> None:
    """Stop what runs, destroy, sweep, prove that nothing is left, and stop the local cloud with its last environment.

    A protected one only if `confirmed` is its name, or that is typed. What no state names stays, unless `retained` says
    that it goes too. Raises HerdError that names what is left.
    """
    if retained and not isinstance(target, LocalTarget):
        raise WrongInput("--retained is for local environments: on AWS remove with `aws` what was retained there")
    guarded = _approve_down(target, yes, confirmed)
    keep, adopted = vault.is_protected(target), protection.adopted_buckets(target)
    if isinstance(target, LocalTarget):
        with _alone(target):
            left = _take_down(target, guarded, keep, adopted, retained)
        # Not in the same turn: of two that take their environments down at once, the last must see that it is.
        _rest(target.checkout, left)
        return
    stop_runs(target)
    _unprotect(target, guarded)
    engine = Engine(target)
    engine.destroy()
    vault.clear(target, keep)
    left = leftovers.look(target, keep, adopted)
    if left.unseen:
        console.note(f"could not be looked at: {', '.join(left.unseen)}")
    leftovers.refuse(target, left)
    engine.remove()


def _approve_down(target: Target, yes: bool, confirmed: str | None) -> list[str]:
    """Have it confirmed that an environment goes; the URNs of what cannot be deleted before it is unprotected."""
    resources = protection.held(target)
    if not resources or not protection.is_protected(target):
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


def _take_down(
    target: LocalTarget, guarded: list[str], keep: bool, adopted: frozenset[str], retained: bool
) -> Left | None:
    """Remove an environment from the local cloud; what is left there, or None where there is no local cloud."""
    was_up = target.state_file.exists()
    if was_up or local_cloud.holds(target.checkout):
        # Also if it is not running: only the local cloud can say whether it still holds what the state describes.
        _start_to_take_down(target)
    if was_up:
        lost = losses.is_another_cloud(target)
        if not lost:
            _destroy(target, guarded)
    cloud = local_cloud.running(target.checkout)
    left = None
    if cloud is not None:
        unowned.sweep(target, retained)
        vault.clear(target, keep)
        left = leftovers.look(target, keep, adopted, unowned.all_of(cloud))
        unowned.mention(left.kept, target)
    _forget(target)  # also where there was no stack yet: an `up` that was killed may have written its settings
    if left is not None:
        leftovers.refuse(target, left)
    leftovers.clear_files(target)
    if not was_up:
        console.say(f"{target.name} was not up")
    elif lost:
        console.say(f"{target.name} is removed; the local cloud had already lost what it held")
    else:
        console.say(f"{target.name} is removed")
    return left


def _start_to_take_down(target: LocalTarget) -> None:
    """Start the local cloud. Where a part of it is lost that nobody else needs, the rest is enough to take down."""
    try:
        start_cloud(target, anywhere=True)
    except local_cloud.Lost as lost:
        if set(environments(target.checkout)) - {target.name}:
            raise
        console.note(str(lost).partition(f". {local_cloud.WAY_OUT}")[0])
        console.note(local_cloud.set_aside(target.checkout))
        start_cloud(target, anywhere=True)


def _rest(checkout: Checkout, left: Left | None) -> None:
    """Stop the local cloud when it has nothing more to hold, and see that nothing of it is left."""
    if left and left.came:
        things = "\n".join(f"    {item}" for item in left.came)
        console.note(f"not removed, because no environment made it:\n{things}")
    with local_cloud.guarded(checkout):
        if environments(checkout) or turn.at_work(checkout):
            _leave_foreign_port(checkout)
            return
        if left and left.kept:
            console.note("the local cloud stays up, for what no state of Pulumi's names; `herd stop` stops it")
            return
        if left and left.secrets:
            console.note("the local cloud stays up, for the secrets of protected environments; `herd stop` stops it")
            return
        if left and left.strangers:
            console.note("the local cloud stays up, for what no environment made; `herd stop` stops it")
            return
        cloud = local_cloud.running(checkout)
        if others := _others(cloud):
            console.note(
                f"the local cloud stays up: it holds resources of {', '.join(others)}, whose state is not in "
                f"{checkout.pulumi} any more; put that back, or remove them with `herd down -e NAME`"
            )
            return
        with console.step("stopping the local cloud", quiet=True):
            port = cloud.port if cloud else local_cloud.port(checkout)
            stopped = local_cloud.stop(checkout)
            local_cloud.forget(checkout)
        if not stopped:
            return
    found = [*leftovers.processes(checkout), *leftovers.files(checkout)]
    if port and local_cloud.is_taken(port):
        found.append(f"port {port} is still taken")
    if found:
        raise HerdError(
            "\n".join(["everything is removed, but this is left on this machine:", *(f"    {it}" for it in found)])
        )
    console.note(
        f"nothing is left; kept for the next time: {checkout.state} (address, keys, log), {checkout.cache} (tools)"
    )


def _others(cloud: local_cloud.LocalCloud | None) -> list[str]:
    """Environments of which the local cloud has resources: their state may be missing, they are not."""
    stacks: dict[str, int] = cloud.ask({"do": "status"}).get("stacks", {}) if cloud else {}
    return sorted(name.rpartition("/")[2] for name, count in stacks.items() if count)


def _leave_foreign_port(checkout: Checkout) -> None:
    """End a local cloud that had to start at another port: the addresses of what is still up contain its own."""
    cloud, own = local_cloud.running(checkout), local_cloud.port(checkout)
    if cloud and cloud.port != own and not turn.at_work(checkout):
        local_cloud.stop(checkout)
        console.note(f"the local cloud's own port {own} is taken by another program: it is stopped until that ends")


def _destroy(target: LocalTarget, guarded: list[str]) -> None:
    if engine_lock.settle(target):
        console.note("an earlier update was killed; its lock is removed")
    stop_runs(target)
    _unprotect(target, guarded)
    Engine(target).destroy()


def stop_runs(target: Target) -> None:
    """Stop every run of the environment, so that nothing starts or writes while it is taken away."""
    if target.deployed is None:
        return
    going = runs.running(target)
    if going:
        with console.step(f"stopping {len(going)} runs"):
            for machine, run_id in going:
                runs.stop(target, machine, run_id)


def environments(checkout: Checkout) -> list[str]:
    """The local environments that exist."""
    stacks = checkout.pulumi / ".pulumi" / "stacks" / checkout.project
    return sorted(file.stem for file in stacks.glob("*.json"))


def start_first_runs(target: Target, specs: Specs) -> list[Following]:
    """Start each pipeline, and each job outside of one, that has never succeeded and does not run now.

    Also what has expired: somebody is there, and without its results others cannot be what they are to be.
    """
    exports = target.exports
    expired = set(reviews.expired(specs))
    members = {
        name: {job: exports.batch[job].machine for job in pipeline.members}
        for name, pipeline in exports.pipelines.items()
    }
    in_pipeline = {job for jobs in members.values() for job in jobs}
    started = []
    for name, pipeline in exports.pipelines.items():
        if _is_due(target, pipeline.machine):
            run_id = runs.start(target, pipeline.machine, "first-run")
            started.append(Following(run_id, members[name], pipeline.machine))
            _mention_expired(expired & members[name].keys())
    for name, job in exports.batch.items():
        if name not in in_pipeline and _is_due(target, job.machine):
            started.append(Following(runs.start(target, job.machine, "first-run"), {name: job.machine}))
            _mention_expired(expired & {name})
    return started


def _mention_expired(names: set[str]) -> None:
    if names:
        console.note(f"{', '.join(sorted(names))}: started this once although expired, because of what never succeeded")


def _follow(target: Target, started: list[Following]) -> None:
    console.note("first run:")
    try:
        follow(target, started, show_logs=False)
    except KeyboardInterrupt:
        raise Interrupted(
            "detached: the first run goes on; `herd status` shows it, `herd cancel RUN` stops it"
        ) from None


def _mention_failing(target: Target, started: list[Following]) -> None:
    """Say what has been failing since before: that this update went well must not hide it."""
    shown = {name for following in started for name in following.machines}
    for workload in state.collect(target):
        if workload.state == "failing" and workload.last_run and workload.name not in shown:
            console.note(f"failing since its last run: {describe(workload.last_run)}", style="red")


def _is_due(target: Target, machine: str) -> bool:
    return runs.latest(target, machine, "SUCCEEDED") is None and runs.latest(target, machine, "RUNNING") is None


def start_cloud(target: LocalTarget, anywhere: bool = False) -> None:
    """The local cloud of the target's checkout, if it is not running; `anywhere`: also at another port."""
    with console.step("starting the local cloud", quiet=True) as step:
        # Also where it seems to run: another command may be about to stop it.
        step.result = local_cloud.start(target.checkout, anywhere).endpoint


def prepare_stack(target: LocalTarget, then: str = "`herd up` makes them again") -> None:
    """Make the stack if there is none, and forget one whose resources went with an earlier local cloud.

    Where the cloud may have lost something the engine looks first; `then` says what becomes of what is lost.
    """
    if engine_lock.settle(target):
        console.note("an earlier update was killed; its lock is removed")
    if target.state_file.exists() and losses.is_another_cloud(target):
        aside = _set_state_aside(target)
        console.note(
            "the local cloud was restarted and has lost what it held: making the environment again "
            f"(Pulumi's state of before: {aside})"
        )
        _forget(target)
    if not target.state_file.exists():
        leftovers.remember(target)
        # First: an engine that finds the new state would be right to say that nothing is in it.
        unowned.take_up(target)
        Engine(target).init(target.checkout.pulumi)
        losses.record(target, target.cloud.losses)
    elif losses.suspected(target):
        losses.mention(target, then)
        target.unsettled = True
    losses.record(target)
    if pending := target.pending:
        names = ", ".join(urn.rsplit("::", 1)[-1] for urn in pending)
        with console.step(f"an earlier update was killed in the middle of {names}: looking how that ended"):
            Engine(target).forget_pending()


def _set_state_aside(target: LocalTarget) -> Path:
    """Keep what Pulumi's state said: who puts the local cloud's files back needs it too."""
    aside = target.checkout.folder("pulumi", time.strftime("set-aside-%Y%m%d-%H%M%S"))
    shutil.copy2(target.state_file, aside / target.state_file.name)
    return aside


def _forget(target: LocalTarget) -> None:
    """Remove the stack from the state backend, whatever it lists: its resources have gone."""
    for file in target.state_file.parent.glob(f"{target.name}.json*"):
        file.unlink()
    losses.forget(target)
    target.unsettled = False
    stack_config.path_of(target.checkout, target.name).unlink(missing_ok=True)
    target.forget_exports()


def _addresses(target: Target) -> None:
    rows = [
        [name, workload.kind, workload.url]
        for name, workload in sorted(target.exports.workloads.items())
        if workload.url
    ]
    if rows:
        console.say()
        console.table(["NAME", "KIND", "ADDRESS"], rows)
