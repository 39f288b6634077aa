"""The components a team asks for, one module a kind: Job, Report, Api; and the Pipeline that joins jobs."""

from infra.workloads.api import Api
from infra.workloads.common import Platform
from infra.workloads.job import Job
from infra.workloads.pipeline import PipelineMachine
from infra.workloads.report import Report

__all__ = ["Api", "Job", "PipelineMachine", "Platform", "Report"]
