"""IAM: the clients of an OpenID Connect provider can be changed."""

from __future__ import annotations

from typing import Any

from moto.core.responses import EmptyResult
from moto.iam import responses


def apply() -> None:
    """Add two calls that moto lacks."""

    # iam/responses.py has neither AddClientIDToOpenIDConnectProvider nor RemoveClientIDFromOpenIDConnectProvider.
    def add(self: Any) -> EmptyResult:
        clients = _clients(self)
        if self._get_param("ClientID") not in clients:
            clients.append(self._get_param("ClientID"))
        return EmptyResult()

    def remove(self: Any) -> EmptyResult:
        clients = _clients(self)
        if self._get_param("ClientID") in clients:
            clients.remove(self._get_param("ClientID"))
        return EmptyResult()

    responses.IamResponse.add_client_id_to_open_id_connect_provider = add
    responses.IamResponse.remove_client_id_from_open_id_connect_provider = remove


def _clients(response: Any) -> list[str]:
    provider = response.backend.get_open_id_connect_provider(response._get_param("OpenIDConnectProviderArn"))
    clients: list[str] = provider.client_id_list
    return clients
