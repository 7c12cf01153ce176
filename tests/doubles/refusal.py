"""How the double says no: an error in the shape of Stripe's API reference, "Errors"."""

from typing import Any


class Refusal(Exception):
    """An answer that is an error: its HTTP status, and Stripe's type, message, code and param.

    `happened` says that the endpoint had begun, so that an idempotency key keeps this answer; what is refused for
    its parameters, or for who asks, is not kept.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        happened: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.code, self.param = message, status, kind, code, param
        self.happened = happened

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        error = {"message": self.message, "type": self.kind, "code": self.code, "param": self.param}
        if self.code is not None:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return {"error": {name: value for name, value in error.items() if value is not None}}


def missing(kind: str, sought: str) -> Refusal:
    """Return what Stripe says of an id that it does not know."""
    return Refusal(f"No such {kind}: '{sought}'", status=404, code="resource_missing", param="id")
