"""Log streams and their events: a store is called for what comes and goes, and can bring them back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from moto.logs import models

from localcloud import backends
from localcloud.per_account import PerAccount


class EventStore(Protocol):
    """Who keeps an account's log events. The server's lock is held at each call."""

    def stream_made(self, region: str, group: str, stream: str, created: datetime) -> None:
        """A stream is there, empty."""

    def events_put(self, region: str, group: str, stream: str, events: list[Any]) -> None:
        """These events (`timestamp`, `ingestion_time`, `message`) were added to a stream."""

    def stream_deleted(self, region: str, group: str, stream: str | None) -> None:
        """A stream is gone; None: all of its group."""


_stores = PerAccount[EventStore]()
connect = _stores.connect


def apply() -> None:
    """Call the account's store for new events and streams, and for those that are deleted."""
    stream, group, backend = models.LogStream, models.LogGroup, models.LogsBackend
    stock_init, stock_put = stream.__init__, stream.put_log_events
    stock_delete_stream, stock_delete_group = group.delete_log_stream, backend.delete_log_group

    def init(self: Any, log_group: Any, name: str) -> None:
        stock_init(self, log_group, name)
        if store := _stores.of(self.account_id):
            store.stream_made(self.region, log_group.name, name, self.creation_time)

    def put_log_events(self: Any, log_events: list[dict[str, Any]]) -> str:
        before = len(self.events)
        token: str = stock_put(self, log_events)
        if store := _stores.of(self.account_id):
            store.events_put(self.region, self.log_group.name, self.log_stream_name, self.events[before:])
        return token

    def delete_log_stream(self: Any, log_stream_name: str) -> None:
        stock_delete_stream(self, log_stream_name)
        if store := _stores.of(self.account_id):
            store.stream_deleted(self.region, self.name, log_stream_name)

    def delete_log_group(self: Any, log_group_name: str) -> None:
        stock_delete_group(self, log_group_name)
        if store := _stores.of(self.account_id):
            store.stream_deleted(self.region_name, log_group_name, None)

    stream.__init__, stream.put_log_events = init, put_log_events
    group.delete_log_stream, backend.delete_log_group = delete_log_stream, delete_log_group


def revive(
    account: str, region: str, group: str, name: str, created: datetime, events: Iterable[tuple[int, int, str]]
) -> bool:
    """Make a stream with these events (timestamp, ingestion time, message); False if its group is gone."""
    log_group = backends.logs(account, region).groups.get(group)
    if log_group is None:
        return False
    stream = models.LogStream(log_group, name)
    stream.creation_time = created
    for timestamp, ingested, message in events:
        stream.events.append(models.LogEvent(ingested, {"timestamp": timestamp, "message": message}))
        stream.stored_bytes += len(message)
        stream.last_ingestion_time = datetime.fromtimestamp(ingested / 1000, UTC).replace(tzinfo=None)
    stream.upload_sequence_token = len(stream.events)
    log_group.streams[name] = stream
    return True


def retention_days(account: str, region: str, group: str) -> int | None:
    """For how long a group keeps events; None: for ever, or the group is gone."""
    log_group = backends.logs(account, region).groups.get(group)
    return int(log_group.retention_in_days) if log_group is not None and log_group.retention_in_days else None


def forget(account: str, region: str, group: str, name: str) -> None:
    """Drop a stream, as if its time had run out. The store knows."""
    log_group = backends.logs(account, region).groups.get(group)
    if log_group is not None:
        log_group.streams.pop(name, None)


def drop_events(account: str, region: str, group: str, name: str, count: int, instead: tuple[int, int, str]) -> None:
    """Drop all events of a stream but the latest `count`; `instead` takes the place of the others. The store knows."""
    log_group = backends.logs(account, region).groups.get(group)
    if log_group is not None and name in log_group.streams:
        timestamp, ingested, message = instead
        events = log_group.streams[name].events
        events[:-count] = [models.LogEvent(ingested, {"timestamp": timestamp, "message": message})]
