"""Who reaches a service: by which balancer, rules and certificate; and what is refused before anything is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from herd.infra.settings.schema import Settings
from herd.infra.settings.tables import SignIn
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

SIGN_IN = SignIn(
    issuer="https://id.acme.example",
    authorization_endpoint="https://id.acme.example/authorize",
    token_endpoint="https://id.acme.example/token",
    user_info_endpoint="https://id.acme.example/user",
    client_id="herd",
    client_secret="client-secret",
)
OFFICES = tuple(f"203.0.113.{number}/32" for number in range(1, 8))
DOMAIN = {"domain": "data.acme.example", "dns_zone": "acme.example"}


def settings(**given: Any) -> Settings:
    return Settings("herd", "dev", REGION, ACCOUNT, **{"allow_public": True, **given})


def team(root: Path, *accesses: str) -> Path:
    """One service of each access, named after it."""
    files = {path: text for path, text in TEAM.items() if not path.startswith("apis/")}
    for access in accesses:
        files[f"apis/{access}/workload.toml"] = f'command = ["python", "serve.py"]\naccess = "{access}"\n'
        files[f"apis/{access}/serve.py"] = "print(1)\n"
    return write_team(root, files)


def rules_of(program: Program, service: str) -> list[Mapping[str, Any]]:
    return [rule.inputs for rule in program.of("lb/listenerRule:ListenerRule") if rule.parent.endswith(f"::{service}")]


def callers_of(program: Program) -> dict[str, str]:
    rules = program.of("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    return {rule.name: rule.inputs["cidrIpv4"] for rule in rules if "cidrIpv4" in rule.inputs and "-in-" in rule.name}


@pytest.mark.parametrize(
    ("accesses", "balancers"),
    [
        ((), set()),
        (("internal",), {"internal"}),
        (("company",), {"public"}),
        (("public", "company"), {"public"}),
        (("internal", "public"), {"internal", "public"}),
    ],
)
def test_a_balancer_is_made_only_if_a_service_needs_it(
    tmp_path: Path, accesses: tuple[str, ...], balancers: set[str]
) -> None:
    program = run_program(team(tmp_path, *accesses), settings(company_cidrs=OFFICES[:1]))
    made = program.of("lb/loadBalancer:LoadBalancer")
    assert {one.name for one in made} == {f"{facing}-balancer-alb" for facing in balancers}
    assert {one.name: one.inputs["internal"] for one in made} == {
        f"{facing}-balancer-alb": facing == "internal" for facing in balancers
    }


def test_a_service_for_the_company_answers_its_addresses_only(tmp_path: Path) -> None:
    program = run_program(team(tmp_path, "company", "public"), settings(company_cidrs=OFFICES))
    sources = [
        condition["sourceIp"]["values"]
        for rule in rules_of(program, "company")
        for condition in rule["conditions"]
        if "sourceIp" in condition
    ]
    assert sorted(cidr for values in sources for cidr in values) == sorted(OFFICES), "in the order of registration: any"
    assert len(sources) == len(rules_of(program, "company")), "no rule without addresses"
    for rule in rules_of(program, "company"):
        values = [value for condition in rule["conditions"] for kind in condition.values() for value in kind["values"]]
        assert len(values) <= 5, "AWS's limit"
    assert len({rule["priority"] for rule in program_rules(program)}) == len(program_rules(program))
    (public,) = rules_of(program, "public")
    assert not any("sourceIp" in condition for condition in public["conditions"])
    assert callers_of(program) == {"public-balancer-in-world-80": "0.0.0.0/0"}


def program_rules(program: Program) -> list[Mapping[str, Any]]:
    return [rule.inputs for rule in program.of("lb/listenerRule:ListenerRule")]


def test_where_everything_is_for_the_company_nobody_else_may_even_knock(tmp_path: Path) -> None:
    program = run_program(team(tmp_path, "company"), settings(company_cidrs=OFFICES[:2]))
    assert callers_of(program) == {
        "public-balancer-in-company-1-80": OFFICES[0],
        "public-balancer-in-company-2-80": OFFICES[1],
    }


@pytest.mark.parametrize("cidrs", [(), OFFICES[:1]])
def test_people_sign_in_before_they_reach_a_service_for_the_company(tmp_path: Path, cidrs: tuple[str, ...]) -> None:
    given = settings(sign_in=SIGN_IN, company_cidrs=cidrs, **DOMAIN)
    program = run_program(team(tmp_path, "company", "public", "internal"), given)
    (rule,) = rules_of(program, "company")
    first, second = rule["actions"]["value"]  # all of it is a secret, since one thing in it is
    assert (first["type"], first["order"], second["type"], second["order"]) == ("authenticate-oidc", 1, "forward", 2)
    assert first["authenticateOidc"]["issuer"] == SIGN_IN.issuer
    assert first["authenticateOidc"]["onUnauthenticatedRequest"] == "authenticate"
    assert any("sourceIp" in condition for condition in rule["conditions"]) == bool(cidrs)
    for service in ("public", "internal"):
        assert [action["type"] for rule in rules_of(program, service) for action in rule["actions"]] == ["forward"]
    assert "public-balancer-to-provider" in {
        rule.name for rule in program.of("vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    }


def test_the_provider_is_reached_only_where_people_sign_in(program: Program) -> None:
    names = {rule.name for rule in program.of("vpc/securityGroupEgressRule:SecurityGroupEgressRule")}
    assert not any("provider" in name for name in names)


def test_with_a_domain_each_service_has_a_host_of_its_own_and_https(tmp_path: Path) -> None:
    program = run_program(team(tmp_path, "public", "internal"), settings(**DOMAIN))
    listeners = {one.name: one.inputs for one in program.of("lb/listener:Listener")}
    assert sorted(listeners) == [
        f"{facing}-balancer-{name}" for facing in ("internal", "public") for name in ("http", "https")
    ]
    for name, listener in listeners.items():
        (action,) = listener["defaultActions"]
        if name.endswith("https"):
            assert (listener["port"], listener["sslPolicy"]) == (443, "ELBSecurityPolicy-TLS13-1-2-2021-06")
            assert listener["certificateArn"] and action["fixedResponse"]["statusCode"] == "404"
        else:
            assert action["redirect"] == {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}
    (rule,) = rules_of(program, "public")
    assert rule["conditions"] == [{"hostHeader": {"values": ["public.data.acme.example"]}}]
    assert "transforms" not in rule
    assert program.exports["workloads"]["public"]["url"] == "https://public.data.acme.example/"
    assert program.task("public")["base_path"] == ""
    records = {record.inputs["name"]: record.inputs for record in program.of("route53/record:Record")}
    assert {"public.data.acme.example", "internal.data.acme.example"} < records.keys()
    (certificate,) = program.of("acm/certificate:Certificate")
    assert (certificate.inputs["domainName"], certificate.inputs["validationMethod"]) == ("*.data.acme.example", "DNS")


def test_an_adopted_certificate_is_used_and_none_is_made(tmp_path: Path) -> None:
    arn = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
    program = run_program(team(tmp_path, "public"), settings(domain="data.acme.example", certificate=arn))
    assert not program.of("acm/certificate:Certificate") and not program.of("route53/record:Record")
    assert program.one("lb/listener:Listener", "public-balancer-https").inputs["certificateArn"] == arn


def test_without_a_domain_services_are_told_apart_by_path(program: Program) -> None:
    (rule,) = rules_of(program, "answers")
    assert rule["conditions"] == [{"pathPattern": {"values": ["/answers", "/answers/*"]}}]
    assert program.task("answers")["base_path"] == "/answers"
    assert not program.of("acm/certificate:Certificate")


@pytest.mark.parametrize(
    ("access", "given", "words"),
    [
        ("public", {"allow_public": False}, 'access = "public" is not allowed in the stack dev'),
        ("company", {}, "needs to know the company: set herd:company_cidrs"),
        ("internal", {"require_tls": True}, "the stack dev serves by HTTPS only; set herd:domain"),
    ],
)
def test_what_the_stack_does_not_allow_is_refused_by_the_name_of_the_file(
    tmp_path: Path, access: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        run_program(team(tmp_path, access), settings(**given))
    assert str(refused.value).startswith(f"apis/{access}/workload.toml: ") and words in str(refused.value)


def test_all_refusals_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        run_program(team(tmp_path, "public", "company"), settings(allow_public=False, require_tls=True))
    assert len(str(refused.value).splitlines()) == 4


def test_deletion_protection_is_the_stacks_choice(tmp_path: Path) -> None:
    root = team(tmp_path, "internal")
    for protect in (False, True):
        (balancer,) = run_program(root, settings(protect=protect)).of("lb/loadBalancer:LoadBalancer")
        assert balancer.inputs["enableDeletionProtection"] is protect


def test_balancers_log_who_asked_for_what_below_the_environments_prefix(tmp_path: Path, program: Program) -> None:
    logged = run_program(team(tmp_path, "internal"), settings(access_logs=True))
    (balancer,) = logged.of("lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["accessLogs"] == {
        "bucket": f"herd-dev-{ACCOUNT}-logs",
        "prefix": "herd-dev/elb/internal",
        "enabled": True,
    }
    assert not any("accessLogs" in one.inputs for one in program.of("lb/loadBalancer:LoadBalancer"))
