"""Patterns of the names that people choose, each with its rule in words. Use `fullmatch`."""

from __future__ import annotations

import re

ENVIRONMENT = re.compile(r"[a-z][a-z0-9]{0,15}(-[0-9]{1,6})?")
ENVIRONMENT_RULE = "up to 16 lower-case letters and digits, a hyphen only before a number, like 'dev' or 'pr-17'"

WORKLOAD = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")
WORKLOAD_RULE = "2 to 30 of a-z, 0-9 and -, a letter first, no - last"

SECRET = re.compile(r"[a-z][a-z0-9_-]{0,48}[a-z0-9]")
SECRET_RULE = "2 to 50 of a-z, 0-9, - and _, a letter first"

ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
ITEM_RULE = "1 to 50 of letters, digits, '.', '_' and '-', a letter or digit first"

RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
"""The names of executions. Source: StartExecution, Step Functions API reference; no dot first, it names a folder."""

SNAPSHOT = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
SNAPSHOT_RULE = "1 to 40 of a-z, 0-9 and -, no - first or last, like 'before-the-merger' or '2027-01-31'"
