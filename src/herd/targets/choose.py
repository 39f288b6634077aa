"""The target of a command, from the options `-e` and `--stack`; without them the default local environment."""

from __future__ import annotations

from herd.checkout.find import find_checkout
from herd.errors import WrongInput
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.targets.target import DEFAULT, Target


def choose(environment: str | None, stack: str | None) -> Target:
    """The target that the options `-e` and `--stack` name. Raises WrongInput for both."""
    checkout = find_checkout()
    if stack is not None:
        if environment is not None:
            raise WrongInput("--environment names a local environment and --stack one on AWS: give one of them")
        return AwsTarget(checkout, stack)
    return local(environment)


def local(environment: str | None) -> LocalTarget:
    """The local environment of that name; None: the default, `dev`."""
    return LocalTarget(find_checkout(), DEFAULT if environment is None else environment)


def aws(stack: str) -> AwsTarget:
    """The stack of that name on AWS."""
    return AwsTarget(find_checkout(), stack)
