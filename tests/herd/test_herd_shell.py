"""The variables of a local environment, the copy of its settings, and what a shell makes of them."""

from __future__ import annotations

import csv
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from herd.checkout import stack_config, team_files
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.targets import pulumi_env, stack_env
from herd.toolchain import pulumi_cli

POLICY = "PULUMI_OPTION_POLICY_PACK"

PERSON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/home/ada",
    "AWS_PROFILE": "prod",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "PULUMI_CONFIG_PASSPHRASE": "mine",
    "NO_PROXY": "intra.example.com",
}


def test_the_persons_own_account_cannot_be_reached(checkout: Checkout) -> None:
    merged = pulumi_env.apply(pulumi_env.variables(checkout, "dev", Path("/opt/pulumi/pulumi"), PERSON), PERSON)
    assert not {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_S3", "PULUMI_CONFIG_PASSPHRASE"} & set(merged)
    assert merged["AWS_SHARED_CREDENTIALS_FILE"].startswith(str(checkout.state))
    assert merged["PULUMI_BACKEND_URL"] == f"file://{checkout.pulumi}"
    assert merged["NO_PROXY"] == "intra.example.com,127.0.0.1,localhost,.localhost"
    assert merged["HOME"] == "/home/ada"


def test_pulumi_and_the_projects_tools_come_first_on_path(checkout: Checkout) -> None:
    path = pulumi_env.variables(checkout, "dev", Path("/opt/pulumi/pulumi"), PERSON)["PATH"]
    assert path == f"{checkout.root}/.venv/bin:/opt/pulumi:/usr/local/bin:/usr/bin:/bin"
    # Again in the shell that has it already: nothing is added twice.
    assert pulumi_env.variables(checkout, "dev", Path("/opt/pulumi/pulumi"), {"PATH": str(path)})["PATH"] == path


@pytest.mark.parametrize("name", ["plain", "my team's code", "100% #1 ü?", "a+b&c=d;e"])
def test_pulumi_is_led_to_the_state_wherever_the_checkout_is(tmp_path: Path, name: str) -> None:
    here = Checkout(tmp_path / name, tmp_path / "cache")
    here.root.mkdir()
    (here.root / "Pulumi.yaml").write_text("name: herd\n")
    backend = pulumi_env.variables(here, "dev", Path("/opt/pulumi/pulumi"), PERSON)["PULUMI_BACKEND_URL"]
    parts = urlsplit(str(backend))
    assert (parts.scheme, unquote(parts.path), parts.query, parts.fragment) == ("file", str(here.pulumi), "", "")


@pytest.mark.parametrize("value", ["plain", "with space", "a'b", 'a"b', "$HOME `id` \\", "line\nbreak", ""])
def test_a_shell_gets_exactly_these_values(value: str) -> None:
    script = pulumi_env.script({"NAME": value, "GONE": None, "NEVER": None}, {"GONE": "x"})
    done = subprocess.run(
        ["sh", "-euc", f'{script}\nprintf \'%s|%s\' "$NAME" "${{GONE-unset}}"'],
        env={"GONE": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{value}|unset"


PLACE = {
    "aws:region": "eu-west-1",
    "aws:allowedAccountIds": ["123456789012"],
    "herd:account": "123456789012",
    "herd:scheme": "http",
}
"""What is so wherever the local cloud is below."""


def read(path: Path) -> dict[str, object]:
    config: dict[str, object] = yaml.safe_load(path.read_text())
    return config


def test_the_tracked_file_stays_as_it_is_and_the_copy_knows_the_place(checkout: Checkout) -> None:
    tracked = checkout.root / "Pulumi.dev.yaml"
    before = tracked.read_text()
    copy = stack_config.prepare(checkout, "dev")
    assert tracked.read_text() == before
    assert read(copy)["config"] == {"herd:allow_public": True, **PLACE}
    assert copy.stat().st_mode & 0o077 == 0


def test_what_was_set_in_the_copy_stays_until_the_tracked_file_changes(checkout: Checkout) -> None:
    copy = stack_config.prepare(checkout, "dev")
    changed = copy.read_text() + "encryptionsalt: v1:abc\n"
    copy.write_text(changed.replace("config:\n", "config:\n  herd:log_retention_days: 3\n"))
    stack_config.prepare(checkout, "dev")
    assert read(copy)["config"]["herd:log_retention_days"] == 3  # type: ignore[index]
    tracked = checkout.root / "Pulumi.dev.yaml"
    tracked.write_text("config:\n  herd:allow_public: false\nencryptionsalt: v1:of-another-machine\n")
    stack_config.prepare(checkout, "dev")
    assert read(copy) == {
        "config": {"herd:allow_public": False, **PLACE},
        "encryptionsalt": "v1:abc",
    }


def test_an_environment_without_a_file_has_the_settings_of_dev(checkout: Checkout) -> None:
    assert read(stack_config.prepare(checkout, "pr-17"))["config"]["herd:allow_public"] is True  # type: ignore[index]


ON_AWS = """
config:
  aws:region: eu-central-1
  aws:allowedAccountIds: ["111122223333"]
  herd:account: "111122223333"
  herd:boundary: arn:aws:iam::111122223333:policy/herd-boundary
  herd:image_repositories: herd
  herd:vpc: vpc-0123456789abcdef0
  herd:private_subnets: [subnet-0123456789abcdef0, subnet-0fedcba9876543210]
  herd:allow_public: true
"""


def test_one_file_is_devs_on_aws_and_here_without_what_it_adopts_there(checkout: Checkout) -> None:
    tracked = checkout.root / "Pulumi.dev.yaml"
    tracked.write_text(ON_AWS)
    assert read(stack_config.prepare(checkout, "dev"))["config"] == {"herd:allow_public": True, **PLACE}
    tracked.write_text(f"{ON_AWS}  herd:encryption_key: create\n")
    assert "herd:encryption_key" in read(stack_config.prepare(checkout, "dev"))["config"]  # type: ignore[operator]
    tracked.write_text(ON_AWS.replace("111122223333", stack_config.LOCAL_ACCOUNT))
    assert "herd:boundary" in read(stack_config.prepare(checkout, "dev"))["config"]  # type: ignore[operator]
    tracked.write_text(f"{ON_AWS}  herd:profile: prod\n")
    assert "herd:boundary" in read(stack_config.prepare(checkout, "dev"))["config"]  # type: ignore[operator]


def test_what_an_earlier_herd_wrote_into_the_copy_is_taken_out(checkout: Checkout) -> None:
    """It stood below the project's name; what a person set there stays, and is said to be in the wrong place."""
    (checkout.root / "Pulumi.yaml").write_text("name: acme\n")
    copy = stack_config.prepare(checkout, "dev")
    ours = {"acme:account": "123456789012", "acme:scheme": "http", "acme:expired": ["x"]}
    text = yaml.safe_load(copy.read_text())
    text["config"] |= ours
    origin = copy.read_text().partition("\n")[0]
    copy.write_text(f"{origin}\n{yaml.safe_dump(text)}")
    assert team_files.settings(checkout, "dev")["scheme"] == "http"
    assert not ours.keys() & yaml.safe_load(stack_config.prepare(checkout, "dev").read_text())["config"].keys()
    text["config"]["acme:zones"] = 3
    copy.write_text(f"{origin}\n{yaml.safe_dump(text)}")
    with pytest.raises(WrongInput, match="^Pulumi.dev.yaml: acme:zones: .* rename it to herd:zones$"):
        team_files.settings(checkout, "dev")


@pytest.mark.parametrize("text", ["config: [", "- a\n", "config: 3\n"])
def test_a_file_that_is_no_settings_file_is_wrong_input(checkout: Checkout, text: str) -> None:
    (checkout.root / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(WrongInput, match=r"^Pulumi\.dev\.yaml: "):
        stack_config.prepare(checkout, "dev")


POLICY_PACKS = {
    "ours by default": (None, "{rules}"),
    "beside the company's": ("/opt/acme-pack", "{rules},/opt/acme-pack"),
    "not twice": ("{rules},/opt/acme-pack", "{rules},/opt/acme-pack"),
    "not another checkout's": ("/elsewhere/policy", "{rules}"),
    "none when told so": ("", ""),
    "one with a comma": ('"""/opt/a, b"""', '{rules},"""/opt/a, b"""'),
}


@pytest.mark.parametrize(("given", "wanted"), POLICY_PACKS.values(), ids=POLICY_PACKS)
def test_the_rules_are_part_of_the_environment(checkout: Checkout, given: str | None, wanted: str) -> None:
    base = PERSON if given is None else {**PERSON, "PULUMI_OPTION_POLICY_PACK": given.format(rules=pulumi_env.RULES)}
    packs = pulumi_env.variables(checkout, "dev", Path("/opt/pulumi/pulumi"), base)["PULUMI_OPTION_POLICY_PACK"]
    assert packs == wanted.format(rules=pulumi_env.RULES)


@pytest.mark.parametrize("name", ["plain", "a b", "a,b", 'a "b"', '"', ",", "it's"])
def test_pulumi_reads_the_rules_folder_as_it_is_called(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the variable as a line of CSV, and each value of it as one more; what it cannot read it leaves out."""
    monkeypatch.setattr(pulumi_env, "RULES", tmp_path / name / "policy")
    packs = pulumi_env.policy_pack({})[POLICY] or ""
    assert pulumi_env.policy_pack({POLICY: packs})[POLICY] == packs, "another time it is not added again"
    (values,) = csv.reader([packs], strict=True)
    read = [pack for value in values for line in csv.reader([value], strict=True) for pack in line]
    assert read == [f"{tmp_path / name}/policy"]


def test_the_passphrase_is_made_once_and_is_the_persons_alone(checkout: Checkout) -> None:
    folder = checkout.folder("pulumi")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pulumi_env.ensure_passphrase, [checkout] * 8))
    first = (folder / "passphrase").read_text()
    pulumi_env.ensure_passphrase(checkout)
    assert (folder / "passphrase").read_text() == first and len(first) > 30
    assert stat.S_IMODE((folder / "passphrase").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["passphrase"]


def test_a_full_disk_leaves_no_half_a_passphrase(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout.folder("pulumi")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            pulumi_env.ensure_passphrase(checkout)
    assert list(folder.iterdir()) == []
    (folder / "passphrase").touch()  # as an earlier version left it
    pulumi_env.ensure_passphrase(checkout)
    assert (folder / "passphrase").read_text()


@pytest.mark.parametrize("left", [None, ""], ids=["missing", "empty"])
def test_a_state_without_its_passphrase_is_not_given_another(checkout: Checkout, left: str | None) -> None:
    stacks = checkout.folder("pulumi") / ".pulumi/stacks" / checkout.project
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("{}")
    passphrase = checkout.pulumi / "passphrase"
    if left is not None:
        passphrase.write_text(left)
    with pytest.raises(
        HerdError, match=r"is missing or empty, and nothing else decrypts Pulumi's state.*`herd up` adopts"
    ):
        pulumi_env.ensure_passphrase(checkout)
    assert not passphrase.exists() or not passphrase.read_text()


def test_a_stack_on_aws_keeps_the_persons_own_login_and_gets_a_language_host(tmp_path: Path) -> None:
    pulumi = tmp_path / "built" / "pulumi"
    pulumi.parent.mkdir()
    base = {**PERSON, "PULUMI_IGNORE_AMBIENT_PLUGINS": "true", "PULUMI_HOME": "/home/ada/own"}
    merged = pulumi_env.apply(stack_env.variables(tmp_path, pulumi, base), base)
    path = f"{pulumi_cli.OWN_HOST}:{pulumi.parent}:{PERSON['PATH']}"
    assert merged["PATH"] == path and "PULUMI_IGNORE_AMBIENT_PLUGINS" not in merged
    assert (merged["AWS_PROFILE"], merged["PULUMI_HOME"]) == ("prod", "/home/ada/own")
    # Again in the shell that has it already: nothing is added twice.
    assert stack_env.variables(tmp_path, pulumi, merged)["PATH"] == path
    assert "Herd's own" in stack_env.about_host(pulumi)


def test_an_official_pulumi_runs_the_program_by_its_own_host(tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    (tmp_path / "pulumi-language-python").touch()
    variables = stack_env.variables(tmp_path, pulumi, PERSON)
    assert str(pulumi_cli.OWN_HOST) not in str(variables["PATH"]) and stack_env.about_host(pulumi) == ""
