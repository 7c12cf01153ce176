"""Pledges in the sandbox, the gateway events about them, and the rows that applying the events leaves."""

import datetime
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
    RefundedTotalUpdated,
    RefundUpdated,
    SubscriptionUpdated,
)

GATEWAY = "sandbox"


@dataclass
class Ledger:
    """The ledger of one container. The event builders default to now and to $5."""

    container: Container

    def create_pledge(self, frequency: Frequency = Frequency.ONCE, amount: int = 500) -> uuid.UUID:
        """Create a pledge; return its id."""
        payload = CreatePledge(campaign="default", frequency=frequency, amount=amount, currency="USD")
        with self.container.database.transaction() as session:
            campaign = get_campaign(session, "default")
            return create_pledge(session, campaign, payload, gateway=GATEWAY, now=self.container.clock()).id

    def apply(self, *events: PaymentEvent) -> None:
        """Apply each event in a transaction of its own."""
        for event in events:
            with self.container.database.transaction() as session:
                handle_event(session, GATEWAY, event, now=self.container.clock())

    def payment_succeeded(
        self, pledge_id: uuid.UUID, reference: str = "pay_1", amount: int = 500, **changes: Any
    ) -> PaymentSucceeded:
        fields = {
            "reference": reference,
            "money": Money(amount, "USD"),
            "occurred_at": self.container.clock(),
            "pledge_id": pledge_id,
        }
        return PaymentSucceeded(**fields | changes)

    def payment_failed(self, pledge_id: uuid.UUID, reference: str = "try_1", **changes: Any) -> PaymentFailed:
        fields = {
            "reference": reference,
            "invoice": reference,
            "money": Money(500, "USD"),
            "occurred_at": self.container.clock(),
            "pledge_id": pledge_id,
        }
        return PaymentFailed(**fields | changes)

    def refund_updated(
        self, refund: str = "re_1", amount: int = 500, payment: str = "pay_1", **changes: Any
    ) -> RefundUpdated:
        fields = {
            "references": (payment,),
            "refund": refund,
            "money": Money(amount, "USD"),
            "occurred_at": self.container.clock(),
        }
        return RefundUpdated(**fields | changes)

    def refunded_total(self, total: int, at: datetime.datetime, payment: str = "pay_1") -> RefundedTotalUpdated:
        return RefundedTotalUpdated(
            references=(payment,), charge="ch_1", money=Money(total, "USD"), occurred_at=at
        )

    def dispute_updated(
        self, status: DisputeStatus = DisputeStatus.OPEN, payment: str = "pay_1", **changes: Any
    ) -> DisputeUpdated:
        fields = {
            "references": (payment,),
            "dispute": "dp_1",
            "status": status,
            "money": Money(500, "USD"),
            "occurred_at": self.container.clock(),
        }
        return DisputeUpdated(**fields | changes)

    def subscription_updated(self, pledge_id: uuid.UUID | None, **changes: Any) -> SubscriptionUpdated:
        fields = {
            "subscription": "sub_1",
            "occurred_at": self.container.clock(),
            "is_started": True,
            "pledge_id": pledge_id,
        }
        return SubscriptionUpdated(**fields | changes)

    def get_pledge(self, pledge_id: uuid.UUID) -> Pledge:
        with self.container.database.read_only() as session:
            return session.get_one(Pledge, pledge_id)

    def get_payment(self, reference: str = "pay_1") -> Payment:
        with self.container.database.read_only() as session:
            return session.scalars(select(Payment).where(Payment.gateway_reference == reference)).one()

    def get_refund(self, reference: str = "re_1") -> Refund:
        with self.container.database.read_only() as session:
            return session.scalars(select(Refund).where(Refund.gateway_reference == reference)).one()

    def get_dispute(self, reference: str = "dp_1") -> Dispute:
        with self.container.database.read_only() as session:
            return session.scalars(select(Dispute).where(Dispute.gateway_reference == reference)).one()

    def totals(self) -> list[CurrencyTotal]:
        with self.container.database.read_only() as session:
            return totals_by_currency(session)

    def totals_by_pledge(self, *pledge_ids: uuid.UUID) -> dict[uuid.UUID, Any]:
        """Return the totals of these pledges, or of all."""
        with self.container.database.read_only() as session:
            return {row.pledge_id: row for row in session.execute(totals_by_pledge_query(pledge_ids or None))}
