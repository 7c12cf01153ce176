"""A container that is connected to the Stripe double, and snapshots of the ledger."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency
from service.container import Container
from service.db.models.payment import (
    BalanceTransaction,
    Dispute,
    FraudWarning,
    GatewayEvent,
    Payment,
    Refund,
)
from service.db.models.pledge import Pledge
from service.domain.campaigns.definitions import get_campaign
from service.domain.ledger.totals import totals_by_currency
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.pledges.checkout import PledgeCheckout, create_pledge_checkout
from service.domain.pledges.pledges import CreatePledge
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.webhooks import payload_of, signed

SECRET = "whsec_only_the_tests_know"


@dataclass
class StripeScenario:
    """A container and the Stripe double, with the same clock."""

    container: Container
    stripe: FakeStripe

    def create_checkout(
        self,
        frequency: Frequency = Frequency.MONTHLY,
        *,
        amount: int = 500,
        currency: str = "USD",
        key: str = "",
        reminder: str | None = None,
        supporter_id: uuid.UUID | None = None,
    ) -> PledgeCheckout:
        """Create a pledge and its checkout, for a signed-in supporter or one who comes by a link."""
        container = self.container
        with container.database.read_only() as session:
            campaign = get_campaign(session, "default")
        payload = CreatePledge(
            campaign="default", frequency=frequency, amount=amount, currency=currency, reminder=reminder
        )
        key = key or str(uuid.uuid4())
        return create_pledge_checkout(
            container.database.transaction,
            container.gateway,
            campaign,
            payload,
            idempotency_key=key,
            clock=container.clock,
            urls=container.urls,
            supporter_id=supporter_id,
        )

    def session_of(self, checkout: PledgeCheckout) -> str:
        """Return the id of the Checkout Session of a pledge."""
        with self.container.database.read_only() as session:
            return session.get_one(Pledge, checkout.id).gateway_reference

    def deliver_webhooks(self, *events: StripeJson) -> int:
        """Store events as the webhook does; return how many were new."""
        source, now = self.container.event_source, self.container.clock()
        new = 0
        for event in events:
            payload = payload_of(event)
            raw = source.authenticate(payload, signed(payload, SECRET, now.timestamp()), now=now)
            with self.container.database.transaction() as session:
                new += store_event(session, source.name, raw, source=WEBHOOK, now=now)
        return new

    def run_event_job(self) -> dict[str, int]:
        """Process the due events, as the job does."""
        return process_pending_events(
            self.container.database.transaction, self.container.event_source, clock=self.container.clock
        )

    def run_until_idle(self) -> None:
        """Process all events, advancing the clock to the retries of waiting ones."""
        for _ in range(12):
            self.run_event_job()
            with self.container.database.read_only() as session:
                waiting = session.scalar(
                    select(GatewayEvent.next_attempt_at)
                    .where(GatewayEvent.status.in_(("received", "waiting")))
                    .order_by(GatewayEvent.next_attempt_at.desc())
                    .limit(1)
                )
            if waiting is None:
                return
            self.container.clock.now = max(self.container.clock.now, waiting)

    def snapshot(self, pledge_id: uuid.UUID) -> dict[str, Any]:
        """Return the state of a pledge and of the ledger."""
        with self.container.database.read_only() as session:
            return snapshot(session, pledge_id)


def snapshot(session: Session, pledge_id: uuid.UUID) -> dict[str, Any]:
    """Return the state of a pledge and of the ledger."""
    pledge = session.get_one(Pledge, pledge_id)
    return {
        "pledge": {
            name: getattr(pledge, name)
            for name in (
                "status",
                "amount_minor",
                "subscription_reference",
                "customer_reference",
                "renews_at",
                "ended_at",
                "cancel_at",
                "is_paused",
                "resumes_at",
                "settled_outside_at",
                "action_required_at",
                "open_invoice_reference",
                "open_invoice_url",
                "invoice_retry_requested_at",
            )
        },
        "payments": _rows(session, Payment, "gateway_reference", "status", "amount_minor", "paid_at"),
        "refunds": _rows(session, Refund, "gateway_reference", "status", "amount_minor"),
        "disputes": _rows(
            session,
            Dispute,
            "gateway_reference",
            "status",
            "status_at",
            "amount_minor",
            "withheld_minor",
            "reason",
            "opened_at",
        ),
        "dispute_movements": _rows(
            session, BalanceTransaction, "gateway_reference", "kind", "net_minor", "dispute_reference"
        ),
        "fraud_warnings": _rows(session, FraudWarning, "gateway_reference", "kind", "warned_at"),
        "totals": totals_by_currency(session),
    }


def _rows(session: Session, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in session.execute(select(*(getattr(table, name) for name in columns))))
