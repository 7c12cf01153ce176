"""What the gateway reports again after a restore: emails about the time before it are held."""

import dataclasses
import datetime

import pytest
from sqlalchemy import select

from schemas.enums import EmailKind, Frequency
from service.db.models.email import OutgoingEmail
from service.domain.monitoring.restore_guard import start_guard
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    PaymentActionRequired,
    PaymentBounced,
    PaymentEvent,
    RenewalUpcoming,
)
from tests.domain.ledger import Ledger

HOUR = datetime.timedelta(hours=1)
KINDS = {
    EmailKind.RECEIPT,
    EmailKind.PAYMENT_FAILED,
    EmailKind.RENEWAL,
    EmailKind.CANCELLED,
}


def report_everything(ledger: Ledger, at: datetime.datetime) -> None:
    """Let the gateway report an event for each kind of email, which happened at this instant or a minute later."""

    def apply(*events: PaymentEvent, occurred_at: datetime.datetime = at) -> None:
        ledger.apply(*(dataclasses.replace(event, occurred_at=occurred_at) for event in events))

    def subscribe(number: int, frequency: Frequency) -> dict:
        pledge = ledger.create_pledge(frequency)
        names = {"pledge_id": pledge, "subscription": f"sub_{number}"}
        completed = CheckoutCompleted(**names, email=f"reader-{number}@news.example", occurred_at=at)
        apply(completed, ledger.payment_succeeded(pledge, f"pay_{number}", subscription=f"sub_{number}"))
        return names

    annual = subscribe(1, Frequency.ANNUAL)
    apply(RenewalUpcoming(**annual, renews_at=ledger.container.clock() + 24 * HOUR, occurred_at=at))
    failing = subscribe(2, Frequency.MONTHLY)
    failed = ledger.payment_failed(failing["pledge_id"], "in_2#1", invoice="in_2", subscription="sub_2")
    apply(
        failed,
        PaymentActionRequired(**failing, invoice="in_2", attempt=2, occurred_at=at),
        occurred_at=at + datetime.timedelta(minutes=1),
    )
    ended = subscribe(3, Frequency.MONTHLY)
    apply(ledger.subscription_updated(ended["pledge_id"], subscription="sub_3", ended=True))
    once = ledger.create_pledge()
    apply(CheckoutCompleted(pledge_id=once, email="reader-4@news.example", occurred_at=at))
    apply(PaymentBounced(pledge_id=once, occurred_at=at))


@pytest.mark.parametrize(("shift", "is_held"), [(-HOUR, True), (HOUR, False)], ids=["before", "after"])
def test_emails_about_events_before_the_restore_are_held(
    ledger: Ledger, shift: datetime.timedelta, is_held: bool
) -> None:
    now = ledger.container.clock()
    with ledger.container.database.transaction() as session:
        start_guard(session, sent_before=now, now=now)
    report_everything(ledger, now + shift)
    with ledger.container.database.read_only() as session:
        emails = session.scalars(select(OutgoingEmail)).all()
    assert {email.kind for email in emails} == KINDS
    # One of each attempt, and one of the bank debit.
    assert [email.kind for email in emails].count(EmailKind.PAYMENT_FAILED) == 3
    assert {(email.kind, email.held_at is not None) for email in emails} == {(kind, is_held) for kind in KINDS}
