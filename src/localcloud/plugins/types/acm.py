"""ACM: certificates that AWS issues once a name is proven. Here they are issued at once, and encrypt nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class Certificate(Resource):
    """A certificate; its id is its ARN."""

    token = "aws:acm/certificate:Certificate"
    service = "acm"
    table = """
        domainName ^
        subjectAlternativeNames set ^ ?
        validationMethod ^ ?
        keyAlgorithm ^ ?
        options object ?
            certificateTransparencyLoggingPreference default:ENABLED
        arn ~ =CertificateArn
        domainValidationOptions bag ~ =-
            domainName
            resourceRecordName
            resourceRecordType
            resourceRecordValue
        notAfter ~
        notBefore ~
        pendingRenewal bool ~ =-
        renewalEligibility ~
        renewalSummaries list ~ =-
        status ~
        type ~
        validationEmails list ~ =-
    """
    tagging = Tagging(
        add="add_tags_to_certificate", remove="remove_tags_from_certificate", list="list_tags_for_certificate",
        resource="CertificateArn", keys="Tags", key_pairs=True,
    )  # fmt: skip
    create_call, reads_back, identifier = "request_certificate", True, "CertificateArn"
    read_call, read_key, read_answer = "describe_certificate", "CertificateArn", "Certificate"
    delete_call = "delete_certificate"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        return (
            [] if inputs.get("domainName") else [("domainName", "must be given: only ACM's own certificates are here")]
        )

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        """AWS counts the domain's own name among the others; here it is left out everywhere."""
        names = inputs.get("subjectAlternativeNames")
        if not isinstance(names, list):
            return inputs
        return {**inputs, "subjectAlternativeNames": [name for name in names if name != inputs["domainName"]]}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        others = [name for name in live.pop("subjectAlternativeNames", []) if name != live["domainName"]]
        live |= {"subjectAlternativeNames": others} if others else {}
        live["domainValidationOptions"] = [
            {
                "domainName": each["DomainName"], "resourceRecordName": record.get("Name"),
                "resourceRecordType": record.get("Type"), "resourceRecordValue": record.get("Value"),
            }
            for each in described.get("DomainValidationOptions", [])
            for record in [each.get("ResourceRecord") or {}]
        ]  # fmt: skip
        method = {each.get("ValidationMethod") for each in described.get("DomainValidationOptions", [])}
        if method - {None}:
            live["validationMethod"] = sorted(method - {None})[0]
        dates = {name: str(live.get(name) or "") for name in ("notAfter", "notBefore")}
        return {**live, **dates, "pendingRenewal": False, "renewalSummaries": [], "validationEmails": []}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "options" in changed:
            wanted = {"CertificateTransparencyLoggingPreference": "ENABLED", **_capitals(new.get("options") or {})}
            self.call(cloud, "update_certificate_options", CertificateArn=identifier, Options=wanted)
        return {}


def _capitals(props: Props) -> Props:
    return {name[:1].upper() + name[1:]: value for name, value in props.items()}


@resource_type
class CertificateValidation(Resource):
    """Waits until a certificate is issued; its id is the time of that. Nothing exists of it in AWS."""

    token = "aws:acm/certificateValidation:CertificateValidation"
    service = "acm"
    table = """
        certificateArn ! ^
        validationRecordFqdns set ^
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        cloud.client("acm").get_waiter("certificate_validated").wait(
            CertificateArn=inputs["certificateArn"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        return str(self._issued(cloud, inputs["certificateArn"])), {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            return None
        issued = self._issued(cloud, props["certificateArn"])
        return {"certificateArn": props["certificateArn"]} if issued else None

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        """There is nothing to delete."""

    def _issued(self, cloud: Cloud, arn: str) -> Any:
        described = self.call(cloud, "describe_certificate", CertificateArn=arn)["Certificate"]
        return described.get("IssuedAt") if described["Status"] == "ISSUED" else None
