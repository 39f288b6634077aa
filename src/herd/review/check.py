"""`herd check`: validates all settings files and runs the policy rules over the declared resources, without an engine
and without a cloud.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herd import PACKAGE
from herd.checkout import pauses, review_dates, stack_config, team_files
from herd.checkout.find import Checkout
from herd.errors import HerdError, WrongInput
from herd.infra.messages import did_you_mean
from herd.infra.naming import ENVIRONMENT_TAG, PROJECT_TAG
from herd.infra.settings.keys import config_key
from herd.policy import exceptions
from herd.policy.catalogue import RULES, examine
from herd.policy.exceptions import Exceptions, ExceptionsError
from herd.policy.model import Resource, Stack
from herd.policy.wire import has_unknown, plain
from herd.review import known_to_aws
from herd.targets import pulumi_env

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs

OFFLINE = PACKAGE / "language_host" / "offline.py"
PROGRAM_SECONDS = 120


@dataclass(frozen=True)
class Checked:
    """The result for one environment: the number of `resources`; violations as lines, mandatory (`refused`) and
    advisory (`advised`); `due`: review dates that are near or past; `paused`: what rests.
    """

    environment: str
    resources: int
    refused: list[str]
    advised: list[str]
    due: list[review_dates.Review]
    paused: list[pauses.Pause]


def _check_known(checkout: Checkout, environment: str) -> None:
    """There is such an environment, and AWS has what its file names. Raises WrongInput."""
    there = environments(checkout)
    if environment not in there:
        raise WrongInput(
            f"{environment} has no Pulumi.{environment}.yaml, so there is nothing of its own to check: an environment "
            f"without one has the settings of {stack_config.TEMPLATE}{did_you_mean(environment, there)}"
        )
    values = stack_config.values(checkout, environment)
    source = stack_config.tracked(checkout, environment)
    written = (stack_config.read(source).get("config") or {}) if source else {}
    region = written.get("aws:region") or stack_config.region_of_project(checkout)
    lines = [
        f"Pulumi.{environment}.yaml: {problem}"
        for problem in known_to_aws.problems(
            stack_config.settings(checkout, values, f"Pulumi.{environment}.yaml"), region
        )
    ]
    if lines:
        raise WrongInput("\n".join(lines))


def environments(checkout: Checkout) -> list[str]:
    """Names of the environments with a settings file, and the local one, which comes first."""
    named = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in checkout.root.glob("Pulumi.*.yaml")]
    return sorted({stack_config.TEMPLATE, *named}, key=lambda name: (name != stack_config.TEMPLATE, name))


def check_environment(checkout: Checkout, environment: str) -> Checked:
    """Check the settings of workloads and stack, and the rules. Raises WrongInput for a wrong settings file."""
    _check_known(checkout, environment)
    specs = team_files.load(checkout, environment)
    large = _large(checkout, environment, specs)
    config, resources = _declared(checkout, environment, specs)
    stack = Stack(environment, checkout.project, config)
    try:
        accepted = exceptions.read(checkout.root, [rule.id for rule in RULES])
    except ExceptionsError as error:
        raise WrongInput(str(error)) from None
    at_work = Exceptions(accepted, stack, datetime.now(UTC).date())
    unknown = [resource.name for resource in resources if has_unknown(resource.props)]
    findings = [*at_work.remaining(examine(resources, stack)), *at_work.problems(unknown)]
    return Checked(
        environment,
        len(resources),
        [str(finding) for finding in findings if finding.mandatory],
        [*large, *(str(finding) for finding in findings if not finding.mandatory)],
        review_dates.due(specs),
        pauses.in_files(specs),
    )


def _large(checkout: Checkout, environment: str, specs: Specs) -> list[str]:
    """What is large and goes into images. Raises WrongInput for what is too large, all of it at once."""
    from herd.infra.images.build_context import Stager, StagingError

    stager, refused, noted = Stager(checkout.root, environment), [], []
    for spec in specs.workloads.values():
        try:
            weight = stager.weight(spec)
        except StagingError:
            continue  # the program says so, with all that cannot be staged
        refused += [why] if (why := weight.refusal()) else []
        noted += [note] if (note := weight.note()) else []
    if refused:
        raise WrongInput("\n".join(refused))
    return noted


def declared(checkout: Checkout, environment: str) -> list[Resource]:
    """The resources that the program declares, under Pulumi's mocks. Raises WrongInput for a wrong settings file."""
    return _declared(checkout, environment, team_files.load(checkout, environment))[1]


def _declared(checkout: Checkout, environment: str, specs: Specs) -> tuple[dict[str, str], list[Resource]]:
    """The configuration that the program gets, and the resources that it declares."""
    config, secret = configuration(checkout, environment)
    config[config_key("expired")] = json.dumps(review_dates.expired(specs))
    made = run(checkout, environment, config, secret)
    if made["error"]:
        raise WrongInput(made["error"])
    return config, [resource_of(entry) for entry in made["resources"]]


def configuration(checkout: Checkout, environment: str) -> tuple[dict[str, str], list[str]]:
    """The configuration as Pulumi passes it to a program, key -> text with Pulumi.yaml's defaults; and the keys of
    secrets.

    Encrypted values have a placeholder, because they cannot be decrypted here; so has an account that is not set.
    """
    declared = stack_config.read(checkout.root / "Pulumi.yaml").get("config") or {}
    settings: dict[str, Any] = {}
    for key, entry in declared.items():
        name = key if ":" in key else f"{checkout.project}:{key}"
        default = entry.get("default", entry.get("value")) if isinstance(entry, dict) else entry
        if default is not None:
            settings[name] = default
    source = stack_config.tracked(checkout, environment)
    settings |= stack_config.read(source).get("config") or {} if source else {}
    account = str(settings.get(config_key("account")) or stack_config.LOCAL_ACCOUNT)
    settings[config_key("account")] = account
    settings.setdefault("aws:allowedAccountIds", [account])
    readable = {str(key): _readable(value) for key, value in settings.items()}
    secret = [str(key) for key, value in settings.items() if readable[str(key)] != value]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in readable.items()}, secret


def _readable(value: Any) -> Any:
    """The value with a placeholder for each encrypted one, at every depth."""
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            return "encrypted"
        return {key: _readable(part) for key, part in value.items()}
    return [_readable(part) for part in value] if isinstance(value, list) else value


def run(
    checkout: Checkout,
    environment: str,
    config: dict[str, str],
    secret: list[str],
    python: Path | None = None,
    is_deployed: bool = False,
) -> dict[str, Any]:
    """Run the program with the checkout's interpreter, or `python`; the result of `language_host/offline.py`.

    `is_deployed`: answered as by an account where everything is there. Raises HerdError where it cannot be run.
    """
    arguments = {
        "account": config[config_key("account")],
        "region": config.get("aws:region", stack_config.LOCAL_REGION),
        "project": checkout.project,
        "stack": environment,
        "program": str(checkout.root / "infra"),
        "vpc": config.get(config_key("vpc"), ""),
        "tags": {PROJECT_TAG: checkout.project, ENVIRONMENT_TAG: environment},
        "deployed": is_deployed,
    }
    with tempfile.TemporaryDirectory(prefix="herd-check-") as folder:
        result = Path(folder) / "result.json"
        variables = {
            "PULUMI_CONFIG": json.dumps(config),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(secret),
            # This Herd, even if another one is installed in the interpreter's environment.
            "PYTHONPATH": str(PACKAGE.parent),
            **dict.fromkeys(name for name in os.environ if name.startswith("AWS_")),
        }
        done = subprocess.run(
            [str(python or checkout.python), "-P", str(OFFLINE), json.dumps(arguments), str(result)],
            cwd=checkout.root,
            env=pulumi_env.apply(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
        )
        if not result.exists():
            raise HerdError(f"the program could not be run:\n{done.stderr.strip() or done.stdout.strip()}")
        loaded: dict[str, Any] = json.loads(result.read_text())
    return loaded


def resource_of(entry: dict[str, Any]) -> Resource:
    links = {key: frozenset(urns) for key, urns in entry["links"].items()}
    return Resource(entry["type"], entry["name"], plain(entry["props"]), entry["urn"], entry["parent"], links)
