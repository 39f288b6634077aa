"""What the tests of the program share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[[Mapping[str, str | bytes | None]], Path]

BASE: dict[str, str | bytes | None] = {
    "defaults.toml": 'owner = "data@example.com"\nreview_by = 2027-06-30\n',
    "images/python/Dockerfile": "FROM scratch\n",
    "lib/features/__init__.py": "",
    "jobs/churn/main.py": "",
    "jobs/churn/workload.toml": "",
    "jobs/ingest/main.py": "",
    "jobs/ingest/workload.toml": 'schedule = "@daily"\n',
    "apis/scores/main.py": "",
    "apis/scores/workload.toml": "",
}


@pytest.fixture
def write_project(tmp_path: Path) -> Write:
    """Writes a small project (two jobs, one api) with some of its files changed, added or (None) left out."""

    def write(files: Mapping[str, str | bytes | None]) -> Path:
        root = tmp_path / "project"
        for name, content in {**BASE, **files}.items():
            if content is None:
                continue
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write
