"""`herd why`: whether a job is up to date, and if not, what has changed."""

from __future__ import annotations

from herd import console
from herd.commands.options import AsJson, Environment, Name, Stack


def why(name: Name, as_json: AsJson = False, environment: Environment = None, stack: Stack = None) -> None:
    """Say whether the next run of a job in its pipeline is carried out, and what has changed since the last one.

    A run that would repeat the last published one is left out: the same code, image, settings, parameters and inputs.
    `herd run NAME` always runs.

    [dim]herd why choose-model[/dim]
    """
    from herd.deploy.unchanged import verdict
    from herd.targets.choose import choose

    target = choose(environment, stack)
    answer = verdict(target, name)
    if as_json:
        console.json_document({"environment": target.name, **answer.as_json()})
        return
    if answer.runs:
        console.say(f"{name} is carried out when its pipeline runs next:")
        for reason in answer.reasons:
            console.say(f"  {reason}")
    else:
        console.say(f"{name} is up to date: its next run in the pipeline would repeat run {answer.confirms}")
    if answer.here:
        console.note("the files here differ from what is deployed, `herd up` deploys them:")
        for line in answer.here:
            console.note(f"  {line}")
