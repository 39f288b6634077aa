"""The entry of `herd bootstrap`: once an account, before its first environment."""

import pulumi

from herd.bootstrap.settings import load
from herd.infra.imports import single_modules

with single_modules():
    from herd.bootstrap.foundation import Foundation, look_up

settings = load()
foundation = Foundation(settings, look_up(settings))
for name, value in foundation.exports().items():
    pulumi.export(name, value)
