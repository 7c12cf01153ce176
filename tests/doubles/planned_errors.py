"""The errors that a test plans for a call: what they say, and whether they stand in the place of an answer."""

from tests.doubles.idempotency import Answer
from tests.doubles.refusal import Refusal
from tests.doubles.troubles import Planned, Trouble

WORDS = {
    401: ("invalid_request_error", None, "Invalid API Key provided"),
    429: ("invalid_request_error", "rate_limit", "Request rate limit exceeded."),
}


def said(planned: Planned) -> Refusal:
    """Return what a planned error says."""
    kind, code, message = WORDS.get(planned.status, ("api_error", None, "An unknown error occurred."))
    return Refusal(message, status=planned.status, kind=kind, code=code)


def failed(answer: Answer, planned: Planned | None, *, kept: bool) -> Answer:
    """Return the answer, or the error that is planned to stand in its place after the effect.

    A 500 is Stripe's own, and `kept` with the key; another error was put there by something on the way.
    """
    if planned is None or not planned.after_effect or planned.trouble is not Trouble.ANSWERS:
        return answer
    if kept is not (planned.status == 500):
        return answer
    return Answer(planned.status, said(planned).body(), planned.headers)
