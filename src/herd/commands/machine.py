"""`herd env` and `herd doctor`: the shell's variables for plain Pulumi and aws, and what is wrong with this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from herd import console
from herd.checkout import names
from herd.commands.options import AsJson, Environment, Stack
from herd.errors import HerdError, WrongInput


def env(
    environment: Environment = None,
    stack: Stack = None,
    docker_login: Annotated[
        bool,
        typer.Option("--docker-login", help="Print only a login to the image registry, as DOCKER_AUTH_CONFIG has it."),
    ] = False,
) -> None:
    """Print what makes plain `pulumi` and `aws` work on a local environment; for eval "$(herd env)".

    Starts the local cloud if it is not running: its address and credentials are part of it.

    With --stack: what plain `pulumi` needs for a stack on AWS beside your own login and profile, which stay.

    Among it is a login to the image registry, for twelve hours; it is fetched when the shell evaluates the lines.
    """
    from herd.checkout import review_dates
    from herd.deploy import local_stack
    from herd.targets import pulumi_env, registry_login
    from herd.targets.choose import choose

    target = choose(environment, stack)
    if docker_login:
        console.document(registry_login.config(target) + "\n")
        return
    login = {registry_login.VARIABLE: registry_login.command(target)}
    if not target.is_shared:  # a shell for AWS asks nothing of AWS
        target.announce()
        target.expired = review_dates.expired_in(target.checkout, target.name)
        if target.expired:
            console.note(f"expired, so their schedules are off: {', '.join(target.expired)}", style="red")
        local_stack.prepare_locked(target)
    console.document(pulumi_env.script(target.shell_variables(), commands=login) + "\n")


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired without losing anything.")] = False,
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside", help="Go on without what the local cloud cannot read any more; a copy of all of it stays."
        ),
    ] = False,
    aws: Annotated[
        bool, typer.Option("--aws", help="Look at the AWS account of --stack instead: what is missing to deploy there.")
    ] = False,
    as_json: AsJson = False,
    stack: Stack = None,
) -> None:
    """Check this machine and checkout, and say for each thing that is wrong what to do about it.

    [dim]herd doctor --aws --stack prod[/dim]    credentials, account, region, quotas, public buckets, state machines …
    """
    from herd.checkout.find import find_checkout
    from herd.doctor import checks
    from herd.targets import local_cloud

    if set_aside:
        if aws or stack is not None:
            raise WrongInput("--set-aside is about this checkout's local cloud; what is on AWS stays")
        console.say(local_cloud.set_aside(find_checkout()))
    if aws:
        from herd.doctor import aws_account
        from herd.targets import choose

        if stack is None:
            raise WrongInput("--aws looks at a stack on AWS: name it with --stack")
        if fix:
            raise WrongInput("--fix repairs this machine; what is wrong in an account is yours to change")
        findings = aws_account.run_checks(choose.aws(stack))
    elif stack is not None:
        raise WrongInput("--stack names a stack on AWS: `herd doctor --aws --stack " + stack + "` looks at it")
    else:
        findings = checks.run_checks()
    if fix:
        console.note(f"in {find_checkout().root}:")
        for line in checks.fix(findings):
            console.say(line)
        findings = checks.run_checks()
    if as_json:
        listed = [
            {"what": f.what, "good": f.good, "state": f.state, "advice": "" if f.good else f.advice} for f in findings
        ]
        console.json_document({"findings": listed})
        if not all(finding.good for finding in findings):
            raise typer.Exit(1)
        return
    console.table(
        ["", "WHAT", "FOUND"],
        [["!" if f.note else "✓" if f.good else "✗", f.what, f.state] for f in findings],
        {"✗": "red", "✓": "green", "!": "yellow"},
    )
    wrong = [finding for finding in findings if not finding.good]
    if wrong:
        lines = [f"{finding.what}: {finding.advice}" for finding in wrong]
        if not fix and any(finding.repair for finding in wrong):
            names = ", ".join(finding.what for finding in wrong if finding.repair)
            lines.append(f"`herd doctor --fix` repairs: {names}")
        raise HerdError("\n".join(lines))


def bootstrap(
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="ID", help="The 12 digits.", show_default=False, callback=names.some),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="NAME", help="Like eu-west-1.", show_default=False, callback=names.some),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository",
            metavar="OWNER/NAME",
            help="On GitHub, whose workflows deploy.",
            show_default=False,
            callback=names.some,
        ),
    ] = None,
    repository_id: Annotated[
        str | None,
        typer.Option("--repository-id", metavar="NUMBER", help="Its number.", show_default=False, callback=names.some),
    ] = None,
    owner_id: Annotated[
        str | None,
        typer.Option(
            "--owner-id", metavar="NUMBER", help="The number of its owner.", show_default=False, callback=names.some
        ),
    ] = None,
    here: Annotated[bool, typer.Option("--local", help="Try it on this machine's local cloud.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make an AWS account ready, once: buckets for state and kept data, shared images, the boundary, GitHub's roles.

    Shows what is to be made and asks. Its settings are in bootstrap/Pulumi.main.yaml; the first run writes them from
    the options. Run again, it does what has changed in the settings.

    [dim]herd bootstrap --account 123456789012 --region eu-west-1[/dim]
    [dim]herd bootstrap --local[/dim]    the same on this machine
    """
    from herd.deploy import bootstrap_account

    options = bootstrap_account.Options(account, region, repository, repository_id, owner_id)
    chosen = bootstrap_account.choose(options, here)
    made = bootstrap_account.make_ready(chosen, yes)
    console.say(bootstrap_account.advice(made))
