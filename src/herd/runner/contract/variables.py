"""The names of the environment variables of a task."""

from __future__ import annotations

from typing import Final

# What the platform says to the runner. The workload's own program does not see these.
TASK: Final = "HERD_TASK"
TRIGGER: Final = "HERD_TRIGGER"
ATTEMPT: Final = "HERD_ATTEMPT"
PARAMS: Final = "HERD_PARAMS"
PINS: Final = "HERD_PINS"
"""Input -> the run whose version of it is read, in place of the current one; null: none. As JSON, `{}` for none."""
STEP: Final = "HERD_STEP"
REFRESH_SECONDS: Final = "HERD_REFRESH_SECONDS"

# The same from `herd try`, which has the workload's folder and its inputs on disk.
TRY_DIR: Final = "HERD_TRY_DIR"
TRY_INPUTS: Final = "HERD_TRY_INPUTS"
TRY_TESTS: Final = "HERD_TRY_TESTS"
WORKLOAD_DIR: Final = "HERD_WORKLOAD_DIR"
LIB_DIR: Final = "HERD_LIB_DIR"

FOR_THE_RUNNER: Final = frozenset(
    {TASK, TRIGGER, ATTEMPT, PARAMS, PINS, STEP, REFRESH_SECONDS, TRY_DIR, TRY_INPUTS, TRY_TESTS, WORKLOAD_DIR, LIB_DIR}
)

# What the workload's own program sees.
ENVIRONMENT: Final = "HERD_ENVIRONMENT"
WORKLOAD: Final = "HERD_WORKLOAD"
RUN_ID: Final = "HERD_RUN_ID"
SCHEDULED_TIME: Final = "HERD_SCHEDULED_TIME"
ITEM: Final = "HERD_ITEM"
INPUTS: Final = "HERD_INPUTS"
OUTPUTS: Final = "HERD_OUTPUTS"
OUTPUT_URI: Final = "HERD_OUTPUT_URI"
LIB: Final = "HERD_LIB"
R_PROFILE: Final = "HERD_R_PROFILE"
"""The profile that R_PROFILE_USER named before the runner's own took its place; R does not see it."""
PORT: Final = "PORT"
BASE_PATH: Final = "HERD_BASE_PATH"

PUBLISH: Final = "publish"
"""The value of HERD_STEP in the last step of a fan-out."""


def in_variable(name: str) -> str:
    """A workload's, parameter's or connection's name as part of a variable's: `delay-model` -> `DELAY_MODEL`."""
    return name.upper().replace("-", "_")


def param(name: str) -> str:
    return f"HERD_PARAM_{in_variable(name)}"


def input_uri(name: str) -> str:
    return f"HERD_INPUT_{in_variable(name)}_URI"


def connection_url(name: str) -> str:
    """Where a workload's own program finds the address of a database, user and password included."""
    return f"HERD_CONNECTION_{in_variable(name)}_URL"


def connection_secret(name: str) -> str:
    """Where the runner finds a connection's secret, of which it makes the address; workloads do not see it."""
    return f"HERD_CONNECTION_{in_variable(name)}_SECRET"
