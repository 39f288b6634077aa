"""EC2: instance types and machine images are read when somebody asks for them; a VPC takes its default ACL with it.

moto 5.2.5 reads which instance types are offered in each of 30 regions when ec2/models/instance_types.py is imported
(:16): 37 MB that a cloud of Fargate tasks never looks at, and before that (:11) what each type has, in a tenth of the
cloud's start. Other services import EC2, so this comes before all others.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.utilities import utils

OFFERINGS = "ec2/resources/instance_type_offerings"
TYPES = "ec2/resources/instance_types.json"

_load = utils.load_resource


def _load_all_but_types(resource: str) -> Any:
    if resource == TYPES:
        return {}
    return [] if resource.startswith(OFFERINGS) else _load(resource)


utils.load_resource = _load_all_but_types
try:
    from moto.ec2.models import amis, instance_types, nat_gateways, vpcs
finally:
    utils.load_resource = _load


class Offerings(dict[str, list[dict[str, Any]]]):
    """Region -> instance types of one kind of location, each region read when it is first asked for."""

    def __init__(self, location_type: str):
        super().__init__()
        self._location_type = location_type

    def __missing__(self, region: str) -> list[dict[str, Any]]:
        try:
            offerings = _load(f"{OFFERINGS}/{self._location_type}/{region}.json")
        except FileNotFoundError:
            raise KeyError(region) from None
        self[region] = [{**offering, "LocationType": self._location_type} for offering in offerings]
        return self[region]

    def get(self, region: str, default: Any = None) -> Any:
        """The offerings of a region, or the default for a region that moto does not know."""
        try:
            return self[region]
        except KeyError:
            return default


def apply() -> None:
    """Let moto find offerings and machine images when it asks for them."""
    offerings = instance_types.INSTANCE_TYPE_OFFERINGS
    for location_type in offerings:
        offerings[location_type] = Offerings(location_type)
    _load_types_late()
    _load_images_late()
    _delete_default_acls()
    _delete_interfaces_of_gateways()
    _change_names_of_endpoints()
    _delete_endpoints_after_their_tables()


def _load_types_late() -> None:
    @cache
    def types() -> list[Any]:
        instance_types.INSTANCE_TYPES.update(_load(TYPES))
        return list(map(instance_types.InstanceType, instance_types.INSTANCE_TYPES))

    instance_types.InstanceTypeBackend.instance_types = property(lambda self: types())


def _load_images_late() -> None:
    # ec2/models/amis.py:187 makes thousands of machine images as soon as a region is used: 40 MB.
    from localcloud.patches import determinism  # loads what must come after this module

    backend = amis.AmiBackend
    stock = backend._load_amis

    def get_amis(self: Any) -> Any:
        if not self.__dict__.setdefault("_images_loaded", False):
            self.__dict__["_images_loaded"] = True
            with determinism.born(self.account_id, f"images/{self.region_name}"):
                stock(self)
        return self.__dict__["amis"]

    def set_amis(self: Any, images: Any) -> None:
        self.__dict__["amis"] = images

    def load_later(self: Any) -> None:
        """They are loaded by whoever looks at them first."""

    backend._load_amis = load_later
    backend.amis = property(get_amis, set_amis)


def _delete_default_acls() -> None:
    # moto 5.2.5 makes a default network ACL with each VPC (ec2/models/vpcs.py:809) and leaves it when the VPC goes.
    stock = vpcs.VPCBackend.delete_vpc

    def delete_vpc(self: Any, vpc_id: str) -> Any:
        deleted = stock(self, vpc_id)
        for acl in [acl for acl in self.network_acls.values() if acl.vpc_id == vpc_id and acl.default]:
            del self.network_acls[acl.id]
        return deleted

    vpcs.VPCBackend.delete_vpc = delete_vpc


def _delete_interfaces_of_gateways() -> None:
    # ec2/models/nat_gateways.py:147 leaves a deleted gateway's network interface for ever, and its address in use.
    backend = nat_gateways.NatGatewayBackend
    stock = backend.delete_nat_gateway

    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gateway = self.nat_gateways.get(nat_gateway_id)
        if gateway is not None and gateway.state != "deleted":
            mine = {address.get("allocationId") for address in gateway.address_set}
            for address in [each for each in self.addresses if each.allocation_id in mine and each.association_id]:
                self.disassociate_address(association_id=address.association_id)
            self.enis.pop(gateway._eni.id, None)
        return stock(self, nat_gateway_id)

    backend.delete_nat_gateway = delete_nat_gateway


def _change_names_of_endpoints() -> None:
    # ec2/responses/vpcs.py:213 forgets PrivateDnsEnabled and ResetPolicy.
    from moto.ec2.responses.vpcs import VPCs

    stock = VPCs.modify_vpc_endpoint

    def modify_vpc_endpoint(self: Any) -> Any:
        answer = stock(self)
        endpoint = self.ec2_backend.describe_vpc_endpoints(vpc_end_point_ids=[self._get_param("VpcEndpointId")])[0]
        private = self._get_param("PrivateDnsEnabled")
        if private is not None:
            endpoint.private_dns_enabled = str(private).lower() == "true"
        if str(self._get_param("ResetPolicy")).lower() == "true":
            endpoint.policy_document = json.dumps(vpcs.VPCEndPoint.DEFAULT_POLICY)
        return answer

    VPCs.modify_vpc_endpoint = modify_vpc_endpoint


def _delete_endpoints_after_their_tables() -> None:
    # ec2/models/vpcs.py:1062: an endpoint whose route table has gone, or whose route there has, cannot be deleted, and
    # is answered as one that does not exist.
    backend = vpcs.VPCBackend
    stock = backend.delete_vpc_endpoints

    def delete_vpc_endpoints(self: Any, vpce_ids: list[str] | None = None) -> None:
        for number in vpce_ids or []:
            endpoint = self.vpc_end_points.get(number)
            if endpoint is not None and endpoint.vpc_endpoint_type.lower() != "interface":
                route = endpoint.destination_prefix_list_id
                tables = [self.route_tables.get(table) for table in endpoint.route_table_ids or []]
                endpoint.route_table_ids = [
                    table.id for table in tables if table is not None and any(route in key for key in table._routes)
                ]
        stock(self, vpce_ids)

    backend.delete_vpc_endpoints = delete_vpc_endpoints
