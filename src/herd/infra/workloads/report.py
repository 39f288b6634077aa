"""A report: a job whose result is a page."""

from typing import Any

import pulumi

from herd.infra.spec.load import ReportSpec
from herd.infra.workloads.batch import BatchWorkload
from herd.infra.workloads.common import Platform
from herd.runner.contract.keys import report_page_key


class Report(BatchWorkload):
    """A folder of reports/: it is rendered as a job runs; anyone reads it at `<reports_url>/<name>/index.html`.

        report = Report(spec, platform, None, project)
        report.url, report.machine.arn

    The resources of a job, and the right to publish below its own name. Where the stack publishes nothing it has no
    address: its pages are versions in the data bucket like any job's output.
    """

    def __init__(self, spec: ReportSpec, platform: Platform, pipeline: str | None, parent: pulumi.Resource) -> None:
        super().__init__("Report", spec, platform, pipeline, parent)
        published = platform.reports_url
        self.url = None if published is None else pulumi.Output.concat(published, "/" + report_page_key(spec.name))
        self.register_outputs({"url": self.url})

    def exports(self) -> dict[str, Any]:
        return super().exports() | {"url": self.url}
