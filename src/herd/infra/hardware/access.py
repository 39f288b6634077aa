"""Who may call a service, and what that asks of the stack's settings. No resources here.

| access | reached from | needs |
| --- | --- | --- |
| internal | the environment's own network | nothing |
| company | the company's addresses, or people who sign in; with both set both are asked | `company_cidrs`, `sign_in` |
| public | everywhere | `allow_public` |
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from herd.infra.settings.schema import Settings
from herd.infra.spec.load import ServiceSpec

Access = Literal["internal", "company", "public"]
Facing = Literal["internal", "public"]

FACING: Mapping[Access, Facing] = {"internal": "internal", "company": "public", "public": "public"}
"""Which of the two load balancers serves what. A company's people come from the internet too; its balancer's rules tell
them from others.
"""


def refusals(services: Iterable[ServiceSpec], settings: Settings) -> Iterator[str]:
    """What the settings do not allow, a line for each, beginning with the file to look at."""
    stack = settings.environment
    for service in services:
        file = (service.folder / "workload.toml").as_posix()
        if service.access == "public" and not settings.allow_public:
            yield (
                f'{file}: access = "public" is not allowed in the stack {stack}; write "company" or "internal", or '
                f"`pulumi config set herd:allow_public true`"
            )
        if service.access == "company" and not (settings.company_cidrs or settings.sign_in):
            yield (
                f'{file}: access = "company" needs to know the company: set herd:company_cidrs (its '
                f"addresses) or herd:sign_in in Pulumi.{stack}.yaml"
            )
        if settings.require_tls and not settings.has_tls:
            yield (
                f"{file}: the stack {stack} serves by HTTPS only; set herd:domain with "
                f"herd:dns_zone or herd:certificate in Pulumi.{stack}.yaml"
            )
