"""A bucket's website endpoint: index and error documents and redirects, over what is public in the bucket.

Source: "Website endpoints", "Configuring a custom error document" and "Configuring a webpage redirect" of the S3 user
guide. Answers are pages for people, not XML; only GET and HEAD are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from localcloud.gateway.pages import Pages
from localcloud.request import Response
from localcloud.server import Server
from localcloud.signing import Message, unquote

_REDIRECT_HEADER = "x-amz-website-redirect-location"


class Websites:
    """Blocking: called from a worker thread."""

    def __init__(self, server: Server, pages: Pages):
        self._server = server
        self._pages = pages

    def answer(self, message: Message, bucket: str, region: str) -> Response:
        if message.method not in ("GET", "HEAD"):
            return _page(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        try:
            site = self._server.client("s3", region).get_bucket_website(Bucket=bucket)
        except ClientError as error:
            details = error.response["Error"]
            return _page(404, details["Code"], details["Message"])
        if everything := site.get("RedirectAllRequestsTo"):
            protocol = everything.get("Protocol") or "http"
            return _moved(f"{protocol}://{everything['HostName']}{message.path}", 301)
        key = unquote(message.path.removeprefix("/"))
        rules = site.get("RoutingRules", [])
        for rule in rules:
            if "HttpErrorCodeReturnedEquals" not in rule.get("Condition", {}) and _applies(rule, key, 0):
                return _routed(rule, key, message)
        return self._object(message, bucket, region, site, key)

    def _object(self, message: Message, bucket: str, region: str, site: Mapping[str, Any], key: str) -> Response:
        suffix = site["IndexDocument"]["Suffix"]
        answer = self._get(message, bucket, region, key + suffix if key == "" or key.endswith("/") else key)
        if answer.status < 400:
            elsewhere = next((value for name, value in answer.headers if name.lower() == _REDIRECT_HEADER), None)
            return _moved(elsewhere, 301) if elsewhere else answer
        if key and not key.endswith("/") and self._get(message, bucket, region, f"{key}/{suffix}").status < 400:
            return _moved(f"{message.path}/", 302)
        for rule in site.get("RoutingRules", []):
            if _applies(rule, key, answer.status):
                return _routed(rule, key, message)
        if document := site.get("ErrorDocument", {}).get("Key"):
            page = self._get(message, bucket, region, document)
            if page.status < 400:
                return replace(page, status=answer.status)
        if answer.status == 404:
            return _page(404, "NoSuchKey", "The specified key does not exist.")
        return _page(answer.status, "AccessDenied", "Access Denied")

    def _get(self, message: Message, bucket: str, region: str, key: str) -> Response:
        headers = tuple(
            (name, f"{bucket}.s3.{region}.localhost" if name == "host" else value) for name, value in message.headers
        )
        asked = replace(message, path="/" + quote(key), query="", headers=headers)
        return self._pages.answer(asked, bucket, region)


def _applies(rule: Mapping[str, Any], key: str, status: int) -> bool:
    condition = rule.get("Condition", {})
    wanted = condition.get("HttpErrorCodeReturnedEquals")
    return key.startswith(condition.get("KeyPrefixEquals", "")) and wanted in (None, str(status))


def _routed(rule: Mapping[str, Any], key: str, message: Message) -> Response:
    redirect = rule["Redirect"]
    if "ReplaceKeyWith" in redirect:
        key = redirect["ReplaceKeyWith"]
    elif "ReplaceKeyPrefixWith" in redirect:
        key = redirect["ReplaceKeyPrefixWith"] + key.removeprefix(rule.get("Condition", {}).get("KeyPrefixEquals", ""))
    host = redirect.get("HostName") or message.header("host")
    return _moved(
        f"{redirect.get('Protocol') or 'http'}://{host}/{quote(key)}", int(redirect.get("HttpRedirectCode", 301))
    )


def _moved(where: str, status: int) -> Response:
    return Response(status, [("Location", where), ("Content-Type", "text/html; charset=utf-8")], b"")


def _page(status: int, code: str, text: str) -> Response:
    title = f"{status} {HTTPStatus(status).phrase}"
    body = (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n"
        f"<ul>\n<li>Code: {escape(code)}</li>\n<li>Message: {escape(text)}</li>\n</ul>\n</body>\n</html>\n"
    )
    return Response(status, [("Content-Type", "text/html; charset=utf-8")], body.encode())
