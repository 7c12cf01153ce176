"""Helpers for notifications: create due ones, send them with a fake mailer, and read their status."""

import datetime
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update

from jobs.emails import send_urgent_emails
from schemas.enums import EmailKind, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.sign_in import SignIn
from service.domain.email.outbox import enqueue_email
from service.domain.supporters import get_or_create_supporter
from tests.jobs.fake_mailer import READER, FakeMailer, with_mailer


def put_pledge(
    container: Container, *, to: str = READER, status: PledgeStatus = PledgeStatus.ACTIVE, **changes: Any
) -> uuid.UUID:
    """Create a monthly pledge of this reader without a notification; return its id."""
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign).where(Campaign.slug == "default")).one()
        row = {
            "id": new_id(),
            "campaign_id": campaign.id,
            "supporter_id": get_or_create_supporter(session, to, now=container.clock()),
            "status": status,
            "frequency": Frequency.MONTHLY,
            "amount_minor": 500,
            "currency": "USD",
            "lang": "en",
            "gateway": "stripe",
            "created_at": container.clock(),
        }
        session.add(Pledge(**(row | changes)))
        return (row | changes)["id"]


def enqueue(
    container: Container,
    kind: EmailKind,
    *,
    to: str = READER,
    dedup_key: str | None = None,
    pledge_id: uuid.UUID | None = None,
    lang: str = "en",
    event_date: datetime.date | None = None,
    paid_at: datetime.datetime | None = None,
) -> uuid.UUID:
    """Enqueue a notification with everything that it is about; return its id."""
    now = container.clock()
    if kind != EmailKind.SIGN_IN and pledge_id is None:
        pledge_id = put_pledge(container, to=to)
    with container.database.transaction() as session:
        supporter_id = get_or_create_supporter(session, to, now=now)
        related: dict[str, Any] = {"pledge_id": pledge_id}
        if kind in (EmailKind.RECEIPT, EmailKind.REFUND):
            payment = Payment(
                id=new_id(),
                pledge_id=pledge_id,
                status=PaymentStatus.SUCCEEDED,
                amount_minor=500,
                currency="USD",
                gateway="stripe",
                gateway_reference=f"paid-{new_id()}",
                paid_at=paid_at or now,
            )
            session.add(payment)
            session.flush()
            related["payment_id"] = payment.id
            if kind == EmailKind.REFUND:
                refund = Refund(
                    id=new_id(),
                    payment_id=payment.id,
                    status=RefundStatus.SUCCEEDED,
                    amount_minor=200,
                    currency="USD",
                    gateway_reference=f"refund-{new_id()}",
                    created_at=now,
                )
                session.add(refund)
                dedup_key = str(refund.id)
        if kind == EmailKind.SIGN_IN:
            sign_in = SignIn(id=new_id(), supporter_id=supporter_id, asked_at=now)
            session.add(sign_in)
            session.flush()
            related = {"sign_in_id": sign_in.id}
        dedup_key = dedup_key or str(new_id())
        enqueue_email(
            session,
            kind,
            dedup_key,
            lang=lang,
            now=now,
            supporter_id=supporter_id,
            event_date=event_date,
            **related,
        )
        return session.scalars(
            select(OutgoingEmail.id).where(OutgoingEmail.kind == kind, OutgoingEmail.dedup_key == dedup_key)
        ).one()


def run(container: Container, mailer: FakeMailer | None = None) -> Mapping[str, int]:
    """Run the job once, with this mailer if one is given; return its counts."""
    counts = send_urgent_emails(container if mailer is None else with_mailer(container, mailer), threading.Event())
    assert counts is not None
    return counts


def find(container: Container, notification_id: uuid.UUID) -> OutgoingEmail:
    """Return a notification as stored."""
    with container.database.read_only() as session:
        return session.get_one(OutgoingEmail, notification_id)


def status_counts(container: Container) -> dict[str, int]:
    """Return the number of notifications by status."""
    with container.database.read_only() as session:
        rows = session.execute(select(OutgoingEmail.status, func.count()).group_by(OutgoingEmail.status))
        return {status.value: count for status, count in rows}


def change_pledge(container: Container, pledge_id: uuid.UUID, **values: Any) -> None:
    """Update a pledge directly."""
    with container.database.transaction() as session:
        session.execute(update(Pledge).where(Pledge.id == pledge_id).values(values))
