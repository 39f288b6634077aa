"""A zone, a certificate that is proven by records in it, and trust in a code host's pipelines."""

import os

import pulumi
import pulumi_aws as aws

zone = aws.route53.Zone("zone", name="shop.example", force_destroy=True)
aws.route53.Record("www", zone_id=zone.zone_id, name="www", type="A", records=["192.0.2.1"],
                   ttl=60 if os.environ.get("CHANGED") else 300)  # fmt: skip
aws.route53.Record("words", zone_id=zone.zone_id, name="shop.example", type="TXT", ttl=60, records=["v=spf1 -all"])
certificate = aws.acm.Certificate("certificate", domain_name="shop.example", validation_method="DNS")
proof = certificate.domain_validation_options[0]
record = aws.route53.Record(
    "proof", zone_id=zone.zone_id, name=proof.resource_record_name, type=proof.resource_record_type,
    records=[proof.resource_record_value], ttl=60, allow_overwrite=True,
)  # fmt: skip
valid = aws.acm.CertificateValidation("valid", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn])
trusted = aws.iam.OpenIdConnectProvider(
    "pipelines", url="https://token.actions.githubusercontent.com", client_id_lists=["sts.amazonaws.com"]
)
aws.iam.Role(
    "deployer",
    assume_role_policy=aws.iam.get_policy_document_output(
        statements=[
            {
                "principals": [{"type": "Federated", "identifiers": [trusted.arn]}],
                "actions": ["sts:AssumeRoleWithWebIdentity"],
                "conditions": [
                    {
                        "test": "StringLike",
                        "variable": "token.actions.githubusercontent.com:sub",
                        "values": ["repo:me/shop:*"],
                    }
                ],
            }
        ]
    ).json,
)
pulumi.export("certificate", valid.certificate_arn)
pulumi.export("name_servers", zone.name_servers)
