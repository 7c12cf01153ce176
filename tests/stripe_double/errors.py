"""Errors in the shape of Stripe's API reference, "Errors"."""

from typing import Any


class StripeApiError(Exception):
    """An error response: its HTTP status, and Stripe's type, message, code and param.

    `executed` says that the endpoint has started to execute, so the idempotency key stores this response. Stripe
    stores no response for invalid parameters or credentials.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.code, self.param = message, status, kind, code, param
        self.executed = executed

    def body(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.kind, "code": self.code, "param": self.param}
        if self.code is not None:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return {"error": {name: value for name, value in error.items() if value is not None}}


def missing_param(kind: str, object_id: str, param: str) -> StripeApiError:
    """Return the error for a parameter that names an unknown object."""
    return StripeApiError(f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def not_found(kind: str, object_id: str) -> StripeApiError:
    return StripeApiError(f"No such {kind}: '{object_id}'", status=404, code="resource_missing", param="id")
