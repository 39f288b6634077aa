"""The settings of a pull request's environment on AWS: Pulumi.pr-17.yaml, made of dev's for a workflow's own checkout.

`python -m herd.checkout.pull_request NUMBER` writes it, where no such file is there, and prints the provider of the
stack's secrets; with `--here`, for the local cloud, it only looks at the number.
Whoever may push a branch has such an environment run its code. So it shares nothing with those that are kept: no
bucket, no address, no repository of images, no secret, and its roles have a boundary of their own.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from herd import console
from herd.checkout import stack_config, stack_copy
from herd.checkout.find import Checkout, find_checkout
from herd.errors import HerdError, WrongInput
from herd.infra.naming import boundary_name
from herd.infra.settings.keys import config_key, own
from herd.toolchain import atomic

NUMBER = re.compile(r"[1-9][0-9]{0,8}")

LEFT_OUT = (*stack_copy.ALONE, "dns_zone", "image_repositories", "log_bucket", "protect", "ends_at", "made_by")
"""Settings of dev that a pull request's environment has not: what is others', or for those that are kept."""


def stack_name(number: str) -> str:
    """`17` -> `pr-17`. Raises WrongInput for what is no pull request's number."""
    if not NUMBER.fullmatch(number):
        raise WrongInput(f"{number!r} is no pull request's number, like 17")
    return f"pr-{number}"


def settings(checkout: Checkout) -> dict[str, Any]:
    """The content of the file. Raises WrongInput where there is no dev to take it from, or dev is not as `dev` is."""
    source = checkout.root / f"Pulumi.{stack_config.TEMPLATE}.yaml"
    if not source.exists():
        raise WrongInput(f"{source.name} is not there: a pull request's environment has its settings")
    file = stack_config.read(source)
    config = dict(file.get("config") or {})
    known = own(config)
    if known.get("profile", "dev") != "dev":
        raise WrongInput(
            f"{source.name}: herd:profile is {known['profile']}; a pull request's environment is like dev's"
        )
    left_out = {config_key(name) for name in LEFT_OUT}
    kept = {key: value for key, value in config.items() if key not in left_out and not stack_copy.is_encrypted(value)}
    boundary = str(known.get("boundary") or "")
    shared, narrow = (boundary_name(checkout.project, of_pull_requests=is_own) for is_own in (False, True))
    if boundary.endswith(f":policy/{shared}"):
        kept[config_key("boundary")] = f"{boundary.removesuffix(shared)}{narrow}"
    provider = {"secretsprovider": file["secretsprovider"]} if "secretsprovider" in file else {}
    return {**provider, "config": kept}


def write(checkout: Checkout, name: str) -> str:
    """Write the file of a stack, unless the team has one; the provider of its secrets, "" for the backend's own."""
    import yaml

    path = stack_copy.path_of(checkout, name)
    if not path.exists():
        head = f"# {name}: dev's settings, for a pull request. Made by a workflow for itself; not to be committed.\n"
        atomic.write(path, head + yaml.safe_dump(settings(checkout), sort_keys=False, allow_unicode=True), 0o644)
    return str(stack_config.read(path).get("secretsprovider") or "")


def main(arguments: list[str]) -> int:
    """The exit status: 2 for wrong input, with the reason."""
    try:
        if not 1 <= len(arguments) <= 2 or arguments[1:] not in ([], ["--here"]):
            raise WrongInput(f"{arguments!r}: give one pull request's number, and --here or nothing")
        name = stack_name(arguments[0])
        provider = "" if arguments[1:] else write(find_checkout(), name)
    except HerdError as error:
        console.note(f"pull_request: {error}", style="red")
        return 2
    print(provider)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
