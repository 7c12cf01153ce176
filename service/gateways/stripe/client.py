"""The line to Stripe: its own library, in a hurry, and left alone while Stripe is down.

A reader waits for most of these calls, and gunicorn's thread with them, so that each ends within ten seconds.
"""

import datetime
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import stripe
import structlog
from stripe import RequestOptions, RequestsClient, StripeClient, StripeObject, V1Services

from service import __version__
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable
from service.gateways.stripe.errors import ReplayedServerError, is_missing, needs_operator, to_domain_error
from service.settings import StripeSettings

# Twice both, and the half second that the library waits in between, is 9.5 seconds.
CONNECT_SECONDS, READ_SECONDS, RETRIES = 1.5, 3.0, 1
PROBE_TIMEOUT = datetime.timedelta(seconds=10)
FAILURE_THRESHOLD = 3

ResponseT = TypeVar("ResponseT")

log = structlog.get_logger()


class StripeApiClient:
    """Asks Stripe, and says in the domain's words what went wrong. One for each process; threads share it."""

    def __init__(self, settings: StripeSettings, clock: Clock, *, breaker: CircuitBreaker | None = None) -> None:
        # The library would tell Stripe of this machine, and keep a file in the home folder to be known by.
        stripe.enable_telemetry = False
        stripe.set_app_info("Mainstay", version=__version__)
        self.is_live = settings.is_live
        self.version = stripe.api_version
        self._clock = clock
        self._breaker = breaker or CircuitBreaker(failure_threshold=FAILURE_THRESHOLD)
        self._client = StripeClient(
            settings.secret_key,
            base_addresses={"api": settings.api_base} if settings.api_base else {},
            max_network_retries=RETRIES,
            http_client=RequestsClient(timeout=(CONNECT_SECONDS, READ_SECONDS)),
        )

    def call(self, operation: str, call: Callable[[V1Services], ResponseT]) -> ResponseT:
        """Make one call, named `operation` in the log.

        Raises:
            GatewayUnavailable: Stripe gave no answer, or cannot serve us now.
            GatewayRejected: Stripe understood and said no.
        """
        if not self._breaker.try_half_open(self._clock(), within=PROBE_TIMEOUT):
            raise GatewayUnavailable("Stripe did not answer lately, and is left alone for a moment.")
        try:
            response = call(self._client.v1)
        except stripe.StripeError as error:
            # What caused it is in the log, and may repeat what was sent, which is not for others to show.
            raise self._handle_error(operation, error) from None
        self._breaker.record_success()
        return response

    def retrieve(self, operation: str, call: Callable[[V1Services], StripeObject]) -> dict[str, Any] | None:
        """Look something up; return it as plain JSON, or None if Stripe does not know it or may not tell us.

        Raises:
            GatewayUnavailable: try again later.
        """
        try:
            return self.call(operation, call).to_dict()
        except GatewayRejected:
            return None

    def _handle_error(self, operation: str, error: stripe.StripeError) -> Exception:
        trouble = to_domain_error(error)
        event = {
            "deed": operation,
            "error": type(error).__name__,
            "status": error.http_status,
            "code": error.code,
            "request_id": error.request_id,
        }
        if isinstance(trouble, GatewayRejected):
            # Stripe is well: it understood and answered.
            self._breaker.record_success()
            if not is_missing(error):
                log.warning("stripe_refused", **event)
            return trouble
        if needs_operator(error):
            log.error("stripe_refuses_our_key", **event)
        else:
            log.warning("stripe_unavailable", **event)
        if not isinstance(error, stripe.PermissionError) and not isinstance(trouble, ReplayedServerError):
            # These concern one thing that we may not do, or did before; every other trouble is one of all calls.
            self._breaker.record_failure(self._clock(), needs_operator=needs_operator(error))
        return trouble


MAX_KEYS: Final = 3
# Another key is tried only while there is time for it: a reader waits.
RETRY_BUDGET_SECONDS: Final = 3.0

Answer = TypeVar("Answer")


def call_idempotent(
    api: StripeApiClient,
    deed: str,
    key: str,
    call: Callable[[V1Services, RequestOptions], Answer],
    *,
    find_existing: Callable[[], Answer | None] = lambda: None,
    retries: int | None = None,
) -> Answer:
    """Make a call under the first of `key`, `key/2`, `key/3` that Stripe does not answer with a kept fault.

    `find_existing` finds what an earlier key brought about after all; it is asked before another key is used.

    Raises:
        what `StripeApiClient.call` raises.
    """
    began = time.monotonic()
    for number in range(1, MAX_KEYS + 1):
        options: RequestOptions = {"idempotency_key": key if number == 1 else f"{key}/{number}"}
        if retries is not None:
            options["max_network_retries"] = retries
        try:
            return api.call(deed, lambda v1, options=options: call(v1, options))  # type: ignore[misc]
        except ReplayedServerError:
            if number == MAX_KEYS or time.monotonic() - began > RETRY_BUDGET_SECONDS:
                raise
        found = find_existing()
        if found is not None:
            return found
    raise AssertionError("The last key either answers or raises.")
