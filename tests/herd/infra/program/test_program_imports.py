"""The short way of importing changes how long the start takes, and nothing else."""

import subprocess
import sys

SHORT = "import herd.project, herd.infra.components\n"
LATER = """
import pulumi_aws, pulumi_docker
from pulumi_aws.ec2 import Ami
from herd.infra.hardware.network import Vpc
from herd.infra.images.image import DockerImage
assert Vpc is pulumi_aws.ec2.Vpc and DockerImage is pulumi_docker.Image
pulumi_aws.ec2.Instance, pulumi_aws.s3.Bucket, pulumi_aws.sns.Topic, pulumi_docker.Container, Ami
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_modules_that_are_named_are_loaded() -> None:
    unnamed = "pulumi_aws.ec2.ami", "pulumi_aws.s3.inventory", "pulumi_docker.container"
    python(f"{SHORT}import sys\nassert not [name for name in {unnamed} if name in sys.modules]")


def test_the_packages_are_whole_afterwards() -> None:
    """For resources of the team's own."""
    python(SHORT + LATER)
