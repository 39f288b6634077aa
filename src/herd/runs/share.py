"""`herd share`: a published page as one file, which shows the same on a machine without this environment or a network.

Pictures, styles, scripts, fonts and frames that the page loads from its own version become `data:` addresses. What it
loads from other servers stays, and is named: so does what a file cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from herd.errors import HerdError, WrongInput
from herd.runner.contract.keys import kept_page_key, report_version_prefix
from herd.runner.self_contained import Shared, first_page, pages_among
from herd.runs.outputs import Version

if TYPE_CHECKING:
    from herd.targets.target import Target

MOST_BYTES = 200_000_000
"""Of a version: a browser does not open a page that is larger."""


def page_of(version: Version, wanted: str | None) -> str:
    """The page that is shared: `wanted`, else the one that opens at the report's address. Raises WrongInput."""
    paths = [file.path for file in version.files]
    named = pages_among(paths)
    choice = ", ".join(named[:20]) or "none"
    if wanted is not None and wanted not in named:
        raise WrongInput(f"{version.workload} has no page {wanted!r}; there are: {choice}")
    page = wanted or first_page(paths)
    if page is None:
        raise WrongInput(f"{version.workload} has several pages; `--page` names one of: {choice}")
    if page not in named:
        raise WrongInput(f"{page} is no page of HTML; `herd outputs {version.workload} --get DIR` copies it")
    return page


def fetch(target: Target, version: Version, page: str, progress: Callable[[str], None]) -> dict[str, bytes]:
    """The files of a version as they are published: pages with the line that says which run they are of."""
    from botocore.exceptions import ClientError

    if (size := sum(file.bytes for file in version.files)) > MOST_BYTES:
        raise WrongInput(f"{version.workload} has {size:,} bytes; a page is shared up to {MOST_BYTES:,}")
    bucket = target.exports.reports_bucket
    s3 = target.client("s3")
    alone = len(version.files) == 1
    contents = {}
    for number, file in enumerate(version.files, 1):
        progress(f"{number} of {len(version.files)}: {file.path}")
        prefix = report_version_prefix(version.workload, version.run_id)
        key = kept_page_key(version.workload, version.run_id) if alone else prefix + file.path
        try:
            contents[file.path] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise HerdError(
                f"{file.path}: {error.response['Error'].get('Message', 'is not there')}; superseded versions expire"
            ) from None
    return contents


def notes(shared: Shared, page: str) -> Iterator[str]:
    """What whoever shares it should know."""
    if shared.elsewhere:
        yield "it loads from other servers, and shows less without them: " + ", ".join(shared.elsewhere[:10])
    if shared.left:
        more = f" and {len(shared.left) - 10} more" if len(shared.left) > 10 else ""
        yield f"not in the file, so {page} does without: {', '.join(shared.left[:10])}{more}"
