"""The certificate of the environment's domain: adopted, or made and proven by a record in the domain's zone."""

import pulumi
from pulumi_aws.acm.certificate import Certificate as AcmCertificate
from pulumi_aws.acm.certificate_validation import CertificateValidation
from pulumi_aws.route53.get_zone import get_zone
from pulumi_aws.route53.record import Record

from herd.infra.context import Component, Context

PROOF_TTL_SECONDS = 60


class Domain(Component):
    """`<service>.<domain>`: the certificate that load balancers show, and the zone in which services get their records.

    With `dns_zone` the zone is looked up, and AWS issues the certificate within minutes after the record that proves
    the name is in there; it renews itself as long as the record stays. Without, whoever keeps the domain points the
    services' names at the load balancer, and the certificate is adopted.
    """

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Domain", "domain", parent)
        settings = context.settings
        self.domain = settings.domain
        self.zone_id = get_zone(name=settings.dns_zone).zone_id if settings.dns_zone else None
        self.certificate_arn = settings.certificate or self._certificate(context)
        self.register_outputs({})

    def alias(self, host: str, dns_name: pulumi.Output[str], zone_id: pulumi.Output[str], parent: Component) -> None:
        """A record by which `host` leads to a load balancer, if the zone is ours to write in."""
        if self.zone_id is None:
            return
        Record(
            parent.child("name"),
            zone_id=self.zone_id,
            name=host,
            type="A",
            aliases=[{"name": dns_name, "zone_id": zone_id, "evaluate_target_health": True}],
            opts=parent.options(),
        )

    def _certificate(self, context: Context) -> pulumi.Output[str]:
        certificate = AcmCertificate(
            self.child("certificate"),
            # One for all services: one that names each would be another one whenever a service comes.
            domain_name=f"*.{self.domain}",
            validation_method="DNS",
            tags=context.tags(),
            opts=self.options(),
        )
        proof = certificate.domain_validation_options[0]
        assert self.zone_id is not None, "settings ask for a zone or a certificate"
        record = Record(
            self.child("proof"),
            zone_id=self.zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=PROOF_TTL_SECONDS,
            opts=self.options(),
        )
        return CertificateValidation(
            self.child("issued"),
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=self.options(),
        ).certificate_arn
