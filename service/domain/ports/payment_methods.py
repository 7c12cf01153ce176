"""How a payment was made, as far as a receipt names it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PaymentMethod:
    """The gateway's word for the kind of method (`card`, `sepa_debit`), its brand, and its last four digits."""

    kind: str
    brand: str | None = None
    last4: str | None = None
