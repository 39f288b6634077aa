"""What is known of AWS's API is read once in a process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import boto3
from botocore.loaders import JSONFileLoader
from localcloud import api_models

read = []
load = JSONFileLoader.load_file
JSONFileLoader.load_file = lambda self, path: read.append(path) or load(self, path)
api_models.share()
api_models.share()
for _ in range(3):
    client = boto3.session.Session(region_name="eu-west-1").client("sqs", endpoint_url="http://127.0.0.1:1")
    assert client.meta.service_model.operation_names
print(len(read), len(set(read)))
"""


def test_three_sessions_read_each_file_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    files, different = map(int, done.stdout.split())
    assert files >= 3, "the service, its endpoints, the partitions"
    # A file is asked for with and without .gz, and not again.
    assert files == different
