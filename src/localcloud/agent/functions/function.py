"""A function as it is to be run: one version of it, read out of moto."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LATEST = "$LATEST"


@dataclass(frozen=True)
class Function:
    """One version of a function. Two that are equal may share an execution environment."""

    account: str
    region: str
    name: str
    version: str
    handler: str
    runtime: str
    role: str
    timeout_seconds: int
    memory_mb: int
    variables: tuple[tuple[str, str], ...]
    code: str
    """SHA-256 of its zip, in hexadecimal"""

    changed: str
    """when the code or the configuration was last written; another time is another environment"""

    logs_to: str = ""
    """the log group that its logging configuration names, if any"""

    @property
    def arn(self) -> str:
        """Without a version."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    @property
    def log_group(self) -> str:
        return self.logs_to or f"/aws/lambda/{self.name}"


def read(model: Any) -> Function:
    """Out of moto's model. Hold the server's lock."""
    return Function(
        account=str(model.account_id),
        region=str(model.region),
        name=str(model.function_name),
        version=str(model.version),
        handler=str(model.handler or ""),
        runtime=str(model.run_time or ""),
        role=str(model.role),
        timeout_seconds=int(model.timeout),
        memory_mb=int(model.memory_size),
        variables=tuple(sorted((str(k), str(v)) for k, v in (model.environment_vars or {}).items())),
        code=str(model.code_digest),
        changed=str(model.last_modified),
        logs_to=str((getattr(model, "logging_config", None) or {}).get("LogGroup") or ""),
    )
