"""`herd up` and `herd preview`: check the files, deploy, wait for services, start first runs."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from herd import console
from herd.checkout import pauses, review_dates, team_files
from herd.deploy import built_from, ends, environments, local_stack, waiting_pages, why
from herd.engine import saved_plan
from herd.engine.changes import Changes, short, type_and_name
from herd.engine.plan import Plan
from herd.engine.pulumi import Engine
from herd.errors import HerdError, Interrupted, WrongInput
from herd.review import between_files, words
from herd.review.rebuilds import Rebuild
from herd.review.review import Review
from herd.review.words import Words
from herd.runs import alarms, runs, secret_store, services, status
from herd.runs.follow import Following, describe, follow
from herd.targets import losses
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs


class PreviewFailed(HerdError):
    """The preview failed; `review` has what is known of the plan."""

    def __init__(self, message: str, review: Review) -> None:
        super().__init__(message)
        self.review = review


def bring_up(
    target: Target,
    run: bool,
    yes: bool,
    expected: Path | None = None,
    run_by: str | None = None,
    ttl: str | None = None,
) -> None:
    """Check the files, start the local cloud, deploy, wait for services, follow first runs, print addresses.

    `run`: start what has never succeeded. `yes`: do not ask. `expected`: a list that `herd preview --save` wrote;
    nothing is deployed if the plan differs from it. `run_by`: what runs tasks on this machine from now on. `ttl`: how
    long it lasts; None: as before.
    Raises HerdError if any step fails.
    """
    specs = look_over(target)
    if expected is not None:
        saved_plan.load(expected)
    _decide_end(target, ttl)
    with target.locked():
        if run_by is not None:
            local_stack.choose_engine(target, run_by)
        local_stack.prepare(target, "making them again")
        if target.lifetime:
            ends.prepare(target)
        engine = Engine(target)
        target.announce()
        if expected is not None or target.is_shared:
            # On AWS, where it costs money and others use it, the plan is shown and confirmed first.
            planned = engine.preview(Plan(target.checkout.project, target.name, target.checkout.root))
            said = words.of(planned, datetime.now(UTC), public_services(specs), _rebuilds(target, specs))
            show_words(said)
            show_changes(planned)
            hold_budget(said, target.is_shared)
            if expected is not None:
                saved_plan.expect(planned, expected)
            target.approve("deploy", yes)
        known = _known(target) if target.unsettled else frozenset()
        changes = engine.up()
        show_changes(changes)
        local_stack.settle(target)
        if again := [change.name for change in changes.done if (change.sign, change.type, change.name) in known]:
            console.note(f"made again, because they were missing: {losses.listed(again)}")
        target.forget_exports()
        waiting_pages.put(target)
        built_from.write(target, specs)  # before the first runs, whose pages name the commit
        # Before waiting for services, which do not need the first run's results to start.
        started = start_first_runs(target, specs) if run else []
        problems = [*services.wait(target), *secret_store.use_key(target)]
    # Without the lock: other commands may change the environment while this one follows the runs.
    if started:
        follow_first_runs(target, started)
    failed = [describe(entry) for following in started for entry in following.failed]
    _addresses(target)
    if target.lifetime:
        console.say(
            f"it ends by itself at {target.lifetime['ends_at']}; `herd keep {' '.join(target.option)}` moves that"
        )
    for line in alarms.unheard(target):
        console.note(f"! {line}", style="yellow")
    if not changes.done and not started:
        console.say("nothing changed")
    _mention_failing(target, started)
    for line in review_dates.summary(review_dates.due(specs)):
        console.note(f"! {line}", style="red")
    for pause in pauses.in_files(specs):
        console.note(f"– {pause}", style="yellow")
    if target.exports.rests:
        console.note(f"– {pauses.ALL}", style="yellow")
    if problems or failed:
        raise HerdError("\n".join(["the environment is up, with failures:", *problems, *failed]))


def _decide_end(target: Target, ttl: str | None) -> None:
    """Set `target.lifetime`. Raises WrongInput for an environment that is kept, and for one too many of a person."""
    target.lifetime = ends.decide(target, ttl)
    if target.lifetime and target.deployed is None:
        every = environments.beside(target)
        environments.refuse_too_many(target, target.lifetime["made_by"], ends.limit(target), every)


def preview(target: Target) -> Review:
    """The plan of `herd up`. Raises PreviewFailed with what is known of it."""
    specs = look_over(target)
    target.lifetime = ends.as_it_is(target)
    local_stack.prepare_locked(target)
    target.announce()
    review = Review(
        Plan(target.checkout.project, target.name, target.checkout.root),
        public_services(specs),
        tuple(review_dates.due(specs)),
        tuple(pauses.in_files(specs)),
        _rebuilds(target, specs),
    )
    try:
        Engine(target).preview(review.plan)
    except HerdError as error:
        raise PreviewFailed(str(error), review) from None
    return review


def _rebuilds(target: Target, specs: Specs) -> tuple[Rebuild, ...]:
    """Why images are built again; none where the files are wrong, which the program refuses with all that is wrong."""
    with suppress(WrongInput):
        return tuple(why.rebuilds(target, specs))
    return ()


def preview_of_files(target: Target, against: str) -> Review:
    """What the files of this checkout change against others: a folder's, or a commit's. No cloud is asked, and nothing
    but the files: it works without any account. Raises WrongInput, and PreviewFailed for what the policy refuses.
    """
    checkout, name = target.checkout, target.name
    with between_files.tree_of(checkout, against) as other:
        specs = look_over(target)
        after = between_files.declared(checkout, name)
        try:
            before = between_files.declared(other, name, checkout.python)
        except WrongInput as error:
            raise WrongInput(f"--against {against}: these files are wrong themselves:\n{error}") from None
    review = Review(
        between_files.plan_between(before, after, checkout, name),
        public_services(specs),
        tuple(review_dates.due(specs)),
        tuple(pauses.in_files(specs)),
        tuple(between_files.rebuilds(before, after)),
        against,
    )
    if review.plan.only_refused:
        raise PreviewFailed("\n".join(review.plan.errors), review)
    return review


def public_services(specs: Specs) -> frozenset[str]:
    """Names of the services that everybody may reach."""
    return frozenset(name for name, service in specs.services.items() if service.access == "public")


def look_over(target: Target) -> Specs:
    """Read and check the workloads' settings; print review dates that are near or past, and set `target.expired`."""
    specs = team_files.load(target.checkout, target.name)
    for review in review_dates.due(specs):
        console.note(f"! {review}", style="red" if review.expired else "yellow")
    target.expired = review_dates.expired(specs)
    return specs


def hold_budget(said: Words, is_shared: bool) -> None:
    """Raises HerdError where the environment would cost more than its budget in any case. Only on AWS does it cost."""
    if is_shared and said.is_too_dear:
        raise HerdError(f"nothing was done: {said.over_budget}; raise it, or `herd cost` says what would save most")


def show_words(review: Words) -> None:
    """Print what a plan changes in the words of the settings to stdout, what is dangerous to stderr."""
    for line in review.lines:
        console.say(line)
    for line in review.cost_lines:
        console.say(f"cost: {line}")
    if review.note:
        console.note(review.note)
    for danger in review.dangers:
        console.note(f"! {danger.what}: {danger.why}; instead: {danger.instead}", style="red")
        for detail in danger.details:
            console.note(f"    {detail}")


def show_changes(changes: Changes) -> None:
    """Print the changes to stdout, messages of the program and the engine to stderr."""
    for line in changes.lines():
        console.say(line)
    for message in changes.messages:
        console.note(message)
    for finding in sorted(changes.findings):
        console.note(str(finding), style="yellow")


def _known(target: Target) -> frozenset[tuple[str, str, str]]:
    """Sign, type and name that a change has which creates a resource although Pulumi's state has it: it was lost."""
    names = (type_and_name(resource["urn"]) for resource in target.state_resources())
    return frozenset(("+", short(type_), name) for type_, name in names)


def start_first_runs(target: Target, specs: Specs) -> list[Following]:
    """Start each pipeline, and each job outside of one, that has never succeeded and does not run now.

    Expired workloads too: a person is present, and other workloads need their results. Not what is paused: whoever
    paused it knows why it should not run.
    """
    exports = target.exports
    expired = set(review_dates.expired(specs))
    members = {
        name: {job: exports.batch[job].machine for job in pipeline.members}
        for name, pipeline in exports.pipelines.items()
    }
    in_pipeline = {job for jobs in members.values() for job in jobs}
    started = []
    for name, pipeline in exports.pipelines.items():
        if not pipeline.paused and _is_due(target, pipeline.machine):
            run_id = runs.start(target, pipeline.machine, "first-run")
            started.append(Following(run_id, members[name], pipeline.machine))
            _mention_expired(expired & members[name].keys())
    for name, job in exports.batch.items():
        if name not in in_pipeline and not job.paused and _is_due(target, job.machine):
            started.append(Following(runs.start(target, job.machine, "first-run"), {name: job.machine}))
            _mention_expired(expired & {name})
    return started


def _mention_expired(names: set[str]) -> None:
    if names:
        console.note(f"{', '.join(sorted(names))}: expired, and started this once because it has never succeeded")


def follow_first_runs(target: Target, started: list[Following]) -> None:
    console.note("first run:")
    try:
        follow(target, started, show_logs=False)
    except KeyboardInterrupt:
        raise Interrupted(
            "detached: the first run goes on; `herd status` shows it, `herd cancel RUN` stops it"
        ) from None


def _mention_failing(target: Target, started: list[Following]) -> None:
    """Print which workloads were failing before this update, which a successful update would hide."""
    shown = {name for following in started for name in following.machines}
    for workload in status.collect(target):
        if workload.state == "failing" and workload.last_run and workload.name not in shown:
            console.note(f"failing since its last run: {describe(workload.last_run)}", style="red")


def _is_due(target: Target, machine: str) -> bool:
    return runs.latest(target, machine, "SUCCEEDED") is None and runs.latest(target, machine, "RUNNING") is None


def _addresses(target: Target) -> None:
    rows = [
        [name, workload.kind, workload.url]
        for name, workload in sorted(target.exports.workloads.items())
        if workload.url
    ]
    if rows:
        console.say()
        console.table(["NAME", "KIND", "ADDRESS"], rows)
    if target.inbox is not None and target.inbox.page:
        console.say()
        console.say(f"mail that it sends arrives at {target.inbox.page}, and `herd inbox` lists it")
