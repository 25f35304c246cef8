"""Google's client of a target: where it asks, and who it says that it is."""

from __future__ import annotations

import os
from typing import Any

import google.auth
from google.api_core.client_info import ClientInfo
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from warehouse_ml import __version__
from warehouse_ml.errors import WarehouseError
from warehouse_ml.warehouses.bigquery.settings import BigQuerySettings
from warehouse_ml.warehouses.bigquery.told import driver_errors

__all__ = ["client_of", "is_google", "storage_client_of", "whose_credentials"]

_EMULATOR = "BIGQUERY_EMULATOR_HOST"


def is_google(settings: BigQuerySettings) -> bool:
    """Whether a target is Google's own service, and no emulator or other address."""
    return settings.endpoint is None and _EMULATOR not in os.environ


def client_of(settings: BigQuerySettings) -> bigquery.Client:
    """Return a client with Google's default credentials; an address that is not encrypted gets none.

    Raises
    ------
    WarehouseError
        If there are no credentials.
    """
    address = settings.endpoint or os.environ.get(_EMULATOR, "")
    is_open = address.startswith("http://")
    with driver_errors():
        try:
            return bigquery.Client(
                project=settings.project,
                credentials=AnonymousCredentials() if is_open else None,  # type: ignore[no-untyped-call]
                location=settings.location,
                client_options=ClientOptions(api_endpoint=address) if address else None,
                client_info=ClientInfo(user_agent=f"warehouse-ml/{__version__}"),  # type: ignore[no-untyped-call]
            )
        except OSError as error:
            raise WarehouseError(f"the credentials cannot be read: {error}", place="bigquery") from None


def storage_client_of(client: bigquery.Client) -> Any:
    """Return the Storage API's client, or None where it is not installed."""
    try:
        from google.cloud.bigquery_storage import BigQueryReadClient
    except ImportError:
        return None
    return BigQueryReadClient(credentials=client._credentials)  # type: ignore[no-untyped-call]


def whose_credentials(settings: BigQuerySettings) -> str:
    """Return in words whose credentials there are, after asking Google that they are still good.

    Raises
    ------
    WarehouseError
        If there are none, or they have expired.
    """
    from google.auth.transport.requests import Request

    address = settings.endpoint or os.environ.get(_EMULATOR, "")
    if address.startswith("http://"):
        return f"none are sent to {address}, which is not encrypted"
    with driver_errors():
        found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/bigquery"])
        found.refresh(Request())  # type: ignore[no-untyped-call]
    whose = getattr(found, "service_account_email", None) or getattr(found, "account", None)
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    source = f"from {named}" if named else "Google's defaults"
    return f"{whose}, {source}" if whose else f"a user's, {source}"
