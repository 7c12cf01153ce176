"""The Authorization header of a webhook: Basic (RFC 7617) and Bearer (RFC 6750)."""

from collections.abc import Mapping

from service.gateways.email_webhooks.encoding import decode_base64

BASIC_CHALLENGE = 'Basic realm="mainstay", charset="UTF-8"'


def basic_credentials(headers: Mapping[str, str]) -> bytes:
    """Return `name:password`; empty if the header has another scheme or cannot be decoded."""
    scheme, value = _scheme_and_value(headers)
    return (decode_base64(value) or b"") if scheme == "basic" else b""


def bearer_token(headers: Mapping[str, str]) -> bytes:
    """Return the token; empty if the header has another scheme."""
    scheme, value = _scheme_and_value(headers)
    return value.encode() if scheme == "bearer" else b""


def _scheme_and_value(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    return scheme.lower(), value.strip()
