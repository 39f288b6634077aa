"""The components a team asks for, one module a kind: Job, Report, Api; and the Pipeline that joins jobs."""

from herd.infra.workloads.api import Api
from herd.infra.workloads.common import Platform
from herd.infra.workloads.job import Job
from herd.infra.workloads.pipeline import PipelineMachine
from herd.infra.workloads.report import Report

__all__ = ["Api", "Job", "PipelineMachine", "Platform", "Report"]
