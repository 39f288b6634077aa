"""Herd: whole data-science production environments as cattle, from one Pulumi program."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The installed package. The runner, the rules and the account's project are run from their folders below it."""
