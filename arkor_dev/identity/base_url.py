"""The backend's address (docs/contract.md#backend-base-url), checked before a token goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.placement import is_loopback
from arkor_dev.core.settings import PRODUCTION_URL
from arkor_dev.core.web_url import web_url

if TYPE_CHECKING:
    from .credentials_file import StoredCredentials


def base_url_of(cloud_url: str | None, stored: StoredCredentials | None) -> str:
    """Return ``ARKOR_CLOUD_API_URL`` (empty counts as set), or the credentials' own, or production."""
    if cloud_url is not None:
        return clean_base_url(cloud_url, "ARKOR_CLOUD_API_URL")
    own = stored.document.get("arkorCloudApiUrl") if stored else None
    if not isinstance(own, str):
        return PRODUCTION_URL
    return clean_base_url(own, "arkorCloudApiUrl in ~/.arkor/credentials.json")


def clean_base_url(value: str, source: str) -> str:
    """Return the address without trailing slashes. Raises BadRequestError, naming ``source``."""
    text = value.strip().rstrip("/")
    if not text:
        raise BadRequestError(
            f"{source} is set but empty. Unset it, or set it to the backend's https:// address."
        )
    url = web_url(text)
    if url is None:
        raise BadRequestError(f"{source} is not a web address. Set it to the backend's https:// address.")
    if url.user is not None or url.password is not None or url.query_string or url.fragment:
        raise BadRequestError(f"{source} must be a plain address: no user name, no ?query, no #fragment.")
    if url.scheme == "http" and not is_loopback(url.host):
        raise BadRequestError(
            f"{source} is http:// to {url.host}, which would send your token in clear text. "
            "Use https://, or http:// on this machine only.",
        )
    return text
