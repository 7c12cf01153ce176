"""Translate Stripe's errors to the domain's.

See https://docs.stripe.com/error-handling and https://docs.stripe.com/error-codes.
"""

import stripe

from service.domain.ports import GatewayRejected, GatewayTimeout, GatewayUnavailable

SERVER_ERROR = 500
NOT_FOUND = 404
CONFLICT = 409
MISSING = "resource_missing"
# Only the messages of these codes are shown: they are about amounts and states. Others may repeat what was sent.
SAFE_MESSAGE_CODES = {
    "amount_too_large",
    "amount_too_small",
    "charge_already_refunded",
    "charge_disputed",
    "charge_not_refundable",
    "insufficient_funds",
    "refund_disputed_payment",
}
_REFUSED = "Stripe refused this"


class StripeRejected(GatewayRejected):
    """Stripe rejected the request; `code` and `param` are Stripe's, and None where it names none."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param


class ReplayedServerError(GatewayUnavailable):
    """Stripe replays a server error that it stored for an idempotency key.

    It does so for at least a day, so only another key can succeed
    (https://docs.stripe.com/api/idempotent_requests).
    """


def to_domain_error(error: stripe.StripeError) -> GatewayUnavailable | GatewayRejected:
    """Return the domain's error; the message of a rejection holds no personal data."""
    if _is_replayed_server_error(error):
        return ReplayedServerError("Stripe replays an earlier server error.")
    if isinstance(error, stripe.APIConnectionError):
        return GatewayTimeout(f"Stripe is not available ({type(error).__name__}).")
    if is_unavailable(error):
        return GatewayUnavailable(f"Stripe is not available ({type(error).__name__}).")
    param = error.param if isinstance(error, stripe.InvalidRequestError) else None
    return StripeRejected(_safe_message(error), code=error.code, param=param)


def is_unavailable(error: stripe.StripeError) -> bool:
    """Return whether the same call may succeed later: no response, a server error, a rate limit or a bad key."""
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or needs_operator(error):
        return True
    status = error.http_status
    if status == NOT_FOUND:
        return False
    # The library raises APIError for a response that it cannot parse, whatever its status.
    return status is None or status >= SERVER_ERROR or status == CONFLICT or type(error) is stripe.APIError


def needs_operator(error: stripe.StripeError) -> bool:
    """Return whether only an operator can resolve it, with another key or more permissions for this one."""
    return isinstance(error, stripe.AuthenticationError | stripe.PermissionError)


def is_missing(error: stripe.StripeError) -> bool:
    """Return whether Stripe does not know the object."""
    return error.http_status == NOT_FOUND or error.code == MISSING


def _is_replayed_server_error(error: stripe.StripeError) -> bool:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    is_server_error = error.http_status is not None and error.http_status >= SERVER_ERROR
    return is_server_error and headers.get("idempotent-replayed") == "true"


def _safe_message(error: stripe.StripeError) -> str:
    message = error.user_message
    if error.code in SAFE_MESSAGE_CODES and message:
        return f"{_REFUSED}: {message}"
    return f"{_REFUSED} ({error.code or type(error).__name__})."
