"""Asking Stripe for something under an idempotency key, so that asking again yields the same and does no more.

Stripe keeps the first answer to a key, even one that says that something went wrong there, and repeats it. The
next key of the same row asks anew, so that a pledge, a refund or a change of amount is not stuck for a day.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from stripe import RequestOptions, V1Services

from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.troubles import KeptFault

KEYS: Final = 3
# Another key is tried only while there is time for it: a reader waits.
SOON_SECONDS: Final = 3.0

Answer = TypeVar("Answer")


def ask_under(
    api: StripeApi,
    deed: str,
    key: str,
    call: Callable[[V1Services, RequestOptions], Answer],
    *,
    already: Callable[[], Answer | None] = lambda: None,
    retries: int | None = None,
) -> Answer:
    """Make a call under the first of `key`, `key/2`, `key/3` that Stripe does not answer with a kept fault.

    `already` finds what an earlier key brought about after all; it is asked before another key is used.

    Raises:
        what `StripeApi.ask` raises.
    """
    began = time.monotonic()
    for number in range(1, KEYS + 1):
        options: RequestOptions = {"idempotency_key": key if number == 1 else f"{key}/{number}"}
        if retries is not None:
            options["max_network_retries"] = retries
        try:
            return api.ask(deed, lambda v1, options=options: call(v1, options))  # type: ignore[misc]
        except KeptFault:
            if number == KEYS or time.monotonic() - began > SOON_SECONDS:
                raise
        found = already()
        if found is not None:
            return found
    raise AssertionError("The last key either answers or raises.")
