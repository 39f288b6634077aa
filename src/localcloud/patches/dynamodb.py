"""DynamoDB: a table has a class, and its class and encryption can be changed."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb import responses
from moto.dynamodb.models.table import Table


def apply() -> None:
    """Let moto keep TableClass, and SSESpecification in UpdateTable too."""
    # dynamodb/responses.py:340 and :641 read neither.
    handler = responses.DynamoHandler
    stock_create, stock_update, stock_describe = handler.create_table, handler.update_table, Table.describe

    def create_table(self: Any) -> ActionResult:
        stock_create(self)
        return _settled(self)

    def update_table(self: Any) -> ActionResult:
        stock_update(self)
        return _settled(self)

    def describe(self: Any, base_key: str = "TableDescription") -> dict[str, Any]:
        described: dict[str, Any] = stock_describe(self, base_key)
        if table_class := getattr(self, "table_class", None):
            described[base_key]["TableClassSummary"] = {"TableClass": table_class}
        return described

    handler.create_table, handler.update_table, Table.describe = create_table, update_table, describe


def _settled(handler: Any) -> ActionResult:
    table = handler.dynamodb_backend.get_table(handler.body["TableName"])
    table.table_class = handler.body.get("TableClass", getattr(table, "table_class", None))
    if encryption := handler.body.get("SSESpecification"):
        key = table._get_default_encryption_key(table.account_id, table.region_name)
        table.sse_specification = {"KMSMasterKeyId": key, **encryption}
    return responses.DynamoResult(table.describe())
