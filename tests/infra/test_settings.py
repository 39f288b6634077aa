"""The stack's settings: declared in Pulumi.yaml, read and checked in one place."""

import json
from pathlib import Path

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra import settings
from infra.settings import Settings, SettingsError, parse

ROOT = Path(__file__).parents[2]
REGION = {"aws:region": "eu-west-1"}
DECLARED = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]


def test_every_setting_is_declared_with_type_default_and_meaning_and_the_defaults_agree() -> None:
    declared = {key: entry for key, entry in DECLARED.items() if ":" not in key}
    plain = Settings("herd", "dev", "eu-west-1")
    assert {key: entry["default"] for key, entry in declared.items()} == {
        key: getattr(plain, key) for key in vars(plain) if key not in settings.GIVEN
    }
    assert all(entry["description"] and entry["type"] for entry in declared.values())


def test_pulumis_own_way_of_passing_the_defaults_is_read() -> None:
    config = {
        f"herd:{key}": entry["default"] if isinstance(entry["default"], str) else json.dumps(entry["default"])
        for key, entry in DECLARED.items()
        if ":" not in key
    }
    assert parse("herd", "dev", config | REGION) == Settings("herd", "dev", "eu-west-1")


def test_values_arrive() -> None:
    config = {
        "herd:scheme": "http",
        "herd:allow_public": "true",
        "herd:schedules": "false",
        "herd:log_retention_days": "30",
        "herd:keep_versions_days": "7",
        "herd:vpc_cidr": "10.9.0.0/20",
        "herd:tags": '{"cost-centre": "research"}',
        "other:setting": "not ours",
    }
    assert parse("herd", "pr-17", config | {"aws:region": "us-east-1"}) == Settings(
        "herd", "pr-17", "us-east-1", "http", True, False, 30, 7, "10.9.0.0/20", {"cost-centre": "research"}
    )


def test_load_reads_what_pulumi_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(REGION | {"herd:schedules": "false"}))
    monkeypatch.setattr(pulumi, "get_project", lambda: "herd")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    assert Settings.load() == Settings("herd", "dev", "eu-west-1", schedules=False)


REFUSED = {
    ("herd:schedule", "false"): "herd:schedule: unknown setting 'schedule'; did you mean 'schedules'?",
    ("herd:schedules", "off"): "herd:schedules = off is not allowed; allowed: true, false",
    ("herd:scheme", "ftp"): "herd:scheme = ftp is not allowed; allowed: http, https",
    ("herd:log_retention_days", "15"): "herd:log_retention_days = 15 is not allowed; allowed: 1, 3, 5, 7, 14, 30,",
    ("herd:keep_versions_days", "0"): "herd:keep_versions_days = 0 is not allowed; allowed: 1 to 3650",
    ("herd:keep_versions_days", "²"): "herd:keep_versions_days = ² is not allowed; allowed: 1 to 3650",
    ("herd:vpc_cidr", "10.0.0.0/8"): "herd:vpc_cidr = 10.0.0.0/8 must be a private network from /16 to /24",
    ("herd:vpc_cidr", "10.0.0.1/16"): "herd:vpc_cidr = 10.0.0.1/16 must be a private network",
    ("herd:vpc_cidr", "8.8.0.0/16"): "herd:vpc_cidr = 8.8.0.0/16 must be a private network",
    ("herd:tags", "x"): "herd:tags = x must be up to 40 names and texts",
    ("herd:tags", '{"aws:x": "1"}'): "has the tag 'aws:x'; allowed: 1 to 128 characters",
    ("herd:tags", '{"x": 1}'): "has the tag 'x' with 1; allowed: text of up to 256 characters in quotes",
}


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_refused(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", REGION | {key: value})
    assert str(error.value).startswith("Pulumi.dev.yaml: ") and REFUSED[key, value] in str(error.value)
    assert "\n" not in str(error.value)


def test_all_problems_at_once_in_order() -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev-anna", {"herd:schedules": "off", "herd:nonsense": "1"})
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("Pulumi.dev-anna.yaml: the stack: 'dev-anna' is not a name for an environment; allowed:")
    assert "unknown setting 'nonsense'; allowed: allow_public, keep_versions_days" in lines[1]
    assert "aws:region is missing; set it with: pulumi config set" in lines[3]


def test_a_secret_is_not_echoed() -> None:
    with pytest.raises(SettingsError) as error:
        parse("herd", "dev", REGION | {"herd:scheme": "hunter2"}, frozenset({"herd:scheme"}))
    assert "hunter2" not in str(error.value)


@given(st.sampled_from(sorted(DECLARED)), st.text(max_size=40) | st.just("[" * 5000))
def test_any_value_is_read_or_refused(key: str, value: str) -> None:
    try:
        parse("herd", "dev", REGION | {f"herd:{key}": value})
    except SettingsError as error:
        assert "\n" not in str(error)
