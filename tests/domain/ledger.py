"""Pledges of the sandbox, and what a gateway tells of their money."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from schemas.enums import DisputeStatus, Frequency
from service.container import Container
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.ledger.totals import CurrencyTotal, totals_by_currency, totals_by_pledge_query
from service.domain.money import Money
from service.domain.payments.event_handlers import handle_event
from service.domain.pledges.pledges import CreatePledge, create_pledge
from service.domain.ports.payment_events import (
    DisputeUpdated,
    PaymentEvent,
    PaymentFailed,
    PaymentSucceeded,
    RefundUpdated,
    SubscriptionUpdated,
)

GATEWAY = "sandbox"


@dataclass
class Ledger:
    """The books of one desk."""

    container: Container

    def pledge(self, frequency: Frequency = Frequency.ONCE, amount: int = 500) -> uuid.UUID:
        """Make a pledge; return its id."""
        payload = CreatePledge(campaign="default", frequency=frequency, amount=amount, currency="USD")
        with self.container.database.transaction() as session:
            campaign = get_campaign(session, "default")
            return create_pledge(session, campaign, payload, gateway=GATEWAY, now=self.container.clock()).id

    def tell(self, *news: PaymentEvent) -> None:
        """Apply what a gateway tells, each piece in a transaction of its own."""
        for one in news:
            with self.container.database.transaction() as session:
                handle_event(session, GATEWAY, one, now=self.container.clock())

    def paid(
        self, pledge_id: uuid.UUID, reference: str = "pay_1", amount: int = 500, **changes: Any
    ) -> PaymentSucceeded:
        """Return the news of a payment, now."""
        fields = {"reference": reference, "money": Money(amount, "USD"), "occurred_at": self.container.clock()}
        return PaymentSucceeded(**fields | {"pledge_id": pledge_id} | changes)

    def not_paid(self, pledge_id: uuid.UUID, reference: str = "try_1", **changes: Any) -> PaymentFailed:
        """Return the news of a try that failed, now."""
        fields = {
            "reference": reference,
            "invoice": reference,
            "money": Money(500, "USD"),
            "occurred_at": self.container.clock(),
        }
        return PaymentFailed(**fields | {"pledge_id": pledge_id} | changes)

    def refunded(
        self, refund: str = "re_1", amount: int = 500, payment: str = "pay_1", **changes: Any
    ) -> RefundUpdated:
        """Return the news of a refund, now."""
        fields = {"references": (payment,), "refund": refund, "money": Money(amount, "USD")}
        return RefundUpdated(**fields | {"occurred_at": self.container.clock()} | changes)

    def disputed(
        self, status: DisputeStatus = DisputeStatus.OPEN, payment: str = "pay_1", **changes: Any
    ) -> DisputeUpdated:
        """Return the news of a dispute, now."""
        fields = {"references": (payment,), "dispute": "dp_1", "status": status, "money": Money(500, "USD")}
        return DisputeUpdated(**fields | {"occurred_at": self.container.clock()} | changes)

    def standing(self, pledge_id: uuid.UUID, **changes: Any) -> SubscriptionUpdated:
        """Return the news of where a subscription stands, now."""
        fields = {"subscription": "sub_1", "occurred_at": self.container.clock(), "is_started": True}
        return SubscriptionUpdated(**fields | {"pledge_id": pledge_id} | changes)

    def read_pledge(self, pledge_id: uuid.UUID) -> Pledge:
        """Return a pledge as it is stored."""
        with self.container.database.read_only() as session:
            return session.get_one(Pledge, pledge_id)

    def payment(self, reference: str = "pay_1") -> Payment:
        """Return a payment as it is stored."""
        with self.container.database.read_only() as session:
            return session.scalars(select(Payment).where(Payment.gateway_reference == reference)).one()

    def refund(self, reference: str = "re_1") -> Refund:
        """Return a refund as it is stored."""
        with self.container.database.read_only() as session:
            return session.scalars(select(Refund).where(Refund.gateway_reference == reference)).one()

    def dispute(self) -> Dispute:
        """Return the only dispute."""
        with self.container.database.read_only() as session:
            return session.scalars(select(Dispute)).one()

    def totals(self) -> list[CurrencyTotal]:
        """Return what moved, by currency."""
        with self.container.database.read_only() as session:
            return totals_by_currency(session)

    def sums(self, *pledge_ids: uuid.UUID) -> dict[uuid.UUID, Any]:
        """Return what is left of each pledge's payments, of these or of all."""
        with self.container.database.read_only() as session:
            return {row.pledge_id: row for row in session.execute(totals_by_pledge_query(pledge_ids or None))}
