"""Runs of jobs, the state of services, their logs, outputs and secrets."""
