"""Lambda: the variables of a function."""

from __future__ import annotations

import json
from collections.abc import Mapping

from localcloud.request import Call, Refused

RESERVED = frozenset(
    ["_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
     "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
     "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
     "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API",
     "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"]
)  # fmt: skip
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""

MAX_BYTES = 4096
"""Of all variables together."""


def variables_are_allowed(asked: Call) -> None:
    """A function's variables are none of those that Lambda sets itself, and have 4 KB at most."""
    variables: Mapping[str, str] = (asked.arguments.get("Environment") or {}).get("Variables") or {}
    if reserved := sorted(RESERVED & variables.keys()):
        raise Refused(
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}",
        )
    size = len(json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise Refused(
            "InvalidParameterValueException",
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the {MAX_BYTES // 1024}KB limit. They have {size} bytes",
        )
