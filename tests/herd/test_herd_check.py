"""`herd check` in a checkout of its own: files and rules, without engine, cloud or network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sandbox import Sandbox
from tests.herd.policy.partner import EXCEPTION, PARTNER, declare

FINDING = "dev: environment: partner-in: the world may reach port 8443"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A checkout with one small job; nothing is ever started in it."""
    sandbox = Sandbox(tmp_path_factory.mktemp("check") / "checkout", samples=False)
    sandbox.write("jobs/small/main.py", "print(1)\n")
    sandbox.write("jobs/small/workload.toml", 'schedule = "@daily"\n')
    for path in sandbox.folder.glob("Pulumi.*.yaml"):
        if path.name != "Pulumi.dev.yaml":
            path.unlink()
    yield sandbox
    assert not (sandbox.folder / ".herd" / "cloud").exists(), "nothing was started"


@pytest.fixture
def sandbox(made: Sandbox) -> Iterator[Sandbox]:
    """The checkout as it was, whatever a test did to its files."""
    changed = ("jobs/small/workload.toml", "Pulumi.yaml", "Pulumi.dev.yaml", "infra/__main__.py")
    before = {name: (made.folder / name).read_text() for name in changed}
    yield made
    for name, text in before.items():
        made.write(name, text)
    for name in ("policy-exceptions.toml", "Pulumi.prod.yaml"):
        (made.folder / name).unlink(missing_ok=True)


def check(sandbox: Sandbox, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a PATH on which there is no Pulumi and no uv."""
    return sandbox.run(
        str(sandbox.folder / ".venv/bin/python"),
        "-m",
        "herd",
        "check",
        *arguments,
        check=False,
        env={"PATH": "/nowhere"},
    )


@pytest.mark.parametrize(
    ("added", "says"),
    [
        (
            "  network: nat\n",
            "Pulumi.dev.yaml: network: has no prefix, so nothing says whose setting it is; write herd:net",
        ),
        (
            "  our_own_thing: 1\n",
            "write <the project's name>:our_own_thing for a setting of your own program, herd:<setting>",
        ),
        ("  aws:region: europe\n", 'Pulumi.dev.yaml: aws:region = "europe" is no region that AWS has; allowed: eu-'),
        ("  aws:region: eu-west-9\n", "did you mean 'eu-west-3'?"),
        (
            "  herd:pools:\n    big: {instance_type: g5.xxl}\n",
            'Pulumi.dev.yaml: herd:pools.big.instance_type = "g5.xxl" is no machine that EC2 has; did you mean',
        ),
        (
            "  herd:schedules: on\n  herd:schedules: off\n",
            "Pulumi.dev.yaml: herd:schedules stands twice, in the lines ",
        ),
        ("\therd:schedules: on\n", "it is indented by a tab; YAML takes spaces only"),
    ],
)
def test_a_stacks_file_is_read_as_the_engine_and_aws_read_it(sandbox: Sandbox, added: str, says: str) -> None:
    text = (sandbox.folder / "Pulumi.dev.yaml").read_text()
    sandbox.write("Pulumi.dev.yaml", f"{text.rstrip()}\n{added}")
    done = check(sandbox, "-e", "dev")
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr


def test_an_environment_without_a_file_is_not_checked_as_if_it_had_one(sandbox: Sandbox) -> None:
    done = check(sandbox, "-e", "nothere")
    assert done.returncode == 2
    assert "nothere has no Pulumi.nothere.yaml" in done.stderr
    assert "allowed: dev" in done.stderr


SIGN_IN = """
  herd:domain: data.example.com
  herd:certificate: arn:aws:acm:eu-west-1:123456789012:certificate/1
  herd:sign_in:
    issuer: https://id.example.com
    authorization_endpoint: https://id.example.com/authorize
    token_endpoint: https://id.example.com/token
    user_info_endpoint: https://id.example.com/user
    client_id: herd
    client_secret: SECRET
"""


@pytest.mark.parametrize(
    ("written", "code", "says"),
    [
        ("{secure: AAABAGx5}", 0, "no problems"),
        ("in-clear", 2, "herd:sign_in has its client_secret in clear; set it with: pulumi config set --secret --path"),
    ],
    ids=["encrypted", "in clear"],
)
def test_a_part_of_a_setting_may_be_encrypted(sandbox: Sandbox, written: str, code: int, says: str) -> None:
    """`pulumi config set --secret --path` encrypts a value within a table; it cannot be read here, and need not be."""
    text = (sandbox.folder / "Pulumi.dev.yaml").read_text().rstrip("\n")
    sandbox.write("Pulumi.dev.yaml", text + SIGN_IN.replace("SECRET", written))
    done = check(sandbox)
    assert done.returncode == code and says in done.stdout + done.stderr, done.stdout + done.stderr


def test_a_sound_checkout(sandbox: Sandbox) -> None:
    done = check(sandbox)
    assert done.returncode == 0, done.stderr
    assert "checking dev: " in done.stderr and "resources, no problems" in done.stderr


def test_a_rule_that_is_broken_an_exception_and_its_end(sandbox: Sandbox) -> None:
    declare(sandbox.folder, PARTNER)
    done = check(sandbox)
    assert done.returncode == 1 and FINDING in done.stderr
    sandbox.write("policy-exceptions.toml", EXCEPTION)
    assert check(sandbox).returncode == 0
    sandbox.write("policy-exceptions.toml", EXCEPTION.replace("2999", "2020"))
    done = check(sandbox)
    assert done.returncode == 1 and FINDING in done.stderr and "expired on 2020-01-31" in done.stderr
    declare(sandbox.folder)
    sandbox.write("policy-exceptions.toml", EXCEPTION)
    done = check(sandbox)
    assert done.returncode == 1 and "is not needed any more" in done.stderr


def test_a_secret_in_the_open_is_named_with_its_file_and_never_shown(sandbox: Sandbox) -> None:
    sandbox.write("jobs/small/workload.toml", 'schedule = "@daily"\n[env]\nDB_PASSWORD = "hunter2"\n')
    done = check(sandbox)
    assert done.returncode == 1
    assert "jobs/small/workload.toml: small-task: container main has DB_PASSWORD in the open" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


WRONG = {
    "a workload": ("jobs/small/workload.toml", 'scheduel = "@daily"\n', "unknown setting 'scheduel'"),
    "a stack": ("Pulumi.dev.yaml", "config:\n  herd:scheme: ftp\n", "herd:scheme = ftp is not allowed"),
    "no YAML": ("Pulumi.dev.yaml", "config: [", "Pulumi.dev.yaml: is not YAML"),
    "exceptions": ("policy-exceptions.toml", "[[exception]]\n", "policy-exceptions.toml: exception 1: rule is missing"),
}


@pytest.mark.parametrize(("file", "text", "message"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_wrong_is_wrong_input(sandbox: Sandbox, file: str, text: str, message: str) -> None:
    sandbox.write(file, text)
    done = check(sandbox)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_herds_in_a_project_of_any_name(sandbox: Sandbox) -> None:
    """The rules see them too, and what earlier versions had below the project's name is not passed over."""
    sandbox.write("Pulumi.yaml", (sandbox.folder / "Pulumi.yaml").read_text().replace("name: herd\n", "name: acme\n"))
    sandbox.write("jobs/small/workload.toml", 'schedule = "@daily"\nhardware = "big"\n')
    pools = ":network: nat\n  PROJECT:pools: {big: {instance_type: m7i.large}}\n"
    sandbox.write("Pulumi.dev.yaml", f"config:\n  herd{pools.replace('PROJECT', 'herd')}  acme:feature: 'on'\n")
    done = check(sandbox)
    assert done.returncode == 0 and "no problems" in done.stderr, done.stderr
    sandbox.write("Pulumi.dev.yaml", f"config:\n  acme{pools.replace('PROJECT', 'acme')}")
    done = check(sandbox)
    assert done.returncode == 2, done.stderr
    says = "settings are herd:<setting> in every project; rename it to herd:"
    for setting in ("network", "pools"):
        assert f"Pulumi.dev.yaml: acme:{setting}: {says}{setting}\n" in done.stderr
    assert "Traceback" not in done.stderr and "'big'" not in done.stderr


def test_every_environment_with_a_file_is_checked(sandbox: Sandbox) -> None:
    sandbox.write(
        "Pulumi.prod.yaml",
        "config:\n  aws:region: eu-central-1\n  herd:account: '210987654321'\n"
        "  aws:allowedAccountIds: ['210987654321']\n  herd:profile: prod\n  herd:data_bucket: acme-data\n"
        "  herd:boundary: arn:aws:iam::210987654321:policy/acme\n  herd:require_tls: 'false'\n",
    )
    done = check(sandbox)
    assert done.returncode == 0, done.stderr
    assert "checking dev: " in done.stderr and "checking prod: " in done.stderr
    assert "prod: Pulumi.prod.yaml: require_tls is false" in done.stderr
    assert "checking prod" not in check(sandbox, "-e", "dev").stderr


def test_what_cannot_be_a_name(sandbox: Sandbox) -> None:
    assert check(sandbox, "-e", "No!").returncode == 2


def test_a_program_that_fails_says_where(sandbox: Sandbox) -> None:
    declare(sandbox.folder, "project.nothing\n")
    done = check(sandbox)
    assert done.returncode == 2 and "AttributeError" in done.stderr and "infra/__main__.py" in done.stderr


def test_the_offline_run_belongs_to_the_checkout() -> None:
    """It runs with the program's interpreter, so nothing of Herd's is imported."""
    text = (Path(__file__).parents[2] / "src/herd" / "language_host" / "offline.py").read_text()
    assert "from herd" not in text and "import herd" not in text
