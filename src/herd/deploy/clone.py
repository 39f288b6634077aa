"""`herd clone`: a functionally identical environment beside one that is up, and the proof that it is one.

The steps can be repeated: the settings file is made once and says whose copy it is, data is copied object by object,
what has succeeded does not run again. So a clone that was killed goes on with `--resume`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from herd import console
from herd.checkout import stack_copy, team_files
from herd.deploy import compare, inventory, local_stack, up
from herd.errors import HerdError, WrongInput
from herd.infra.images.build_context import Stager, StagingError, content_hash
from herd.review import settings
from herd.review.difference import Difference
from herd.review.settings import Changed, Written
from herd.runner.contract import keys
from herd.runner.contract.documents import Snapshot
from herd.runner.contract.statuses import SUCCEEDED_RUN
from herd.runs import runs, secret_store, snapshots, status
from herd.runs.follow import describe
from herd.targets.target import Target


@dataclass(frozen=True)
class Cloned:
    """`ran`: workload -> how its run ended, or why it did not run. `failed`: those that did not pass."""

    differences: tuple[Difference, ...]
    ran: dict[str, str]
    failed: tuple[str, ...]

    @property
    def unnamed(self) -> int:
        """Differences that no file names."""
        return sum(not row.named for row in self.differences)


def copy_of(
    source: Target, copy: Target, *, snapshot: str | None, chosen: Sequence[str], resume: bool, yes: bool
) -> Cloned:
    """Make `copy` from `source`, run each of its workloads once, and compare the two.

    Raises WrongInput for what is refused before anything is made, HerdError for a step that fails.
    """
    compare.require_two(source.name, copy.name)
    wanted = stack_copy.chosen(chosen)
    if not resume and copy.is_shared:
        _refuse_where_it_exists(source, copy)
    data = _looked_over(source, snapshot)
    if resume:
        _refuse_where_it_is_no_copy(source, copy)
        if wanted:
            raise WrongInput(f"--set is for a new copy; to change {copy.name}, edit {_file(copy).name} and --resume")
    else:
        if not copy.is_shared:
            _refuse_where_it_exists(source, copy)
        _write_settings(source, copy, wanted)
    again = f"`{command(source, copy, snapshot)} --resume`"
    if not copy.may_exist():
        copy.init_stack(None)
    _ask_for_secrets(copy, again)
    try:
        up.bring_up(copy, run=False, yes=yes)
        if data is not None:
            _copy_data(source, copy, data)
        ran, failed = _run_all(copy)
    except HerdError as error:
        raise HerdError(f"{error}\n{copy.name} is not a whole copy yet; go on with {again}") from None
    copy.forget_exports()
    return Cloned(tuple(compare.compare(source, copy)), ran, tuple(failed))


def command(source: Target, copy: Target, snapshot: str | None) -> str:
    """What a person types to make this copy."""
    data = f" --with-data {snapshot}" if snapshot else ""
    return f"herd clone {source.name} {copy.name}{data}{'' if not copy.is_shared else ' --on-aws'}"


# --- before anything is made ----------------------------------------------------------------------------------------


def _looked_over(source: Target, snapshot: str | None) -> Snapshot | None:
    """The snapshot to begin with. Refuses a source of which the files of this checkout would make no copy."""
    source.require_exports()
    if problems := _other_than_deployed(source):
        raise WrongInput(
            "\n".join(
                [
                    f"the files here are not what {source.name} was deployed from, so they make no copy of it; check "
                    f"out what it was deployed from, or deploy it (`herd up {' '.join(source.option)}`):",
                    *(f"    {problem}" for problem in problems),
                ]
            )
        )
    if snapshot is None:
        return None
    taken = snapshots.find(source, snapshot)
    if gone := snapshots.gone(source, taken):
        raise HerdError(
            f"the snapshot {snapshot} is no longer whole: "
            + ", ".join(f"{count} files of {name} are gone" for name, count in gone.items())
        )
    return taken


def _other_than_deployed(source: Target) -> list[str]:
    """A line for each setting and each workload's files that differ from what is deployed."""
    from herd.infra.settings.schema import OF_ITS_ACCOUNT

    exported = source.exports.settings
    deployed = Written(exported.workloads, exported.stack) if exported else Written()
    # A local environment has its account's things, and its addresses, from the place where it is.
    of_place = (*OF_ITS_ACCOUNT, *stack_copy.BY_PLACE) if not source.is_shared else stack_copy.BY_PLACE
    changes = settings.changes(deployed, compare.written(source))
    problems = [
        f"{change} (deployed → here)"
        for change in changes
        if not (isinstance(change, Changed) and not change.kind and change.setting in of_place)
    ]
    specs = team_files.load(source.checkout, source.name).workloads
    stager = Stager(source.checkout.root, source.name)
    for name, spec in specs.items():
        entry = source.exports.workloads.get(name)
        try:
            now = content_hash(stager.tree(spec))
        except StagingError as error:
            problems.append(str(error))
            continue
        if entry is not None and entry.content_hash not in (None, now):
            problems.append(f"{spec.kind} {name}: its image is built from other files")
    return problems


def _refuse_where_it_exists(source: Target, copy: Target) -> None:
    """Raises WrongInput where the name is taken: by a file, a stack, or what one has left."""
    path = _file(copy)
    if of := stack_copy.source_of(copy.checkout, copy.name):
        way = f"`{command(source, copy, None)} --resume` goes on with it; or " if of == source.name else ""
        raise WrongInput(
            f"{copy.name} is there already: {path.name} says that it is a copy of {of}. {way}`herd down "
            f"{' '.join(copy.option)}` and remove {path.name}, for a new one"
        )
    if path.exists():
        raise WrongInput(f"{path.name} is there already: {copy.name} is an environment of its own; choose another name")
    if not copy.is_shared:
        items = [] if not copy.state_resources() else [f"the environment {copy.name} is up"]
        if not items:
            there = inventory.take(copy).items
            items = [str(item) for item in there if item.environment == copy.name and item.kind != "secret"]
    else:
        items = [f"the stack {copy.name}"] if copy.may_exist() else []
    if items:
        raise WrongInput(
            f"{copy.name} is there already ({', '.join(items[:3])}{', …' if len(items) > 3 else ''}); choose another "
            f"name, or `herd down {' '.join(copy.option)}` first"
        )


def _refuse_where_it_is_no_copy(source: Target, copy: Target) -> None:
    of = stack_copy.source_of(copy.checkout, copy.name)
    if of != source.name:
        says = f"says that it is a copy of {of}" if of else "is not there, or no copy's"
        raise WrongInput(
            f"there is no copy of {source.name} to go on with: {_file(copy).name} {says}; without --resume one is made"
        )


def _file(target: Target) -> Path:
    return stack_copy.path_of(target.checkout, target.name)


def _write_settings(source: Target, copy: Target, chosen: dict[str, object]) -> None:
    from herd.checkout import stack_config

    tracked = stack_config.tracked(source.checkout, source.name) if not source.is_shared else None
    if copy.is_shared and "image_repositories" not in chosen and not source.exports.adopted.get("image_repositories"):
        # What is in a repository already is not built again, so the copy runs the very bytes that the source runs.
        chosen = {**chosen, "image_repositories": f"{source.exports.project}-{source.exports.environment}"}
    made = stack_copy.made(source.checkout, source.name, copy.name, tracked or _file(source), chosen)
    made.write(source.name)
    console.note(f"{made.path.name} is made from {(tracked or _file(source)).name}; nothing in it starts by itself")
    if made.encrypted:
        ways = "\n".join(f"    pulumi config set --secret --stack {copy.name} --path {key}…" for key in made.encrypted)
        raise HerdError(
            f"only {source.name} can read its encrypted settings; set them for {copy.name}, then go on with "
            f"`{command(source, copy, None)} --resume`:\n{ways}"
        )


def _ask_for_secrets(copy: Target, again: str) -> None:
    """Secrets are never copied: each is asked for on a terminal. Raises HerdError with those that are missing."""
    import sys

    local_stack.prepare_locked(copy)
    missing = secret_store.missing(copy)
    if missing and sys.stdin.isatty():
        for name, users in missing.items():
            console.note(f"{', '.join(users)} needs the secret {name}, which is not copied")
            secret_store.put(copy, name, secret_store.ask(name, None))
        return
    if missing:
        option = " ".join(copy.option)
        ways = [f"    herd secret set {name} {option}    # for {', '.join(users)}" for name, users in missing.items()]
        raise HerdError(
            "\n".join(["secrets are not copied; set those of the copy:", *ways, f"then go on with {again}"])
        )


# --- afterwards -----------------------------------------------------------------------------------------------------


def _copy_data(source: Target, copy: Target, data: Snapshot) -> None:
    """The versions that the snapshot names become the current ones of the copy, where it has none yet."""
    there = snapshots.current_versions(copy)
    bucket = copy.exports.data_bucket
    wanted = {name: version for name, version in data.outputs.items() if name in copy.exports.batch}
    with console.step(f"copying the snapshot {data.name}") as step:
        s3 = copy.client("s3")
        for name, version in wanted.items():
            if name in there:
                continue
            files = [f"{version.prefix}{file.path}" for file in version.files]
            runs.in_parallel(
                lambda key: s3.copy({"Bucket": source.exports.data_bucket, "Key": key}, bucket, key), files
            )
            step.update(name)
            # Last: until then nobody sees a version that is not whole.
            s3.put_object(
                Bucket=bucket, Key=keys.latest_key(name), Body=version.to_json(), ContentType="application/json"
            )
        step.result = ", ".join(sorted(wanted)) or "nothing that the copy has"


def _run_all(copy: Target) -> tuple[dict[str, str], list[str]]:
    """Run each workload that has not succeeded yet, in the order of its pipeline; how each ended, and what failed."""
    specs = team_files.load(copy.checkout, copy.name)
    started = up.start_first_runs(copy, specs)
    if started:
        up.follow_first_runs(copy, started)
    ran: dict[str, str] = {}
    failed = []
    ended = {run.workload: run for following in started for run in following.runs.values()}
    for workload in status.collect(copy):
        run = ended.get(workload.name) or workload.last_run
        if workload.name in copy.exports.services:
            ran[workload.name] = workload.state
            passed = workload.state in ("healthy", "asleep")
        elif workload.name in copy.exports.batch and specs.pause(workload.name):
            ran[workload.name] = f"not run: paused, {specs.pause(workload.name)}"
            passed = True
        else:
            ran[workload.name] = describe(run).partition(f" {workload.name} ")[2] if run else "never ran"
            passed = run is not None and run.status == SUCCEEDED_RUN
        if not passed:
            failed.append(workload.name)
    return ran, failed
