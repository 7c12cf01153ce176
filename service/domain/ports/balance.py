"""Movements of the balance at a payment gateway."""

import datetime
from dataclasses import dataclass

from service.domain.ports.payment_methods import PaymentMethod


@dataclass(frozen=True, kw_only=True)
class GatewayBalanceTransaction:
    """A movement of the balance at the gateway, in minor units of its currency; an outflow is negative.

    `kind` is the gateway's word for it, and `occurred_at` the gateway's time. The others are the gateway's ids of
    what it belongs to: a charge, or a refund or dispute of it. `customer` and `method` are known of a charge only.
    """

    reference: str
    kind: str
    occurred_at: datetime.datetime
    gross_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    intent: str | None = None
    invoice: str | None = None
    charge: str | None = None
    refund: str | None = None
    dispute: str | None = None
    customer: str | None = None
    method: PaymentMethod | None = None
