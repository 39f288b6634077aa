"""Which part of the cloud a Host header names.

Only names that this cloud gave out are served. A page of any other site whose name resolves to this machine (DNS
rebinding) is refused before anything else is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.mail import INBOX_HOST

TASK_CREDENTIALS = "169.254.170.2"
BUCKET = re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3\.([a-z]{2}-[a-z-]+-\d)\.localhost")
_WEBSITE = re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.s3-website\.([a-z]{2}-[a-z-]+-\d)\.localhost")
_LOAD_BALANCER = re.compile(r"[a-z0-9-]+\.[a-z]{2}-[a-z-]+-\d\.elb\.localhost")
_DISTRIBUTION = re.compile(r"[a-z0-9]+\.cloudfront\.localhost")
_DECLARED = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+localhost")
_MAIL = re.compile(r"(sns|email)\.([a-z]{2}-[a-z-]+-\d)\.localhost")
_REGISTRY = re.compile(r"\d{12}\.dkr\.ecr\.[a-z]{2}-[a-z-]+-\d\.localhost")


@dataclass(frozen=True)
class Api:
    """The AWS API."""


@dataclass(frozen=True)
class TaskCredentials:
    """The address at which tasks ask for credentials on ECS; only networks of tasks lead here by it."""


@dataclass(frozen=True)
class Bucket:
    """A bucket's own address: signed requests are S3's API, unsigned ones read what is public."""

    name: str
    region: str


@dataclass(frozen=True)
class Website:
    """A bucket's website endpoint: index and error documents."""

    name: str
    region: str


@dataclass(frozen=True)
class LoadBalancer:
    """The address of a load balancer; `dns_name` is in lower case and without port."""

    dns_name: str


@dataclass(frozen=True)
class Distribution:
    """The address of a CloudFront distribution, with the port, as it was given out."""

    domain: str


@dataclass(frozen=True)
class Registry:
    """The address of the account's image registry."""


@dataclass(frozen=True)
class Inbox:
    """The page that shows the account's mail."""


@dataclass(frozen=True)
class MailLink:
    """Where the links in mail of SNS (`sns`) and SES (`email`) lead."""

    service: str
    region: str


@dataclass(frozen=True)
class Declared:
    """A name that may have been given to a load balancer by a record in Route 53. Names below `.localhost` are this
    machine's by themselves, so nobody else can lead a browser here by one.
    """

    name: str


Site = Api | TaskCredentials | Bucket | Website | LoadBalancer | Distribution | Registry | Inbox | MailLink | Declared


def site_of(host: str, port: int) -> Site | None:
    """What `host` ("name:port") addresses at a gateway on `port`; None for every name that is not the cloud's own."""
    if host == TASK_CREDENTIALS:
        return TaskCredentials()
    name, colon, named_port = host.lower().rpartition(":")
    if not colon or named_port != str(port):
        return None
    if name in ("127.0.0.1", "localhost"):
        return Api()
    if match := BUCKET.fullmatch(name):
        return Bucket(match[1], match[2])
    if match := _WEBSITE.fullmatch(name):
        return Website(match[1], match[2])
    if _LOAD_BALANCER.fullmatch(name):
        return LoadBalancer(name)
    if _DISTRIBUTION.fullmatch(name):
        return Distribution(f"{name}:{port}")
    if _REGISTRY.fullmatch(name):
        return Registry()
    if name == INBOX_HOST:
        return Inbox()
    if match := _MAIL.fullmatch(name):
        return MailLink(match[1], match[2])
    return Declared(name) if _DECLARED.fullmatch(name) else None
