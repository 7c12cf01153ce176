"""The client of Stripe's API: Stripe's own library, with short timeouts and a circuit breaker.

A request of a reader waits for most of these calls, and a thread of the web server with it, so each call ends
within ten seconds.
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

# Two attempts and the library's half second between them take 9.5 seconds at most.
CONNECT_SECONDS, READ_SECONDS, RETRIES = 1.5, 3.0, 1
PROBE_TIMEOUT = datetime.timedelta(seconds=10)
FAILURE_THRESHOLD = 3
MAX_KEYS: Final = 3
# For an operation of several calls, which together must end in time.
NO_RETRIES: Final[RequestOptions] = {"max_network_retries": 0}
# A further idempotency key is used only within this time, because a reader waits.
RETRY_BUDGET_SECONDS: Final = 3.0

ResponseT = TypeVar("ResponseT")

log = structlog.get_logger()


class StripeApiClient:
    """Calls Stripe and translates its errors. One instance serves all threads of a process."""

    def __init__(self, settings: StripeSettings, clock: Clock, *, breaker: CircuitBreaker | None = None) -> None:
        # Telemetry would describe this machine to Stripe and write an id file into the home folder.
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

    @property
    def has_failed_recently(self) -> bool:
        """Whether the last call failed because of Stripe or the key, and not of what was asked."""
        return self._breaker.has_failed_recently

    def call(self, operation: str, call: Callable[[V1Services], ResponseT]) -> ResponseT:
        """Make one API call, which the log names `operation`.

        Raises:
            GatewayUnavailable: Stripe did not answer or cannot serve us now.
            GatewayRejected: Stripe rejected the request.
        """
        if not self._breaker.try_half_open(self._clock(), within=PROBE_TIMEOUT):
            raise GatewayUnavailable("Stripe did not answer recently and is left alone for a moment.")
        try:
            response = call(self._client.v1)
        except stripe.StripeError as error:
            # The cause may repeat what was sent, so it is not chained.
            raise self._handle_error(operation, error) from None
        self._breaker.record_success()
        return response

    def retrieve(self, operation: str, call: Callable[[V1Services], StripeObject]) -> dict[str, Any] | None:
        """Make one API call; return plain JSON, or None if Stripe rejects it, as it does for an unknown id.

        Raises:
            GatewayUnavailable: try again later.
        """
        try:
            return self.call(operation, call).to_dict()
        except GatewayRejected:
            return None

    def _handle_error(self, operation: str, error: stripe.StripeError) -> Exception:
        domain_error = to_domain_error(error)
        fields = {
            "operation": operation,
            "error": type(error).__name__,
            "status": error.http_status,
            "code": error.code,
            "request_id": error.request_id,
        }
        if isinstance(domain_error, GatewayRejected):
            # A rejection is an answer, so Stripe is healthy.
            self._breaker.record_success()
            if not is_missing(error):
                log.warning("stripe_refused", **fields)
            return domain_error
        if needs_operator(error):
            log.error("stripe_auth_failed", **fields)
        else:
            log.warning("stripe_unavailable", **fields)
        if not isinstance(error, stripe.PermissionError) and not isinstance(domain_error, ReplayedServerError):
            # A missing permission or a replayed error concerns one operation; any other error concerns all calls.
            self._breaker.record_failure(self._clock(), needs_operator=needs_operator(error))
        return domain_error


def call_idempotent(
    api: StripeApiClient,
    operation: str,
    key: str,
    call: Callable[[V1Services, RequestOptions], ResponseT],
    *,
    find_existing: Callable[[], ResponseT | None] = lambda: None,
    retries: int | None = None,
) -> ResponseT:
    """Make a call with the first of `key`, `key/2`, `key/3` for which Stripe does not replay a server error.

    `find_existing` looks for what an earlier key created despite its error, before another key is used.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    started_at = time.monotonic()
    for number in range(1, MAX_KEYS + 1):
        options: RequestOptions = {"idempotency_key": key if number == 1 else f"{key}/{number}"}
        if retries is not None:
            options["max_network_retries"] = retries
        try:
            return api.call(operation, lambda v1, options=options: call(v1, options))  # type: ignore[misc]
        except ReplayedServerError:
            if number == MAX_KEYS or time.monotonic() - started_at > RETRY_BUDGET_SECONDS:
                raise
        existing = find_existing()
        if existing is not None:
            return existing
    raise AssertionError("The last key either returns or raises.")
