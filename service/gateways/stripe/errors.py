"""What Stripe's errors mean to us. See https://docs.stripe.com/error-handling and
https://docs.stripe.com/error-codes.
"""

import stripe

from service.domain.ports import GatewayRejected, GatewayUnavailable

SERVER_ERROR = 500
NOT_FOUND = 404
CONFLICT = 409
# Only of these is the message Stripe's own and about amounts or states: others may repeat what was sent.
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


class ReplayedServerError(GatewayUnavailable):
    """Stripe repeats what it kept for an idempotency key, and that is a fault of its own.

    It would do so for a day or more, so that only another key gets through
    (https://docs.stripe.com/api/idempotent_requests).
    """


def to_domain_error(error: stripe.StripeError) -> GatewayUnavailable | GatewayRejected:
    """Return the domain's word for an error; a refusal says why as far as that can hold nothing personal."""
    if _is_replayed_fault(error):
        return ReplayedServerError("Stripe repeats a fault of its own.")
    if is_unavailable(error):
        return GatewayUnavailable(f"Stripe is not available ({type(error).__name__}).")
    return GatewayRejected(_safe_message(error))


def is_unavailable(error: stripe.StripeError) -> bool:
    """Whether the same call may succeed later: no answer, a fault there, too many calls, a key that is refused."""
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError) or needs_operator(error):
        return True
    status = error.http_status
    if status == NOT_FOUND:
        return False
    # The library calls an answer that it cannot read an APIError, whatever its status.
    return status is None or status >= SERVER_ERROR or status == CONFLICT or type(error) is stripe.APIError


def needs_operator(error: stripe.StripeError) -> bool:
    """Whether it stays so until a person gives us another key, or this key more rights."""
    return isinstance(error, stripe.AuthenticationError | stripe.PermissionError)


def is_missing(error: stripe.StripeError) -> bool:
    """Whether Stripe does not know what it was asked about."""
    return error.http_status == NOT_FOUND or error.code == "resource_missing"


def _is_replayed_fault(error: stripe.StripeError) -> bool:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    faulty = error.http_status is not None and error.http_status >= SERVER_ERROR
    return faulty and headers.get("idempotent-replayed") == "true"


def _safe_message(error: stripe.StripeError) -> str:
    message = error.user_message
    if error.code in SAFE_MESSAGE_CODES and message:
        return f"{_REFUSED}: {message}"
    return f"{_REFUSED} ({error.code or type(error).__name__})."
