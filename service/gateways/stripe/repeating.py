"""Asking Stripe for something under an idempotency key, so that asking again yields the same and does no more.

Stripe keeps the first answer to a key, even one that says that something went wrong there, and repeats it. The
next key of the same row asks anew, so that a pledge, a refund or a change of amount is not stuck for a day.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from stripe import RequestOptions, V1Services

from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.troubles import ReplayedServerError

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
