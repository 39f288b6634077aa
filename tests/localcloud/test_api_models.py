"""What is known of AWS's API is read once in a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNTING = """
import boto3
from concurrent.futures import ThreadPoolExecutor
from botocore.loaders import JSONFileLoader
from localcloud import api_models

read = []
load = JSONFileLoader.load_file
JSONFileLoader.load_file = lambda self, path: read.append(path) or load(self, path)
api_models.share()
api_models.share()
{program}
print(len(read), len(set(read)))
"""

SESSIONS = """
for _ in range(3):
    client = boto3.session.Session(region_name="eu-west-1").client("sqs", endpoint_url="http://127.0.0.1:1")
    assert client.meta.service_model.operation_names
"""

THREADS = """
from localcloud import patches
patches.apply()
from moto.core.utils import get_service_model
read.clear()
services = ["iam", "ecs", "secretsmanager"]
with ThreadPoolExecutor(12) as pool:
    assert all(model.operation_names for model in pool.map(get_service_model, services * 4))
"""


@pytest.mark.parametrize("program", [SESSIONS, THREADS], ids=["sessions", "threads of moto"])
def test_each_file_is_read_once(program: str) -> None:
    command = [sys.executable, "-c", COUNTING.format(program=program)]
    files, different = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert files >= 3, "the service, its endpoints, the partitions"
    # A file is asked for with and without .gz, and not again.
    assert files == different
