"""The entry of `pulumi up`: read the settings and the team's files, build the environment, export what is looked up."""

from pathlib import Path

import pulumi

from herd.infra.imports import single_modules
from herd.infra.offer import Offer
from herd.infra.settings.load import Settings
from herd.infra.spec.load import SpecErrors, load_specs

with single_modules():
    from herd.infra.environment import Environment, extend

ROOT = Path(__file__).resolve().parent.parent

settings = Settings.load()
try:
    specs = load_specs(ROOT, settings.environment, Offer.of(settings))
except SpecErrors as errors:
    raise pulumi.RunError(str(errors)) from None
environment = Environment(settings, specs, ROOT)
extend(environment, ROOT)
for name, value in environment.exports().items():
    pulumi.export(name, value)
