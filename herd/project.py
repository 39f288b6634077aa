"""The team's files, read and checked before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from herd.checkout import Checkout
from herd.errors import WrongInput

if TYPE_CHECKING:
    from infra.spec import Specs


def load(checkout: Checkout, environment: str) -> Specs:
    """Every workload's settings. Raises WrongInput with one line for each problem of every file."""
    from infra.spec import SpecErrors, load_specs

    try:
        return load_specs(checkout.root, environment)
    except SpecErrors as error:
        raise WrongInput(str(error)) from None
