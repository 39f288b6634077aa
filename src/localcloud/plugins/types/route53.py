"""Route 53's zones and records, and ACM's certificates. Global names: nothing here answers DNS."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


def _plain(name: str) -> Any:
    """AWS answers names with a dot at the end, and an asterisk as its octal code."""
    return name.removesuffix(".").replace("\\052", "*").lower()


class _ZoneTagging(Tagging):
    """Both changes by one call, which also wants to know what kind of thing it is."""

    def change(self, client: Any, resource: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        request: Props = {}
        if gone := [name for name in old if name not in new]:
            request["RemoveTagKeys"] = gone
        if added := {name: text for name, text in new.items() if old.get(name) != text}:
            request["AddTags"] = self.wrap(added)
        if request:
            client.change_tags_for_resource(ResourceType="hostedzone", ResourceId=resource, **request)

    def read(self, client: Any, resource: str) -> dict[str, str]:
        answer = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=resource)
        return self.unwrap(answer["ResourceTagSet"].get("Tags"))


@resource_type
class Zone(Resource):
    """A zone of names, public or of VPCs; its id is the zone's."""

    token = "aws:route53/zone:Zone"
    service = "route53"
    regional = False
    table = """
        name ^
        comment
        forceDestroy bool =-
        vpcs bag =-
            vpcId !
            vpcRegion ?
        arn ~
        nameServers list ~
        primaryNameServer ~
        zoneId ~
    """
    meanings = {"name": _plain}
    tagging = _ZoneTagging()

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        return [] if inputs.get("name") is not None else [("name", "must be given")]

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        return {"comment": "Managed by Pulumi", **inputs}

    def derived(self, cloud: Cloud, props: Props) -> Props:
        if "id" not in props:
            return {}
        return {"arn": f"arn:aws:route53:::hostedzone/{props['id']}", "zoneId": props["id"]}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        arguments: Props = {
            "Name": inputs["name"], "CallerReference": secrets.token_hex(8),
            "HostedZoneConfig": {"Comment": inputs["comment"], "PrivateZone": bool(inputs.get("vpcs"))},
        }  # fmt: skip
        first, *others = inputs.get("vpcs") or [None]
        if first:
            arguments["VPC"] = self._vpc(cloud, first)
        zone = self.call(cloud, "create_hosted_zone", **arguments)["HostedZone"]["Id"].rsplit("/", 1)[-1]
        for each in others:
            self.call(cloud, "associate_vpc_with_hosted_zone", HostedZoneId=zone, VPC=self._vpc(cloud, each))
        if tags := self.all_tags(cloud, inputs):
            _ZoneTagging().change(cloud.client("route53"), zone, {}, tags)
        return zone, self.read(cloud, zone, {}) or {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        described = self.call(cloud, "get_hosted_zone", Id=identifier)
        servers = sorted((described.get("DelegationSet") or {}).get("NameServers") or [])
        vpcs = [{"vpcId": each["VPCId"], "vpcRegion": each["VPCRegion"]} for each in described.get("VPCs") or []]
        return {
            "name": _plain(described["HostedZone"]["Name"]),
            "comment": (described["HostedZone"].get("Config") or {}).get("Comment") or "",
            "vpcs": vpcs, "nameServers": servers, "primaryNameServer": servers[0] if servers else "",
            "tagsAll": _ZoneTagging().read(cloud.client("route53"), identifier),
        }  # fmt: skip

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "comment" in changed:
            self.call(cloud, "update_hosted_zone_comment", Id=identifier, Comment=new["comment"])
        if "vpcs" in changed:
            had = {each["vpcId"]: each for each in (self.read(cloud, identifier, old) or {}).get("vpcs", [])}
            want = {each["vpcId"]: each for each in new.get("vpcs") or []}
            for name in [*(want.keys() - had.keys()), *(had.keys() - want.keys())]:
                verb = "associate_vpc_with" if name in want else "disassociate_vpc_from"
                vpc = self._vpc(cloud, want.get(name) or had[name])
                self.call(cloud, f"{verb}_hosted_zone", HostedZoneId=identifier, VPC=vpc)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if props.get("forceDestroy"):
            for record in self.all(cloud, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identifier):
                if record["Type"] not in ("NS", "SOA") or _plain(record["Name"]) != _plain(props["name"]):
                    _change(self, cloud, identifier, "DELETE", record)
        self.call(cloud, "delete_hosted_zone", Id=identifier)

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier

    def _vpc(self, cloud: Cloud, each: Props) -> Props:
        return {"VPCId": each["vpcId"], "VPCRegion": each.get("vpcRegion") or cloud.region}


def _change(kind: Resource, cloud: Cloud, zone: str, action: str, record: Mapping[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": dict(record)}]}
    kind.call(cloud, "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


@resource_type
class Record(Resource):
    """A record of a zone; its id is `zone_name_type`, with `_set` where records of a name are told apart."""

    token = "aws:route53/record:Record"
    service = "route53"
    regional = False
    table = """
        zoneId ! ^
        name ! ^
        type !
        ttl int
        records set
        setIdentifier ^
        allowOverwrite bool
        healthCheckId
        aliases objects
            name !
            zoneId !
            evaluateTargetHealth bool !
        weightedRoutingPolicies objects
            weight int !
        failoverRoutingPolicies objects
            type !
        fqdn ~
    """
    meanings = {"name": _plain}

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if (inputs.get("records") is None) == (inputs.get("aliases") is None):
            return [("records", "exactly one of records and aliases must be given")]
        if inputs.get("records") is not None and inputs.get("ttl") is None:
            return [("ttl", "must be given with records")]
        return []

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        _change(
            self,
            cloud,
            inputs["zoneId"],
            "UPSERT" if inputs.get("allowOverwrite") else "CREATE",
            self._set(cloud, inputs),
        )
        parts = [inputs["zoneId"], _plain(inputs["name"]), inputs["type"], inputs.get("setIdentifier")]
        return "_".join(part for part in parts if part), {"fqdn": self._full(cloud, inputs)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            zone, name, kind, *mark = identifier.split("_")
            props = {"zoneId": zone, "name": name, "type": kind, **({"setIdentifier": mark[0]} if mark else {})}
        record = self._find(cloud, props)
        if record is None:
            return None
        live: Props = {name: props[name] for name in ("zoneId", "name", "type")}
        live |= {"fqdn": _plain(record["Name"]), "type": record["Type"]}
        if "TTL" in record:
            values = [item["Value"] for item in record.get("ResourceRecords", [])]
            live |= {"ttl": float(record["TTL"]), "records": [_unquoted(record["Type"], value) for value in values]}
        if target := record.get("AliasTarget"):
            live["aliases"] = [{
                "name": _plain(target["DNSName"]), "zoneId": target["HostedZoneId"],
                "evaluateTargetHealth": target["EvaluateTargetHealth"],
            }]  # fmt: skip
        if record.get("SetIdentifier"):
            live["setIdentifier"] = record["SetIdentifier"]
        if "Weight" in record:
            live["weightedRoutingPolicies"] = [{"weight": float(record["Weight"])}]
        if record.get("Failover"):
            live["failoverRoutingPolicies"] = [{"type": record["Failover"]}]
        return {**live, **({"healthCheckId": record["HealthCheckId"]} if record.get("HealthCheckId") else {})}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "type" in changed and (record := self._find(cloud, old)):
            _change(self, cloud, new["zoneId"], "DELETE", record)
        _change(self, cloud, new["zoneId"], "UPSERT", self._set(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if record := self._find(cloud, props):
            _change(self, cloud, props["zoneId"], "DELETE", record)

    def _full(self, cloud: Cloud, props: Props) -> str:
        zone = _plain(self.call(cloud, "get_hosted_zone", Id=props["zoneId"])["HostedZone"]["Name"])
        name = str(_plain(props["name"]))
        return name if name == zone or name.endswith(f".{zone}") else f"{name}.{zone}" if name else zone

    def _find(self, cloud: Cloud, props: Props) -> dict[str, Any] | None:
        wanted = self._full(cloud, props)
        for record in self.all(cloud, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=props["zoneId"]):
            same = _plain(record["Name"]) == wanted and record["Type"] == props["type"]
            if same and record.get("SetIdentifier") == props.get("setIdentifier"):
                return dict(record)
        return None

    def _set(self, cloud: Cloud, inputs: Props) -> Props:
        record_set: Props = {"Name": self._full(cloud, inputs), "Type": inputs["type"]}
        if inputs.get("records") is not None:
            values = [{"Value": _quoted(inputs["type"], value)} for value in inputs["records"]]
            record_set |= {"TTL": int(inputs["ttl"]), "ResourceRecords": values}
        for each in inputs.get("aliases") or []:
            record_set["AliasTarget"] = {
                "DNSName": each["name"], "HostedZoneId": each["zoneId"],
                "EvaluateTargetHealth": each["evaluateTargetHealth"],
            }  # fmt: skip
        for name, member in (("setIdentifier", "SetIdentifier"), ("healthCheckId", "HealthCheckId")):
            if inputs.get(name):
                record_set[member] = inputs[name]
        for each in inputs.get("weightedRoutingPolicies") or []:
            record_set["Weight"] = int(each["weight"])
        for each in inputs.get("failoverRoutingPolicies") or []:
            record_set["Failover"] = each["type"]
        return record_set


def _quoted(kind: str, value: str) -> str:
    return f'"{value}"' if kind in ("TXT", "SPF") and not value.startswith('"') else value


def _unquoted(kind: str, value: str) -> str:
    return value[1:-1] if kind in ("TXT", "SPF") and value[:1] == value[-1:] == '"' else value
