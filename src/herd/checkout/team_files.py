"""The team's files, read and checked before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.errors import WrongInput

if TYPE_CHECKING:
    from herd.infra.offer import Offer
    from herd.infra.spec.load import Specs


def load(checkout: Checkout, environment: str, needed: str | None = None) -> Specs:
    """Every workload's settings. Raises WrongInput with one line for each problem of every file.

    `needed`: the workload that is asked about, "" for none; then only its problems and those of what it needs count,
    and the unfinished folders of others are left out.
    """
    from herd.infra.spec.load import SpecErrors, load_specs

    try:
        return load_specs(checkout.root, environment, offer(checkout, environment), needed)
    except SpecErrors as error:
        raise WrongInput(str(error)) from None


def read(checkout: Checkout, environment: str) -> Specs:
    """Every workload's settings. Raises herd.infra.spec.load.SpecErrors."""
    from herd.infra.spec.load import load_specs

    return load_specs(checkout.root, environment, offer(checkout, environment))


def offer(checkout: Checkout, environment: str) -> Offer:
    """What the stack's file offers to workloads. What is wrong in it is left out here: the program refuses it."""
    from herd.infra.offer import Offer
    from herd.infra.settings.schema import SETTINGS

    values = settings(checkout, environment)

    def of(key: str) -> Any:
        try:
            return SETTINGS[key].read(values.get(key) or {})
        except ValueError:
            return {}

    notifications = of("notifications")
    teams = notifications.owners if notifications != {} else None
    return Offer(of("pools"), of("connections"), of("datasets"), teams, copy_of=of("copy_of") or "")


def settings(checkout: Checkout, environment: str) -> dict[str, Any]:
    """The stack's own settings, as its file has them: `{"profile": "prod", "pools": {…}}`. Raises WrongInput for those
    of an earlier Herd, below the project's name.
    """
    values = stack_config.values(checkout, environment)
    return stack_config.settings(checkout, values, f"Pulumi.{environment}.yaml")
