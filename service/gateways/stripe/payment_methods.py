"""Read how a charge was paid, see https://docs.stripe.com/api/charges/object (`payment_method_details`)."""

import re
from typing import Any, Final

from service.domain.ports import PaymentMethod
from service.gateways.stripe.event_fields import StripeJson, get_path

WORD: Final = re.compile("[a-z0-9_]{1,32}")
LAST4: Final = re.compile("[A-Za-z0-9]{1,4}")


def payment_method_of(charge: StripeJson) -> PaymentMethod | None:
    """Return the method that a charge was paid with; None if the charge does not say."""
    details = charge.get("payment_method_details")
    kind = _matching(get_path(details, "type"), WORD)
    if kind is None:
        return None
    fields = get_path(details, kind)
    return PaymentMethod(
        kind=kind,
        brand=_matching(get_path(fields, "brand"), WORD),
        last4=_matching(get_path(fields, "last4"), LAST4),
    )


def _matching(value: Any, pattern: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
