"""The bootstrap project under Pulumi's mocks."""

import pytest

from herd.bootstrap.scope import Scope
from herd.bootstrap.settings import Settings
from herd.infra.context import Account
from herd.infra.imports import single_modules
from tests.herd.infra.program.mocks import ACCOUNT, REGION, Program, run_made

with single_modules():
    from herd.bootstrap.foundation import Foundation, look_up

SETTINGS = Settings(REGION, ACCOUNT, repository="acme/delays", repository_id="123", owner_id="45")
SCOPE = Scope(Account(ACCOUNT, REGION), "herd", ("prod",), ("acme-open",))


def run_bootstrap(settings: Settings = SETTINGS) -> Program:
    return run_made("herd-bootstrap", "main", lambda: Foundation(settings, look_up(settings)).exports())


@pytest.fixture(scope="session")
def foundation() -> Program:
    return run_bootstrap()
