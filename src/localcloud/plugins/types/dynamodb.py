"""DynamoDB: tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import to_api
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class Table(Resource):
    """A table with its indexes; its id is its name. A change of its keys or local indexes replaces it."""

    token = "aws:dynamodb/table:Table"
    service = "dynamodb"
    table = """
        name ^ =TableName
        attributes bag =AttributeDefinitions
            name ! =AttributeName
            type ! =AttributeType
        hashKey ^ =-
        rangeKey ^ =-
        billingMode default:PROVISIONED
        readCapacity int ? =-
        writeCapacity int ? =-
        globalSecondaryIndexes bag =-
            name ! =IndexName
            hashKey
            rangeKey
            projectionType !
            nonKeyAttributes set
            readCapacity int ?
            writeCapacity int ?
        localSecondaryIndexes bag ^ =-
            name !
            rangeKey !
            projectionType !
            nonKeyAttributes set
        streamEnabled bool default:false =-
        streamViewType =-
        tableClass default:STANDARD =-
        deletionProtectionEnabled bool default:false
        pointInTimeRecovery object =-
            enabled bool !
            recoveryPeriodInDays int ?
        serverSideEncryption object =-
            enabled bool !
            kmsKeyArn ?
        ttl object =-
            attributeName
            enabled bool
        arn ~ =TableArn
        streamArn ~ =-
        streamLabel ~ =-
    """
    tagging = Tagging(list="list_tags_of_resource")
    autoname = Autoname(limit=255)
    create_call, create_answer, identifier = "create_table", "TableDescription", "TableName"
    read_call, read_key, read_answer = "describe_table", "TableName", "Table"
    delete_call = "delete_table"
    recomputed = frozenset({"streamArn", "streamLabel"})

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("dynamodb", f"table/{props['name']}")}

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if inputs.get("hashKey") is None:
            return [("hashKey", "must be given")]
        if inputs.get("billingMode") == "PAY_PER_REQUEST" or inputs.get("readCapacity") is not None:
            return []
        return [("readCapacity", "readCapacity and writeCapacity must be given, unless billingMode is PAY_PER_REQUEST")]

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = {"BillingMode": "PROVISIONED", **to_api(self.fields, inputs, self.spelling)}
        arguments |= {"KeySchema": _keys(inputs["hashKey"], inputs.get("rangeKey"))}
        on_demand = arguments["BillingMode"] == "PAY_PER_REQUEST"
        if not on_demand:
            arguments["ProvisionedThroughput"] = _throughput(inputs)
        if inputs.get("globalSecondaryIndexes"):
            arguments["GlobalSecondaryIndexes"] = [_index(each, on_demand) for each in inputs["globalSecondaryIndexes"]]
        if inputs.get("localSecondaryIndexes"):
            arguments["LocalSecondaryIndexes"] = [
                _index({**each, "hashKey": inputs["hashKey"]}, True) for each in inputs["localSecondaryIndexes"]
            ]
        if inputs.get("streamEnabled"):
            arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": inputs["streamViewType"]}
        if (inputs.get("serverSideEncryption") or {}).get("enabled"):
            arguments["SSESpecification"] = _encryption(inputs["serverSideEncryption"])
        return arguments | ({"TableClass": inputs["tableClass"]} if inputs.get("tableClass") else {})

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        name, live = super().create(cloud, inputs)
        try:
            self._settings(cloud, name, {}, inputs)
        except ClientError as error:
            raise HalfCreated(name, live, str(error)) from error
        return name, live

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        keys = {key["KeyType"]: key["AttributeName"] for key in described["KeySchema"]}
        live["hashKey"] = keys["HASH"]
        if "RANGE" in keys:
            live["rangeKey"] = keys["RANGE"]
        live["billingMode"] = (described.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
        if live["billingMode"] == "PROVISIONED":
            live |= _capacity(described.get("ProvisionedThroughput") or {})
        live["globalSecondaryIndexes"] = [
            _index_of(each, live["billingMode"] == "PROVISIONED")
            for each in described.get("GlobalSecondaryIndexes") or []
        ]
        live["localSecondaryIndexes"] = [
            {name: value for name, value in _index_of(each, False).items() if name != "hashKey"}
            for each in described.get("LocalSecondaryIndexes") or []
        ]
        stream = described.get("StreamSpecification") or {}
        live |= {
            "streamEnabled": bool(stream.get("StreamEnabled")),
            "streamArn": described.get("LatestStreamArn") or "",
        }
        live["streamLabel"] = described.get("LatestStreamLabel") or ""
        if stream.get("StreamViewType"):
            live["streamViewType"] = stream["StreamViewType"]
        encryption = described.get("SSEDescription") or {}
        if encryption.get("Status") == "ENABLED":
            key = {"kmsKeyArn": encryption["KMSMasterKeyArn"]} if encryption.get("KMSMasterKeyArn") else {}
            live["serverSideEncryption"] = {"enabled": True, **key}
        live["tableClass"] = (described.get("TableClassSummary") or {}).get("TableClass", "STANDARD")
        return live

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if live is None:
            return None
        ttl = self.call(cloud, "describe_time_to_live", TableName=identifier)["TimeToLiveDescription"]
        if ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            live["ttl"] = {"attributeName": ttl["AttributeName"], "enabled": True}
        backups = self.call(cloud, "describe_continuous_backups", TableName=identifier)["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription") or {}
        days = recovery.get("RecoveryPeriodInDays")
        live["pointInTimeRecovery"] = {
            "enabled": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            **({"recoveryPeriodInDays": float(days)} if days else {}),
        }
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        wanted = self.arguments(cloud, new)
        request: Props = {}
        if changed & {"billingMode", "readCapacity", "writeCapacity"}:
            request |= {name: wanted[name] for name in ("BillingMode", "ProvisionedThroughput") if name in wanted}
        if changed & {"streamEnabled", "streamViewType"}:
            request["StreamSpecification"] = wanted.get("StreamSpecification", {"StreamEnabled": False})
        if "deletionProtectionEnabled" in changed:
            request["DeletionProtectionEnabled"] = bool(new.get("deletionProtectionEnabled"))
        if "serverSideEncryption" in changed:
            request["SSESpecification"] = wanted.get("SSESpecification", {"Enabled": False})
        if "tableClass" in changed:
            request["TableClass"] = new.get("tableClass") or "STANDARD"
        indexes = self._index_changes(cloud, identifier, wanted) if changed & _OF_INDEXES else []
        if "billingMode" in changed:  # with the table's capacity AWS wants that of each index that stays
            request["GlobalSecondaryIndexUpdates"] = [each for each in indexes if "Update" in each]
            indexes = [each for each in indexes if "Update" not in each]
        request = {name: value for name, value in request.items() if value != []}
        if request:
            self.call(cloud, "update_table", TableName=identifier, **request)
        for change in indexes:  # AWS takes one a call
            definitions = wanted["AttributeDefinitions"]
            self.call(
                cloud, "update_table", TableName=identifier, AttributeDefinitions=definitions,
                GlobalSecondaryIndexUpdates=[change],
            )  # fmt: skip
        self._settings(cloud, identifier, old, new)
        return {}

    def _index_changes(self, cloud: Cloud, name: str, wanted: Props) -> list[Props]:
        """What makes the table's indexes those that are wanted; of one that stays only the capacity can be changed."""
        table = self.call(cloud, "describe_table", TableName=name)["Table"]
        had = {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes") or []}
        want = {each["IndexName"]: each for each in wanted.get("GlobalSecondaryIndexes") or []}
        stale = [key for key, each in had.items() if key not in want or _definition(each) != _definition(want[key])]
        changes: list[Props] = [{"Delete": {"IndexName": key}} for key in stale]
        for key, each in want.items():
            capacity = each.get("ProvisionedThroughput")
            if key not in had or key in stale:
                changes.append({"Create": each})
            elif capacity and _capacity(capacity) != _capacity(had[key].get("ProvisionedThroughput") or {}):
                changes.append({"Update": {"IndexName": key, "ProvisionedThroughput": capacity}})
        return changes

    def _settings(self, cloud: Cloud, name: str, old: Props, new: Props) -> None:
        had, want = old.get("ttl") or {}, new.get("ttl") or {}
        if had != want and (want.get("attributeName") or had.get("attributeName")):
            ttl = {
                "Enabled": bool(want.get("enabled")),
                "AttributeName": want.get("attributeName") or had["attributeName"],
            }
            if ttl["Enabled"] or had.get("enabled"):
                self.call(cloud, "update_time_to_live", TableName=name, TimeToLiveSpecification=ttl)
        had, want = old.get("pointInTimeRecovery") or {}, new.get("pointInTimeRecovery") or {}
        enabled, days = bool(want.get("enabled")), want.get("recoveryPeriodInDays")
        if enabled != bool(had.get("enabled")) or (enabled and days and days != had.get("recoveryPeriodInDays")):
            switch: Props = {"PointInTimeRecoveryEnabled": enabled}
            if enabled and days:
                switch["RecoveryPeriodInDays"] = int(days)
            self.call(cloud, "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=switch)


_OF_INDEXES = {"globalSecondaryIndexes", "attributes", "billingMode"}


def _definition(index: Mapping[str, Any]) -> tuple[Any, ...]:
    """What cannot be changed in an index: its keys and what it holds of an item."""
    projection = index["Projection"]
    return index["KeySchema"], projection["ProjectionType"], sorted(projection.get("NonKeyAttributes") or [])


def _keys(partition: str, sort: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": sort, "KeyType": "RANGE"}] if sort else keys


def _throughput(props: Props) -> Props:
    return {
        "ReadCapacityUnits": int(props.get("readCapacity") or 1),
        "WriteCapacityUnits": int(props.get("writeCapacity") or 1),
    }


def _capacity(throughput: Mapping[str, Any]) -> Props:
    return {
        "readCapacity": float(throughput.get("ReadCapacityUnits", 0)),
        "writeCapacity": float(throughput.get("WriteCapacityUnits", 0)),
    }


def _index(each: Props, on_demand: bool) -> Props:
    projection: Props = {"ProjectionType": each["projectionType"]}
    if each.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = each["nonKeyAttributes"]
    index: Props = {
        "IndexName": each["name"], "KeySchema": _keys(each["hashKey"], each.get("rangeKey")), "Projection": projection,
    }  # fmt: skip
    return index if on_demand else {**index, "ProvisionedThroughput": _throughput(each)}


def _index_of(each: Mapping[str, Any], provisioned: bool) -> Props:
    keys = {key["KeyType"]: key["AttributeName"] for key in each["KeySchema"]}
    index: Props = {
        "name": each["IndexName"],
        "hashKey": keys["HASH"],
        "projectionType": each["Projection"]["ProjectionType"],
    }
    if "RANGE" in keys:
        index["rangeKey"] = keys["RANGE"]
    if each["Projection"].get("NonKeyAttributes"):
        index["nonKeyAttributes"] = each["Projection"]["NonKeyAttributes"]
    return {**index, **(_capacity(each.get("ProvisionedThroughput") or {}) if provisioned else {})}


def _encryption(settings: Props) -> Props:
    key = {"KMSMasterKeyId": settings["kmsKeyArn"], "SSEType": "KMS"} if settings.get("kmsKeyArn") else {}
    return {"Enabled": True, **key}
