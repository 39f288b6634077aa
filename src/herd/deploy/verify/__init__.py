"""`herd verify`: deploy a small environment, test each promise on it, remove it, and write a report file.

It uses the code of `herd up` and `herd down`, so that what is verified is what a team deploys. The environment is
removed whatever happens; leftovers of a killed verification are removed by the next one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from herd import console
from herd.checkout import stack_config
from herd.checkout.find import Checkout, find_checkout
from herd.deploy import up
from herd.deploy.verify import environment, promises, report
from herd.deploy.verify.environment import Record
from herd.deploy.verify.promises import Outcome
from herd.deploy.verify.redaction import Redaction, words_of_settings, words_of_this_machine
from herd.errors import HerdError, Interrupted, WrongInput
from herd.infra.prices import VERIFY_AT_MOST_USD
from herd.infra.settings.keys import own
from herd.targets.aws import AwsTarget
from herd.targets.target import Target
from herd.toolchain import atomic

DEPLOYED = ("deployed", "the environment is deployed, its first runs succeed, its services are healthy")
REMOVED = ("removed", "it is removed, and nothing of it is left")


def verify_environment(stack: str | None, account: str | None, yes: bool, file: Path) -> bool:
    """Verify this machine, or the settings and account of `stack`; True if every promise was kept. Writes `file`.

    Raises HerdError where it cannot begin, WrongInput for an account that is not the stack's.
    """
    checkout = find_checkout()
    verified = AwsTarget(checkout, stack) if stack else None
    if verified:
        _approve(verified, account, yes)
    with environment.verification_lock(checkout), _signals_interrupt():
        for record in environment.left_behind(checkout):
            _remove_left(checkout, record)
        record = environment.plan(checkout, stack)
        outcomes: list[Outcome] = []
        console.note(f"the environment {record.name} is made, looked at and removed")
        environment.note(checkout, record)
        target = environment.stage(checkout, record)
        # Before its files are removed.
        redact, settings = _redaction(checkout, target, record, verified), _settings(target)
        try:
            _look(checkout, target, record, outcomes)
        except (KeyboardInterrupt, Interrupted):
            console.note("interrupted: removing the environment; press Ctrl-C again to leave that to the next run")
            outcomes += _not_tried(outcomes, "interrupted")
        outcomes.append(_take_down(checkout, target, record))
        done = report.Verified(_where(verified), settings, outcomes, target.pulumi)
        atomic.write(file, report.render(done, redact))
        _show(outcomes, file)
    return done.is_good


def _not_tried(outcomes: list[Outcome], why: str) -> list[Outcome]:
    """Outcomes of the promises that were not tested; the first of them failed if there is a reason (`why`)."""
    known = {outcome.key for outcome in outcomes}
    every = [DEPLOYED, *((promise.key, promise.says) for promise in promises.PROMISES)]
    missing = [(key, says) for key, says in every if key not in known]
    return [
        Outcome(key, says, "no" if why and not at else "not tried", 0.0, why if not at else "")
        for at, (key, says) in enumerate(missing)
    ]


def _look(checkout: Checkout, target: Target, record: Record, outcomes: list[Outcome]) -> None:
    """Deploy the environment and test each promise; appends to `outcomes`."""
    noted = replace(record, made=True)
    environment.note(checkout, noted)

    def deploy() -> None:
        environment.make_stack(target, noted)
        up.bring_up(target, run=True, yes=True)

    outcomes.append(promises.attempt(*DEPLOYED, deploy))
    target.forget_exports()
    if not _is_deployed(target):
        outcomes += _not_tried(outcomes, "")
        return
    for promise in promises.PROMISES:
        with console.step(promise.says, quiet=True) as step:
            outcomes.append(promises.attempt(promise.key, promise.says, _tried(promise, target, record)))
            step.result = outcomes[-1].kept


def _tried(promise: promises.Promise, target: Target, record: Record) -> Callable[[], None]:
    return lambda: promise.look(target, record.word)


def _is_deployed(target: Target) -> bool:
    try:
        return target.deployed is not None
    except HerdError:
        return False


def _take_down(checkout: Checkout, target: Target, record: Record) -> Outcome:
    """Remove the environment. Its record stays while anything may be left, so that the next verification continues."""

    def remove() -> None:
        target.forget_exports()
        environment.take_down(target, record)
        environment.forget(checkout, record)

    try:
        outcome = promises.attempt(*REMOVED, remove)
    except (KeyboardInterrupt, Interrupted):
        outcome = Outcome(*REMOVED, "no", 0.0, "interrupted")
    if outcome.kept == "no":
        return replace(outcome, why=f"{outcome.why}\nrunning `herd verify` again removes the leftovers")
    return outcome


def _remove_left(checkout: Checkout, record: Record) -> None:
    console.note(f"an earlier verification was interrupted; removing its environment {record.name}")
    if record.made:
        target = environment.stage(checkout, record)
        target.announce()
        environment.take_down(target, record)
    environment.forget(checkout, record)


def _approve(target: AwsTarget, account: str | None, yes: bool) -> None:
    """Print what it does, its cost and duration, and ask for the account's number. Raises HerdError if not given."""
    if yes and account is None:
        raise WrongInput("--yes needs --account with the 12 digits of the account that the environment is made in")
    target.announce()
    if account not in (None, target.account):
        raise WrongInput(f"--account {account}: your credentials are of {target.account}; nothing was done")
    console.note(
        f"It makes an environment of its own there, with the settings of the stack {target.name}: a network unless the "
        "stack adopts one, a job, a report, an API, a load balancer.\n"
        "That takes 10 to 40 minutes (CloudFront and certificates are slow) and costs less than "
        f"{VERIFY_AT_MOST_USD} USD; then all of it "
        "is removed. A key that it makes is deleted by AWS after its waiting period."
    )
    if yes:
        return
    typed = account or console.ask("type the account's number to go on: ")
    if typed is None:
        raise HerdError(
            f"nobody is at the terminal to say the account; in scripts: herd verify --stack {target.name} "
            "--account ID --yes"
        )
    if typed != target.account:
        raise HerdError("that is not its number; nothing was done")


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C, which a terminal sends to the child processes too."""

    def interrupt(*_: object) -> None:
        import psutil

        for child in psutil.Process().children():
            with suppress(psutil.Error, OSError):
                if os.getpgid(child.pid) == os.getpgrp():
                    child.send_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(target: Target) -> dict[str, Any]:
    return own(stack_config.read(target.checkout.root / f"Pulumi.{target.name}.yaml").get("config") or {})


def _where(verified: AwsTarget | None) -> str:
    return f"AWS, {verified.region}" if verified else "the local cloud"


def _redaction(checkout: Checkout, target: Target, record: Record, verified: AwsTarget | None) -> Redaction:
    words = dict.fromkeys(words_of_settings(_settings(target)), "<name>")
    words |= dict.fromkeys((checkout.project, record.name, record.stack or ""), "<name>")
    words |= {str(checkout.root): "<checkout>", record.folder: "<checkout>", record.word: "<word>"}
    if verified:
        words |= {verified.account: "<account>"}
    return Redaction({**words, **words_of_this_machine()})


def _show(outcomes: list[Outcome], file: Path) -> None:
    console.say()
    rows = [[outcome.kept, f"{outcome.seconds:.1f} s", outcome.says] for outcome in outcomes]
    console.table(["KEPT", "TOOK", "PROMISE"], rows, {"yes": "green", "no": "red", "not tried": "yellow"})
    for outcome in outcomes:
        if outcome.kept == "no":
            console.note(f"✗ {outcome.says}:\n{outcome.why}", style="red")
    console.say(f"wrote {file}: no account number, name or secret is in it; it can be attached to an issue")
