"""Crashes after any commit and any call to Stripe: after reconciliation, the ledger and Stripe agree."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.enums import EmailKind, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.erasure import Erasure
from service.db.models.payment import BalanceTransaction, Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.payments.balance_listing import fetch_balance_transactions
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.refunds import refund_payment, withdraw_refund
from service.domain.pledges.open_invoices import retry_open_invoices
from service.domain.pledges.pauses import end_pause, pause_payments
from service.domain.pledges.subscriptions import cancel_pledge, change_amount, switch_frequency
from service.domain.privacy.address_changes import change_address
from service.domain.privacy.erasure import complete_erasures, erase
from service.gateways.stripe import balance
from tests.events.crash_injection import AFTER_COMMIT, crash_at
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import reconcile_later
from tests.stripe_double import FakeStripe

EMAIL = "ada@news.example"


def paid_pledge(scenario: StripeScenario, frequency: Frequency) -> uuid.UUID:
    checkout = scenario.create_checkout(frequency)
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    reconcile_later(scenario)
    return checkout.id


def payment_of(container: Container, pledge: uuid.UUID) -> uuid.UUID:
    with container.database.read_only() as session:
        return session.scalars(select(Payment.id).where(Payment.pledge_id == pledge)).one()


@dataclass(frozen=True)
class CrashScenario:
    """An action that runs after `before` and is crashed, and the assertion that holds after reconciliation.

    `call` is the Stripe operation that the action needs; it must be among the crash points.
    """

    before: Callable[[StripeScenario], Any]
    act: Callable[[Container, Any], Any]
    after: Callable[[StripeScenario, Any], None]
    call: str
    other_calls: frozenset[str] = frozenset()


class NoDirectAccess:
    """Stands in for the double in the child process, whose forked copy of it is out of date."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} must be called through HTTP")


def forget_product(scenario: StripeScenario) -> None:
    """Return to the state before the first checkout of the campaign."""
    with scenario.container.database.transaction() as session:
        session.execute(update(Campaign).values(product_name=None))
    for product in scenario.stripe.account.all("product"):
        scenario.stripe.account.delete(product)


def start_checkout(container: Container, _: Any) -> None:
    StripeScenario(container, NoDirectAccess()).create_checkout(Frequency.ONCE)


def assert_every_checkout_can_be_paid(scenario: StripeScenario, _: Any) -> None:
    with scenario.container.database.read_only() as session:
        pledges = session.scalars(select(Pledge).where(Pledge.status == PledgeStatus.PENDING)).all()
    for pledge in pledges:
        assert pledge.checkout_url == scenario.stripe.get(pledge.gateway_reference)["url"]
        scenario.stripe.pay(pledge.gateway_reference, email=EMAIL)
    sessions = scenario.stripe.account.all("checkout.session")
    assert len({item["client_reference_id"] for item in sessions}) == len(sessions)
    reconcile_later(scenario)
    with scenario.container.database.read_only() as session:
        statuses = session.scalars(select(Pledge.status)).all()
    assert set(statuses) == {PledgeStatus.COMPLETED}
    assert len(scenario.stripe.account.all("product")) == 1
    assert len(statuses) == len(sessions)


def deliver_payment_and_partial_refund(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.MONTHLY)
    event_count = len(scenario.stripe.events)
    session = scenario.session_of(checkout)
    scenario.stripe.pay(session, email=EMAIL)
    scenario.stripe.refund(scenario.stripe.charge_of(session)["id"], 200)
    # Two events report the same payment, and the refund names no pledge. The reconciliation fetches the others.
    kinds = ("checkout.session.completed", "invoice.paid", "charge.refunded")
    scenario.deliver_webhooks(*(event for event in scenario.stripe.events[event_count:] if event["type"] in kinds))
    return checkout.id


def process_events(container: Container, _: uuid.UUID) -> None:
    process_pending_events(container.database.transaction, container.event_source, clock=container.clock)


def assert_active_and_partially_refunded(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE
    of = Payment.id == payment_of(scenario.container, pledge)
    with scenario.container.database.read_only() as session:
        assert session.scalars(select(Payment.status).where(of)).one() == PaymentStatus.PARTIALLY_REFUNDED


def cancel(container: Container, pledge: uuid.UUID) -> None:
    cancel_pledge(container.database.transaction, container.gateway, pledge, clock=container.clock)


def assert_cancelled_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    pledge_row = scenario.snapshot(pledge)["pledge"]
    assert pledge_row["status"] == PledgeStatus.CANCELLED
    assert scenario.stripe.get(pledge_row["subscription_reference"])["status"] == "canceled"


def increase_amount(container: Container, pledge: uuid.UUID) -> None:
    change_amount(container.database.transaction, container.gateway, pledge, 900, clock=container.clock, lang="en")


def assert_new_amount_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    pledge_row = scenario.snapshot(pledge)["pledge"]
    [item] = scenario.stripe.get(pledge_row["subscription_reference"])["items"]["data"]
    assert item["price"]["unit_amount"] == pledge_row["amount_minor"] == 900
    with scenario.container.database.read_only() as session:
        assert session.get_one(Pledge, pledge).pending_amount_minor is None


def pause(container: Container, pledge: uuid.UUID) -> None:
    with container.database.read_only() as session:
        first = session.get_one(Pledge, pledge).renews_at
    pause_payments(
        container.database.transaction,
        container.gateway,
        pledge,
        2,
        first_skipped_at=first,
        clock=container.clock,
    )


def assert_paused_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    pledge_row = scenario.snapshot(pledge)["pledge"]
    at_stripe = scenario.stripe.get(pledge_row["subscription_reference"])["pause_collection"]
    assert at_stripe == {"behavior": "void", "resumes_at": int(pledge_row["resumes_at"].timestamp())}
    with scenario.container.database.read_only() as session:
        assert session.get_one(Pledge, pledge).pause_requested_at is None
        emails = session.scalars(select(OutgoingEmail.kind).where(OutgoingEmail.pledge_id == pledge)).all()
    assert sorted(kind for kind in emails if kind != EmailKind.RECEIPT) == [EmailKind.PAUSED, EmailKind.RESUMING]


def paused_pledge(scenario: StripeScenario) -> uuid.UUID:
    pledge = paid_pledge(scenario, Frequency.MONTHLY)
    pause(scenario.container, pledge)
    return pledge


def resume(container: Container, pledge: uuid.UUID) -> None:
    end_pause(container.database.transaction, container.gateway, pledge, clock=container.clock)


def assert_resumed_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    pledge_row = scenario.snapshot(pledge)["pledge"]
    assert scenario.stripe.get(pledge_row["subscription_reference"])["pause_collection"] is None
    assert (pledge_row["is_paused"], pledge_row["resumes_at"]) == (False, None)
    with scenario.container.database.read_only() as session:
        assert session.get_one(Pledge, pledge).pause_requested_at is None


def switch_to_annual(container: Container, pledge: uuid.UUID) -> None:
    with container.database.read_only() as session:
        next_at = session.get_one(Pledge, pledge).renews_at
    switch_frequency(
        container.database.transaction,
        container.gateway,
        pledge,
        Frequency.ANNUAL,
        6000,
        next_payment_at=next_at,
        clock=container.clock,
        lang="en",
    )


def assert_annual_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    with scenario.container.database.read_only() as session:
        row = session.get_one(Pledge, pledge)
    subscription = scenario.stripe.get(row.subscription_reference)
    [item] = subscription["items"]["data"]
    assert (item["price"]["recurring"]["interval"], item["price"]["unit_amount"]) == ("year", 6000)
    assert subscription["trial_end"] == int(row.renews_at.timestamp())
    assert (row.frequency, row.amount_minor) == (Frequency.ANNUAL, 6000)
    assert (row.pending_frequency, row.pending_amount_minor) == (None, None)


def refund_partially(container: Container, pledge: uuid.UUID) -> None:
    payment, key = payment_of(container, pledge), str(pledge)
    refund_payment(
        container.database.transaction,
        container.gateway,
        payment,
        amount_minor=200,
        key=key,
        clock=container.clock,
    )


def assert_refunded_once(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    of = Refund.payment_id == payment_of(scenario.container, pledge)
    with scenario.container.database.read_only() as session:
        refund = session.scalars(select(Refund).where(of)).one()
    assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, 200)


def refund_in_doubt(scenario: StripeScenario) -> uuid.UUID:
    """Request a refund whose call fails, so that only Stripe knows whether it was made; return its pledge."""
    pledge = paid_pledge(scenario, Frequency.ONCE)
    scenario.stripe.faults.respond(503, "POST /v1/refunds")
    refund_partially(scenario.container, pledge)
    return pledge


def withdraw(container: Container, pledge: uuid.UUID) -> None:
    with container.database.read_only() as session:
        refund_id = session.scalars(
            select(Refund.id).where(Refund.payment_id == payment_of(container, pledge))
        ).one()
    withdraw_refund(container.database.transaction, container.gateway, refund_id, clock=container.clock)


def assert_withdrawn_or_made_once(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    of = Refund.payment_id == payment_of(scenario.container, pledge)
    with scenario.container.database.read_only() as session:
        refund = session.scalars(select(Refund).where(of)).one()
    made = [item for item in scenario.stripe.account.all("refund") if item["id"] == refund.gateway_reference]
    # A crash before the last commit leaves the refund requested, and the reconciliation makes it.
    expected = RefundStatus.SUCCEEDED if made else RefundStatus.WITHDRAWN
    assert (refund.status, refund.amount_minor) == (expected, 200)


def new_address(pledge: uuid.UUID) -> str:
    return f"{pledge}@home.example"


def change_email(container: Container, pledge: uuid.UUID) -> None:
    with container.database.read_only() as session:
        supporter = session.get_one(Pledge, pledge).supporter_id
    change_address(
        container.database.transaction,
        container.gateway,
        supporter,
        new_address(pledge),
        merge=False,
        clock=container.clock,
    )


def assert_new_address_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    with scenario.container.database.read_only() as session:
        row = session.get_one(Pledge, pledge)
        assert row.supporter.email == new_address(pledge)
        assert scenario.stripe.get(row.customer_reference)["email"] == new_address(pledge)


def paid_supporter(scenario: StripeScenario) -> uuid.UUID:
    """Return the only supporter, who has a customer."""
    if not scenario.stripe.account.all("customer"):
        paid_pledge(scenario, Frequency.ONCE)
    with scenario.container.database.read_only() as session:
        return session.scalars(select(Supporter.id)).one()


def supporter_with_deleted_customer(scenario: StripeScenario) -> uuid.UUID:
    supporter = paid_supporter(scenario)
    for customer in scenario.stripe.account.all("customer"):
        scenario.stripe.account.delete(customer)
    return supporter


def give_again(container: Container, supporter: uuid.UUID) -> None:
    StripeScenario(container, NoDirectAccess()).create_checkout(Frequency.MONTHLY, supporter_id=supporter)


def assert_paid_as_one_customer(scenario: StripeScenario, supporter: uuid.UUID) -> None:
    """Pay the checkouts; those of the supporter are for one customer, and none was created twice."""
    assert len(scenario.stripe.account.all("customer")) <= 1
    with scenario.container.database.read_only() as session:
        pending = session.scalars(select(Pledge).where(Pledge.status == PledgeStatus.PENDING)).all()
    for pledge in pending:
        assert pledge.checkout_url == scenario.stripe.get(pledge.gateway_reference)["url"]
        scenario.stripe.pay(pledge.gateway_reference, email=EMAIL)
    reconcile_later(scenario)
    [customer] = scenario.stripe.account.all("customer")
    with scenario.container.database.read_only() as session:
        monthly = session.scalars(select(Pledge).where(Pledge.frequency == Frequency.MONTHLY)).all()
    newest = [pledge for pledge in pending if pledge.frequency == Frequency.MONTHLY]
    assert {pledge.status for pledge in monthly} <= {PledgeStatus.ACTIVE}
    for pledge in newest:
        subscription = session_subscription(scenario, pledge)
        assert subscription["customer"] == customer["id"]


def session_subscription(scenario: StripeScenario, pledge: Pledge) -> Any:
    return scenario.stripe.get(scenario.stripe.get(pledge.gateway_reference)["subscription"])


def monthly_supporter_with_an_open_checkout(scenario: StripeScenario) -> uuid.UUID:
    """Return the monthly pledge of a supporter who has also started another while signed in."""
    pledge_id = paid_pledge(scenario, Frequency.MONTHLY)
    with scenario.container.database.read_only() as session:
        supporter_id = session.get_one(Pledge, pledge_id).supporter_id
    scenario.create_checkout(Frequency.ONCE, supporter_id=supporter_id)
    return pledge_id


def erase_monthly_supporter(container: Container, _: uuid.UUID) -> None:
    erase(
        container.database.transaction,
        container.gateway,
        EMAIL,
        requested_by="command line",
        clock=container.clock,
    )


def assert_erased_on_both_sides(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    container = scenario.container
    complete_erasures(container.database.transaction, container.gateway, clock=container.clock)
    assert_cancelled_on_both_sides(scenario, pledge)
    pledge_row = scenario.snapshot(pledge)["pledge"]
    assert pledge_row["customer_reference"] in scenario.stripe.account.deleted_customers
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter.id)).all() == []
        assert session.get_one(Pledge, pledge).erased_at is not None
        erasures = session.scalars(select(Erasure).order_by(Erasure.id.desc())).all()
        assert {(row.status, row.address, row.recurring_ended) for row in erasures} == {("completed", None, 1)}
        assert PledgeStatus.PENDING not in session.scalars(select(Pledge.status)).all()
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "erase_reader")).all()
        assert len(entries) == len(erasures)
    sessions = scenario.stripe.account.all("checkout.session")
    assert {found["status"] for found in sessions} == {"complete", "expired"}


def past_due_with_a_new_card(scenario: StripeScenario) -> uuid.UUID:
    """Return a pledge whose renewal failed, and whose reader has saved another card since."""
    pledge = paid_pledge(scenario, Frequency.MONTHLY)
    pledge_row = scenario.snapshot(pledge)["pledge"]
    scenario.stripe.fail_renewal(pledge_row["subscription_reference"])
    scenario.stripe.advance(hours=1)
    scenario.stripe.update_card(pledge_row["customer_reference"])
    # The subscription has a card of its own since the checkout; the portal's session clears it.
    scenario.stripe.get(pledge_row["subscription_reference"])["default_payment_method"] = None
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    return pledge


def retry_invoice(container: Container, _: uuid.UUID) -> None:
    retry_open_invoices(container.database.transaction, container.gateway)


def assert_invoice_paid_once(scenario: StripeScenario, pledge: uuid.UUID) -> None:
    reconcile_later(scenario)
    pledge_row = scenario.snapshot(pledge)["pledge"]
    assert pledge_row["status"] == PledgeStatus.ACTIVE
    assert pledge_row["invoice_retry_requested_at"] is None
    paid = [charge for charge in scenario.stripe.account.all("charge") if charge["status"] == "succeeded"]
    mine = [charge for charge in paid if charge["customer"] == pledge_row["customer_reference"]]
    assert len(mine) == 2


CRASH_SCENARIOS = {
    "try a new card": CrashScenario(
        past_due_with_a_new_card, retry_invoice, assert_invoice_paid_once, "pay_invoice"
    ),
    "erase a supporter who gives monthly": CrashScenario(
        monthly_supporter_with_an_open_checkout,
        erase_monthly_supporter,
        assert_erased_on_both_sides,
        "delete_customer",
        frozenset({"expire_checkout_session"}),
    ),
    "create a checkout": CrashScenario(
        forget_product,
        start_checkout,
        assert_every_checkout_can_be_paid,
        "create_checkout_session",
        frozenset({"create_product"}),
    ),
    "reuse a customer": CrashScenario(
        paid_supporter, give_again, assert_paid_as_one_customer, "create_checkout_session"
    ),
    "replace a deleted customer": CrashScenario(
        supporter_with_deleted_customer, give_again, assert_paid_as_one_customer, "create_checkout_session"
    ),
    "process events": CrashScenario(
        deliver_payment_and_partial_refund,
        process_events,
        assert_active_and_partially_refunded,
        # No event needs a look-up: the refund's payment is known by its charge once that is booked.
        "commit",
    ),
    "cancel": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.MONTHLY),
        cancel,
        assert_cancelled_on_both_sides,
        "cancel_subscription",
    ),
    "change the amount": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.MONTHLY),
        increase_amount,
        assert_new_amount_on_both_sides,
        "update_subscription_amount",
    ),
    "switch to annual": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.MONTHLY),
        switch_to_annual,
        assert_annual_on_both_sides,
        "update_subscription_amount",
    ),
    "pause": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.MONTHLY),
        pause,
        assert_paused_on_both_sides,
        "set_pause",
        frozenset({"retrieve_subscription"}),
    ),
    "end a pause": CrashScenario(paused_pledge, resume, assert_resumed_on_both_sides, "set_pause"),
    "address changed": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.MONTHLY),
        change_email,
        assert_new_address_on_both_sides,
        "update_customer_email",
    ),
    "refund": CrashScenario(
        lambda scenario: paid_pledge(scenario, Frequency.ONCE),
        refund_partially,
        assert_refunded_once,
        "create_refund",
    ),
    "withdraw a refund": CrashScenario(refund_in_doubt, withdraw, assert_withdrawn_or_made_once, "list_refunds"),
}


def assert_both_sides_agree(scenario: StripeScenario, stripe: FakeStripe) -> None:
    charges = [item for item in stripe.account.all("charge") if item["status"] == "succeeded"]
    with scenario.container.database.read_only() as session:
        paid = session.scalars(select(Payment.amount_minor).where(Payment.status != PaymentStatus.FAILED)).all()
        refunds = session.scalars(select(Refund.amount_minor).where(Refund.status != RefundStatus.WITHDRAWN)).all()
    assert sorted(paid) == sorted(charge["amount"] for charge in charges)
    assert sorted(refunds) == sorted(item["amount"] for item in stripe.account.all("refund"))


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
def test_reconciliation_restores_agreement_after_crash_at_any_point(
    scenario: StripeScenario, stripe: FakeStripe, name: str
) -> None:
    crash_scenario = CRASH_SCENARIOS[name]
    crash_points: list[str] = []
    while True:
        subject = crash_scenario.before(scenario)
        point = crash_at(
            len(crash_points) + 1,
            scenario.container,
            lambda container, subject=subject: crash_scenario.act(container, subject),
        )
        reconcile_later(scenario)
        # The job retries an event that arrived before the payment that it is about.
        scenario.run_until_idle()
        crash_scenario.after(scenario, subject)
        assert_both_sides_agree(scenario, stripe)
        # Stripe sends events for the completed operations; after those there is nothing new.
        assert not reconcile_later(scenario).completed
        assert reconcile_later(scenario).missed == 0
        assert_both_sides_agree(scenario, stripe)
        if point is None:
            break
        crash_points.append(point)
    # The first crash point follows the commit of the intent, the last the commit of the outcome.
    assert (crash_points[0], crash_points[-1]) == (AFTER_COMMIT, AFTER_COMMIT)
    assert crash_scenario.call in crash_points, sorted(set(crash_points))
    assert crash_scenario.other_calls <= set(crash_points)


def book_by_small_pages(container: Container) -> None:
    # Only in the child process, which ends after this.
    balance.PAGE_SIZE = 2
    fetch_balance_transactions(container.database.transaction, container.gateway, clock=container.clock)


def booked_transactions(container: Container) -> list[tuple[str, int]]:
    with container.database.read_only() as session:
        rows = session.execute(select(BalanceTransaction.gateway_reference, BalanceTransaction.net_minor)).all()
    return sorted((row.gateway_reference, row.net_minor) for row in rows)


def test_next_run_books_what_a_crash_between_pages_left(scenario: StripeScenario, stripe: FakeStripe) -> None:
    container = scenario.container
    paid_pledge(scenario, Frequency.ONCE)
    [charge] = stripe.account.all("charge")
    crash_points: list[str] = []
    booked_after_crash: list[int] = []
    while True:
        before = len(booked_transactions(container))
        for _ in range(4):
            stripe.refund(charge["id"], 1)
        # Longer than two listings overlap, so that nothing is found again by chance.
        container.clock.advance(hours=1)
        point = crash_at(len(crash_points) + 1, container, book_by_small_pages)
        booked_after_crash.append(len(booked_transactions(container)) - before)
        container.clock.advance(hours=1)
        fetch_balance_transactions(container.database.transaction, container.gateway, clock=container.clock)
        at_stripe = stripe.account.all("balance_transaction")
        assert booked_transactions(container) == sorted((item["id"], item["net"]) for item in at_stripe)
        if point is None:
            break
        crash_points.append(point)
    assert crash_points.count("list_balance_transactions") == 2
    # Before the first page is booked, between the two, and after both.
    assert set(booked_after_crash) == {0, 2, 4}
