"""The secrets of an environment: looked up by name, never read.

People keep them with `herd secret set NAME`, so that no value passes through a file, a preview or a state. The program
asks for their ARNs only, and refuses to touch anything while one is missing.
"""

from collections.abc import Mapping

import pulumi
from pulumi_aws.secretsmanager.get_secret import get_secret

from herd.infra.naming import Naming
from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import Connection
from herd.infra.spec.load import Specs, WorkloadSpec
from herd.infra.storage.absence import SECRET


def needed(spec: WorkloadSpec, connections: Mapping[str, Connection]) -> dict[str, str]:
    """Secret -> what of the workload needs it, in the words of its file; each secret once."""
    wanted = {secret: f"[secrets] {variable}" for variable, secret in spec.secrets.items()}
    return {connections[name].secret: f"connects {name}" for name in spec.connects} | wanted


def look_up(specs: Specs, settings: Settings) -> dict[str, str]:
    """Secret -> ARN, for all that the workloads need. Raises pulumi.RunError, one line a secret that is missing."""
    naming = Naming(settings.project, settings.environment)
    arns: dict[str, str | None] = {}
    problems = []
    for spec in specs.workloads.values():
        for secret, why in needed(spec, settings.connections).items():
            if secret not in arns:
                arns[secret] = _arn(naming.secret(secret))
            if arns[secret] is None:
                problems.append(
                    f"{(spec.folder / 'workload.toml').as_posix()}: {why}: the secret '{secret}' does not exist in "
                    f"{settings.environment}; set it with: herd secret set {secret}{_of(settings.environment)}"
                )
    if problems:
        raise pulumi.RunError("\n".join(problems))
    return {secret: arn for secret, arn in arns.items() if arn is not None}


def _of(environment: str) -> str:
    """Which environment is meant: the command alone means dev on the laptop."""
    return "" if environment == "dev" else f" -e {environment} (on AWS: --stack {environment})"


def _arn(name: str) -> str | None:
    """The complete ARN, which ends in six characters that AWS chose; None if there is no such secret."""
    try:
        return get_secret(name=name).arn
    except Exception as error:
        if SECRET.says_none(error):
            return None
        raise pulumi.RunError(f"the secret {name} could not be looked up: {error}") from None
