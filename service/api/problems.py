"""Errors as problem responses (RFC 9457), and the only table of domain error → HTTP status."""

import http
import json
from typing import Any

import structlog
from flask import Flask, Response, g
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from schemas.errors import flatten_errors
from service.db.session import constraint_name
from service.domain import errors

log = structlog.get_logger()

STATUS_BY_ERROR: dict[type[errors.DomainError], int] = {
    errors.CampaignNotFound: 404,
    errors.CampaignClosed: 409,
    errors.OriginNotAllowed: 403,
    errors.FrequencyNotOffered: 422,
    errors.AmountBelowMinimum: 422,
    errors.AmountAboveMaximum: 422,
    errors.ImageNotFound: 422,
    errors.AmountNotChargeable: 422,
    errors.UnparsableAmount: 422,
    errors.CurrencyNotAccepted: 422,
    errors.ReturnUrlNotAllowed: 422,
    errors.IdempotencyKeyReused: 422,
    errors.RequestInProgress: 409,
    errors.PaymentsUnavailable: 503,
    errors.PaymentRequestRejected: 409,
    errors.PaymentDeclined: 409,
    errors.NothingToPay: 409,
    errors.GatewayMismatch: 409,
    errors.SandboxCheckoutClosed: 410,
    errors.RecurringPledgeActive: 409,
    errors.PledgeNotFound: 404,
    errors.PaymentNotFound: 404,
    errors.ReceiptNotDeliverable: 409,
    errors.RefundNotFound: 404,
    errors.RefundAlreadyMade: 409,
    errors.RefundTooLarge: 422,
    errors.EventNotFound: 404,
    errors.PaymentMismatch: 409,
    errors.SignInLinkExpired: 404,
    errors.ReminderNotFound: 404,
    errors.RemindersNotOffered: 422,
    errors.ReminderChoiceNotOffered: 422,
    errors.DueDateOutOfRange: 422,
    errors.RemindersWaiting: 409,
    errors.InvalidAddress: 422,
    errors.AddressNotSupported: 422,
    errors.EmailChangeLinkExpired: 404,
    errors.ErasureLinkExpired: 404,
    errors.SupporterNotFound: 404,
    errors.EmailInUse: 409,
    errors.ErasureUnderWay: 409,
    errors.UnknownTimezone: 422,
    errors.InvalidCursor: 422,
    errors.InvalidTransition: 409,
    errors.ChangeNotPossible: 409,
    errors.PaymentsRescheduled: 409,
    errors.LeaseLost: 409,
    errors.EmailNotFound: 404,
    errors.StaffTokenNotFound: 404,
    errors.StaffTokenNameTaken: 409,
    errors.StaffTokenAmbiguous: 409,
    errors.TooManyRequests: 429,
}

# The code and detail of errors that occur before any domain rule applies, by HTTP status.
HTTP_PROBLEMS = {
    400: ("bad_request", "The request could not be read."),
    401: ("unauthorized", "Send a staff token as 'Authorization: Bearer <token>'."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "Not found. Check the URL."),
    405: ("method_not_allowed", "This URL does not allow this method."),
    406: ("not_acceptable", "No media type that the client accepts is available."),
    413: ("body_too_large", "The body is larger than 64 KiB."),
    415: ("unsupported_media_type", "Send JSON, with 'Content-Type: application/json'."),
    422: ("validation_failed", "Some fields are not valid."),
    429: ("too_many_requests", "Too many requests; please wait a moment."),
    500: (
        "internal_error",
        "Something went wrong on our side. If you report it, quote the X-Request-Id of this response.",
    ),
    503: ("unavailable", "The service is unavailable right now; please try again soon."),
}


class ProblemException(Exception):
    """An error that the HTTP layer itself raises, before any domain rule applies."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers or {}


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    errors: dict[str, list[str]] | None = None,
    headers: dict[str, str] | None = None,
    extra: dict[str, Any] | None = None,
) -> Response:
    """Return the response for an error; `extra` are members in addition to those of every problem."""
    body: dict[str, Any] = {
        "type": f"urn:mainstay:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if status == 422:
        body["errors"] = errors or {}
    body |= extra or {}
    g.problem_code = code
    return Response(json.dumps(body), status, headers, content_type="application/problem+json")


def register_error_handlers(app: Flask) -> None:
    """Turn every error of this app into a problem without personal data and without a traceback."""
    app.register_error_handler(errors.DomainError, _domain_error)
    app.register_error_handler(
        ProblemException,
        lambda error: problem_response(error.status, error.code, error.detail, headers=error.headers),
    )
    app.register_error_handler(OperationalError, _database_unavailable)
    app.register_error_handler(PoolTimeout, _database_unavailable)
    # PostgreSQL ended a transaction that was idle for too long.
    app.register_error_handler(InternalError, _database_unavailable)
    app.register_error_handler(IntegrityError, _conflict)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _domain_error(error: errors.DomainError) -> Response:
    headers = {} if error.retry_after_seconds is None else {"Retry-After": str(error.retry_after_seconds)}
    fields = {error.field: [error.detail]} if error.field else {}
    extra = (
        {"pledges": [str(pledge_id) for pledge_id in error.pledge_ids]}
        if isinstance(error, errors.RecurringPledgeActive)
        else None
    )
    status = STATUS_BY_ERROR[type(error)]
    return problem_response(status, error.code, error.detail, errors=fields, headers=headers, extra=extra)


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # werkzeug types it as the base class of Flask's
    status = error.code or 500
    code, detail = HTTP_PROBLEMS.get(status, ("error", error.description or "The request failed."))
    data = getattr(error, "data", None) or {}
    messages = data.get("messages", {})
    if status == 400 and "json" in messages:
        code, detail = "invalid_json", "The body is not readable as JSON."
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return problem_response(status, code, detail, errors=flatten_errors(messages), headers=headers)


def _conflict(error: IntegrityError) -> Response:
    # Two concurrent requests wrote the same row and this one lost; a retry sees what the other wrote.
    log.warning("constraint_violated", constraint=constraint_name(error))
    return problem_response(
        409,
        "conflict",
        "Another request changed this at the same time; send yours again.",
        headers={"Retry-After": "1"},
    )


def _database_unavailable(error: OperationalError | InternalError | PoolTimeout) -> Response:
    log.error("database_unavailable", error_class=type(getattr(error, "orig", None) or error).__name__)
    code, detail = HTTP_PROBLEMS[503]
    return problem_response(503, code, detail, headers={"Retry-After": "5"})


def _unexpected(error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    code, detail = HTTP_PROBLEMS[500]
    return problem_response(500, code, detail)
