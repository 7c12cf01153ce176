"""The process is killed after any commit and any call; then the reconciler runs, and both sides agree."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from schemas.enums import Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.reconciliation import ReconciliationReport, reconcile
from service.domain.payments.refunds import refund_payment
from service.domain.pledges.subscriptions import cancel_pledge, change_amount
from tests.events.crash_injection import AFTER_COMMIT, crash_at
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe

READER = "ada@news.example"


@pytest.fixture(autouse=True)
def _in_a_hurry() -> None:
    """Let calls take their time: none goes wrong here, and a busy machine is slow."""


def mend(scenario: StripeScenario) -> ReconciliationReport:
    """Start anew a while later, with the reconciler."""
    container = scenario.container
    container.clock.now += datetime.timedelta(minutes=5)
    return reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        links=container.urls,
        clock=container.clock,
    )


def given(scenario: StripeScenario, frequency: Frequency) -> uuid.UUID:
    opened = scenario.create_checkout(frequency)
    scenario.stripe.pay(scenario.session_of(opened), email=READER)
    mend(scenario)
    return opened.id


def payment_of(container: Container, pledge: uuid.UUID) -> uuid.UUID:
    with container.database.read_only() as session:
        return session.scalars(select(Payment.id).where(Payment.pledge_id == pledge)).one()


@dataclass(frozen=True)
class Deed:
    """What a process does at its desk, after `before`, and what must be true once the reconciler ran.

    `call` is the one of Stripe that it cannot do without: it must be among the moments of death.
    """

    before: Callable[[StripeScenario], Any]
    do: Callable[[Container, Any], Any]
    after: Callable[[StripeScenario, Any], None]
    call: str


class Elsewhere:
    """Stands for the double in a process that it is not in, where only a copy that learns nothing more is left."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of Stripe is to be asked by HTTP")


def start(container: Container, _: Any) -> None:
    StripeScenario(container, Elsewhere()).create_checkout(Frequency.ONCE)


def every_checkout_can_be_paid(scenario: StripeScenario, _: Any) -> None:
    with scenario.container.database.read_only() as session:
        pledges = session.scalars(select(Pledge).where(Pledge.status == PledgeStatus.PENDING)).all()
    for pledge in pledges:
        assert pledge.checkout_url == scenario.stripe.get(pledge.gateway_reference)["url"]
        scenario.stripe.pay(pledge.gateway_reference, email=READER)
    sessions = scenario.stripe.account.all("checkout.session")
    assert len({one["client_reference_id"] for one in sessions}) == len(sessions)
    mend(scenario)
    with scenario.container.database.read_only() as session:
        statuses = session.scalars(select(Pledge.status)).all()
    assert set(statuses) == {PledgeStatus.COMPLETED}
    assert len(statuses) == len(sessions)


def paid_and_partly_sent_back(scenario: StripeScenario) -> uuid.UUID:
    opened = scenario.create_checkout(Frequency.MONTHLY)
    told = len(scenario.stripe.events)
    session = scenario.session_of(opened)
    scenario.stripe.pay(session, email=READER)
    scenario.stripe.refund(scenario.stripe.charge_of(session)["id"], 200)
    # Two that say the same, and one that leaves out whose money it is; the reconciler brings the others.
    kinds = ("checkout.session.completed", "invoice.paid", "charge.refunded")
    scenario.deliver_webhooks(*(event for event in scenario.stripe.events[told:] if event["type"] in kinds))
    return opened.id


def apply(container: Container, _: uuid.UUID) -> None:
    process_pending_events(container.database.transaction, container.event_source, clock=container.clock)


def is_active(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    assert scenario.books(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE
    of = Payment.id == payment_of(scenario.container, pledge)
    with scenario.container.database.read_only() as session:
        assert session.scalars(select(Payment.status).where(of)).one() == PaymentStatus.PARTIALLY_REFUNDED


def cancel(container: Container, pledge: uuid.UUID) -> None:
    cancel_pledge(container.database.transaction, container.gateway, pledge, clock=container.clock)


def is_over_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    said = scenario.books(pledge)["pledge"]
    assert said["status"] == PledgeStatus.CANCELLED
    assert scenario.stripe.get(said["subscription_reference"])["status"] == "canceled"


def take_more(container: Container, pledge: uuid.UUID) -> None:
    change_amount(container.database.transaction, container.gateway, pledge, 900, lang="en")


def takes_more_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    said = scenario.books(pledge)["pledge"]
    [item] = scenario.stripe.get(said["subscription_reference"])["items"]["data"]
    assert item["price"]["unit_amount"] == said["amount_minor"] == 900
    with scenario.container.database.read_only() as session:
        assert session.get_one(Pledge, pledge).pending_amount_minor is None


def send_back(container: Container, pledge: uuid.UUID) -> None:
    payment, key = payment_of(container, pledge), str(pledge)
    refund_payment(
        container.database.transaction,
        container.gateway,
        payment,
        amount_minor=200,
        key=key,
        clock=container.clock,
    )


def went_back_once(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    of = Refund.payment_id == payment_of(scenario.container, pledge)
    with scenario.container.database.read_only() as session:
        refund = session.scalars(select(Refund).where(of)).one()
    assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, 200)


DEEDS = {
    "starting a checkout": Deed(
        lambda scenario: None, start, every_checkout_can_be_paid, "create_checkout_session"
    ),
    "applying events": Deed(paid_and_partly_sent_back, apply, is_active, "list_invoice_payments"),
    "cancelling": Deed(
        lambda scenario: given(scenario, Frequency.MONTHLY), cancel, is_over_on_both_sides, "cancel_subscription"
    ),
    "changing the amount": Deed(
        lambda scenario: given(scenario, Frequency.MONTHLY),
        take_more,
        takes_more_on_both_sides,
        "update_subscription_amount",
    ),
    "refunding": Deed(
        lambda scenario: given(scenario, Frequency.ONCE), send_back, went_back_once, "create_refund"
    ),
}


def both_sides_agree(scenario: StripeScenario, stripe: FakeStripe) -> None:
    charges = [one for one in stripe.account.all("charge") if one["status"] == "succeeded"]
    with scenario.container.database.read_only() as session:
        paid = session.scalars(select(Payment.amount_minor).where(Payment.status != PaymentStatus.FAILED)).all()
        back = session.scalars(select(Refund.amount_minor)).all()
    assert sorted(paid) == sorted(charge["amount"] for charge in charges)
    assert sorted(back) == sorted(one["amount"] for one in stripe.account.all("refund"))


@pytest.mark.parametrize("name", DEEDS)
def test_wherever_the_process_is_killed_both_sides_agree_after_the_reconciler(
    scenario: StripeScenario, stripe: FakeStripe, name: str
) -> None:
    deed = DEEDS[name]
    killed_after: list[str] = []
    while True:
        subject = deed.before(scenario)
        moment = crash_at(
            len(killed_after) + 1,
            scenario.container,
            lambda container, subject=subject: deed.do(container, subject),
        )
        mend(scenario)
        deed.after(scenario, subject)
        both_sides_agree(scenario, stripe)
        # What was mended is told of by Stripe in its turn; after that there is nothing new.
        assert not mend(scenario).completed
        assert mend(scenario).missed == 0
        both_sides_agree(scenario, stripe)
        if moment is None:
            break
        killed_after.append(moment)
    # The first is after what was wished for was written down, the last after what came of it was.
    assert (killed_after[0], killed_after[-1]) == (AFTER_COMMIT, AFTER_COMMIT)
    assert deed.call in killed_after
