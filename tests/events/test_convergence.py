"""Convergence: events in any order and with repetitions end in the same pledge and the same totals."""

import os
import random
import uuid
from collections.abc import Callable, Collection

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import EventStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.money import Money
from service.domain.payments.event_handlers import DependencyMissing, handle_event
from service.domain.payments.event_processing import look_up_subscriptions
from service.domain.pledges.subscription_reports import SubscriptionOrderUnknown
from service.domain.ports import KnownOwner
from service.domain.ports.payment_events import CustomerUpdated, PaymentEvent, PaymentSucceeded, RefundUpdated
from service.gateways.stripe.event_owners import NothingKnown
from tests.events.stripe_fixture import StripeScenario, snapshot
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import one_year_subscription
from tests.stripe_double.webhooks import payload_of

EXAMPLES = 100 if os.environ.get("FAULTS") == "full" else 5
HYPOTHESIS_OPTIONS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


Act = Callable[[StripeScenario], uuid.UUID]


def one_year(**options: object) -> Callable[[StripeScenario], uuid.UUID]:
    def act(scenario: StripeScenario) -> uuid.UUID:
        checkout = scenario.create_checkout()
        one_year_subscription(scenario.stripe, session=scenario.session_of(checkout), **options)
        return checkout.id

    return act


def bank_debit_with_refunds(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(checkout)
    scenario.stripe.pay_by_bank_debit(session)
    charge = scenario.stripe.settle_bank_debit(session)
    for amount in (300, 700):
        refund = scenario.stripe.refund(charge["id"], amount)
        scenario.stripe.complete_refund(refund["id"])
    return checkout.id


def refunds_that_fail(scenario: StripeScenario) -> uuid.UUID:
    """One refund fails after it was booked, one is cancelled while pending, one is pending, one succeeds."""
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    stripe, charge = scenario.stripe, scenario.stripe.pay(scenario.session_of(checkout))["id"]
    stripe.fail_refund(stripe.refund(charge)["id"])
    stripe.settings.pending_refunds = True
    stripe.cancel_refund(stripe.refund(charge, 600)["id"])
    stripe.refund(charge, 100)
    stripe.complete_refund(stripe.refund(charge, 700)["id"])
    return checkout.id


def bank_debit_under_way(frequency: Frequency) -> Callable[[StripeScenario], uuid.UUID]:
    def act(scenario: StripeScenario) -> uuid.UUID:
        checkout = scenario.create_checkout(frequency)
        scenario.stripe.decline(scenario.session_of(checkout))
        scenario.stripe.advance(minutes=1)
        scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout))
        return checkout.id

    return act


def bank_debit_bounces(frequency: Frequency) -> Callable[[StripeScenario], uuid.UUID]:
    def act(scenario: StripeScenario) -> uuid.UUID:
        pledge = bank_debit_under_way(frequency)(scenario)
        with scenario.container.database.read_only() as session:
            reference = session.get_one(Pledge, pledge).gateway_reference
        scenario.stripe.fail_bank_debit(reference)
        return pledge

    return act


def bank_debit_bounces_and_is_retried(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.MONTHLY)
    scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout))
    scenario.stripe.fail_bank_debit(scenario.session_of(checkout))
    subscription = scenario.stripe.get(scenario.session_of(checkout))["subscription"]
    scenario.stripe.retry_successfully(subscription)
    return checkout.id


def changes_in_the_dashboard(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.ANNUAL)
    scenario.stripe.pay(scenario.session_of(checkout))
    subscription = scenario.stripe.get(scenario.session_of(checkout))["subscription"]
    scenario.stripe.advance(days=3)
    # Within one second.
    scenario.stripe.pause_collection(subscription)
    scenario.stripe.change_price(subscription, 900)
    scenario.stripe.change_price(subscription, 300)
    scenario.stripe.resume_collection(subscription)
    scenario.stripe.advance(days=3)
    scenario.stripe.set_cancel_at_period_end(subscription, canceled=False)
    scenario.stripe.set_cancel_at_period_end(subscription)
    return checkout.id


def renewal_is_confirmed(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(checkout))
    subscription = scenario.stripe.get(scenario.session_of(checkout))["subscription"]
    scenario.stripe.require_action(subscription)
    scenario.stripe.advance(hours=1)
    scenario.stripe.confirm_payment(subscription)
    scenario.stripe.require_action(subscription, is_failure=False)
    return checkout.id


def invoice_is_paid_outside(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout()
    scenario.stripe.pay(scenario.session_of(checkout))
    subscription = scenario.stripe.get(scenario.session_of(checkout))["subscription"]
    scenario.stripe.fail_renewal(subscription)
    scenario.stripe.advance(hours=1)
    scenario.stripe.mark_paid_outside(subscription)
    return checkout.id


def paid_with_credit(credit: int) -> Act:
    """A supporter's second, monthly pledge of 500, whose invoices take the customer's credit first."""

    def act(scenario: StripeScenario) -> uuid.UUID:
        stripe = scenario.stripe
        first = scenario.create_checkout(Frequency.ONCE, amount=1000)
        stripe.pay(scenario.session_of(first))
        scenario.deliver_webhooks(*stripe.events)
        scenario.run_until_idle()
        with scenario.container.database.read_only() as session:
            pledge = session.get_one(Pledge, first.id)
        stripe.give_credit(str(pledge.customer_reference), credit)
        second = scenario.create_checkout(supporter_id=pledge.supporter_id)
        stripe.advance(hours=1)
        charge = stripe.pay(scenario.session_of(second))
        if charge:
            stripe.refund(charge["id"], 100)
        stripe.renew(stripe.get(scenario.session_of(second))["subscription"])
        return second.id

    return act


def second_attempt_with_dispute(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    session = scenario.session_of(checkout)
    scenario.stripe.decline(session)
    charge = scenario.stripe.pay(session)
    dispute = scenario.stripe.open_dispute(charge["id"])
    scenario.stripe.close_dispute(dispute["id"], "lost")
    return checkout.id


def disputed(*steps: tuple[str, dict[str, int]], inquiry: bool = False, amount: int | None = None) -> Act:
    """Return a scenario that disputes a gift of ten dollars, and takes these steps a day apart."""

    def act(scenario: StripeScenario) -> uuid.UUID:
        checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
        stripe = scenario.stripe
        charge = stripe.pay(scenario.session_of(checkout))["id"]
        stripe.warn_of_fraud(charge)
        found = stripe.open_inquiry(charge, amount) if inquiry else stripe.open_dispute(charge, amount)
        for step, options in steps:
            scenario.container.clock.advance(days=1)
            if step == "escalate":
                stripe.escalate_inquiry(found["id"])
            elif step == "review":
                stripe.review_dispute(found["id"])
            else:
                stripe.close_dispute(found["id"], step, **options)
        return checkout.id

    return act


def an_abandoned_checkout(scenario: StripeScenario) -> uuid.UUID:
    checkout = scenario.create_checkout(Frequency.ONCE)
    scenario.stripe.decline(scenario.session_of(checkout))
    scenario.stripe.abandon(scenario.session_of(checkout))
    return checkout.id


def second_pledge_of_one_customer(scenario: StripeScenario) -> uuid.UUID:
    """A supporter gives once, and then monthly as the same customer."""
    first = scenario.create_checkout(Frequency.ONCE, amount=1000)
    scenario.stripe.pay(scenario.session_of(first))
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    with scenario.container.database.read_only() as session:
        supporter = session.get_one(Pledge, first.id).supporter_id
    second = scenario.create_checkout(Frequency.MONTHLY, supporter_id=supporter)
    scenario.stripe.pay(scenario.session_of(second))
    assert len(scenario.stripe.account.all("customer")) == 1
    return second.id


SCENARIOS = {
    "same customer": (second_pledge_of_one_customer, PledgeStatus.ACTIVE, 2, 1500),
    "one year": (one_year(), PledgeStatus.ACTIVE, 12, 5800),
    "lost dispute": (one_year(dispute="lost"), PledgeStatus.ACTIVE, 11, 5300),
    "retries exhausted": (one_year(exhausts_retries=True), PledgeStatus.CANCELLED, 11, 5300),
    "bank debit": (bank_debit_with_refunds, PledgeStatus.REFUNDED, 0, 0),
    "failing refunds": (refunds_that_fail, PledgeStatus.COMPLETED, 1, 300),
    "debit under way": (bank_debit_under_way(Frequency.ONCE), PledgeStatus.PROCESSING, None, None),
    "recurring debit under way": (bank_debit_under_way(Frequency.MONTHLY), PledgeStatus.PROCESSING, None, None),
    "debit bounces": (bank_debit_bounces(Frequency.ONCE), PledgeStatus.EXPIRED, None, None),
    "recurring debit bounces": (bank_debit_bounces(Frequency.MONTHLY), PledgeStatus.PAST_DUE, None, None),
    "bounced debit is retried": (bank_debit_bounces_and_is_retried, PledgeStatus.ACTIVE, 1, 500),
    "confirmed": (renewal_is_confirmed, PledgeStatus.PAST_DUE, 2, 1000),
    "paid outside": (invoice_is_paid_outside, PledgeStatus.ACTIVE, 1, 500),
    "credit": (paid_with_credit(200), PledgeStatus.ACTIVE, 3, 1700),
    "owed": (paid_with_credit(-200), PledgeStatus.ACTIVE, 3, 2100),
    "paid by credit": (paid_with_credit(700), PledgeStatus.ACTIVE, 2, 1300),
    "dashboard": (changes_in_the_dashboard, PledgeStatus.ACTIVE, 1, 500),
    "second attempt": (second_attempt_with_dispute, PledgeStatus.COMPLETED, 0, 0),
    "inquiry": (disputed(("review", {}), ("warning_closed", {}), inquiry=True), PledgeStatus.COMPLETED, 1, 1000),
    "inquiry escalates": (
        disputed(("escalate", {}), ("review", {}), ("lost", {}), inquiry=True),
        PledgeStatus.COMPLETED,
        0,
        0,
    ),
    "won, then lost": (disputed(("won", {}), ("lost", {})), PledgeStatus.COMPLETED, 0, 0),
    "lost, then won": (disputed(("lost", {}), ("won", {})), PledgeStatus.COMPLETED, 1, 1000),
    "another amount at the close": (
        disputed(("lost", {"amount": 600, "reinstated": 400})),
        PledgeStatus.COMPLETED,
        1,
        400,
    ),
    "partial loss": (disputed(("review", {}), ("lost", {}), amount=400), PledgeStatus.COMPLETED, 1, 600),
    "prevented": (disputed(("prevented", {}), inquiry=True), PledgeStatus.COMPLETED, 1, 1000),
    "abandoned": (an_abandoned_checkout, PledgeStatus.EXPIRED, None, None),
}


def sent_events(scenario: StripeScenario) -> list[StripeJson]:
    """Return the events that Stripe sends by webhook."""
    return list(scenario.stripe.events)


def apply_all(session: Session, scenario: StripeScenario, stream: list[list[PaymentEvent]]) -> None:
    """Handle one event after another; those that depend on a later one are retried at the end."""
    remaining = stream
    for _ in range(4):
        waiting = []
        for parsed in remaining:
            try:
                with session.begin_nested():
                    for payment_event in parsed:
                        handle_event(session, "stripe", payment_event, now=scenario.container.clock())
            except DependencyMissing:
                waiting.append(parsed)
            except SubscriptionOrderUnknown:
                current = look_up_subscriptions(scenario.container.event_source, parsed)
                with session.begin_nested():
                    for payment_event in current:
                        handle_event(session, "stripe", payment_event, now=scenario.container.clock())
        remaining = waiting
    assert not remaining


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_order_and_repetition_of_events_converges(scenario: StripeScenario, name: str) -> None:
    act, status, payments, net = SCENARIOS[name]
    pledge = act(scenario)
    stream = [
        parsed
        for event in sent_events(scenario)
        if (parsed := scenario.container.event_source.parse_event(payload_of(event).decode()))
    ]
    assert stream
    database = scenario.container.database

    def final_state(order: list[int]) -> dict:
        with database.engine.connect() as connection, connection.begin() as transaction:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                apply_all(session, scenario, [stream[number] for number in order])
                session.flush()
                found = snapshot(session, pledge)
            transaction.rollback()
        return found

    expected = final_state(list(range(len(stream))))
    assert expected["pledge"]["status"] == status
    assert [(total.payments, total.net) for total in expected["totals"]] == (
        [] if payments is None else [(payments, net)]
    )
    received = [row for row in expected["payments"] if row[1] != PaymentStatus.FAILED]
    assert sum(row[2] for row in received) == sum(total.received for total in expected["totals"])

    @hypothesis_settings(max_examples=EXAMPLES if len(stream) > 20 else 2 * EXAMPLES, **HYPOTHESIS_OPTIONS)
    @given(st.permutations(range(len(stream))), st.lists(st.integers(0, len(stream) - 1), max_size=12))
    def check_order(order: list[int], again: list[int]) -> None:
        assert final_state([*order, *again]) == expected

    check_order()


REFUND_PATHS = (
    ("pending",),
    ("succeeded",),
    ("pending", "succeeded"),
    ("pending", "cancelled"),
    ("pending", "failed"),
    ("succeeded", "failed"),
    ("pending", "succeeded", "failed"),
)


def test_refunds_converge_for_any_order_of_their_statuses(scenario: StripeScenario) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=1000)
    now, database = scenario.container.clock(), scenario.container.database
    paid = PaymentSucceeded(reference="pi_1", money=Money(1000, "USD"), occurred_at=now, pledge_id=checkout.id)

    @hypothesis_settings(max_examples=10 * EXAMPLES, **HYPOTHESIS_OPTIONS)
    @given(st.lists(st.sampled_from(REFUND_PATHS), min_size=1, max_size=3), st.data())
    def check(paths: list[tuple[str, ...]], data: st.DataObject) -> None:
        events = [
            RefundUpdated(
                references=("pi_1",),
                refund=f"re_{number}",
                money=Money(300 + number, "USD"),
                occurred_at=now,
                status=RefundStatus(status),
            )
            for number, path in enumerate(paths)
            for status in path
        ]
        again = data.draw(st.lists(st.sampled_from(events), max_size=4))
        stream = data.draw(st.permutations([paid, *events, *again]))
        with database.engine.connect() as connection, connection.begin() as transaction:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                apply_all(session, scenario, [[event] for event in stream])
                session.flush()
                found = snapshot(session, checkout.id)
            transaction.rollback()
        assert found["refunds"] == [(f"re_{number}", path[-1], 300 + number) for number, path in enumerate(paths)]
        succeeded = sum(300 + number for number, path in enumerate(paths) if path[-1] == "succeeded")
        assert [total.refunded for total in found["totals"]] == [succeeded]
        expected = PaymentStatus.PARTIALLY_REFUNDED if succeeded else PaymentStatus.SUCCEEDED
        assert [payment[1] for payment in found["payments"]] == [expected]

    check()


@pytest.mark.parametrize("seed", range(2))
def test_inbox_converges_for_any_order_of_webhooks(scenario: StripeScenario, seed: int) -> None:
    pledge = one_year(dispute="lost", exhausts_retries=True)(scenario)
    events = sent_events(scenario)
    scenario.deliver_webhooks(*events)
    scenario.run_until_idle()
    expected = scenario.snapshot(pledge)
    with scenario.container.database.transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM emails")
        for table in (
            "fraud_warnings",
            "balance_transactions",
            "disputes",
            "refunds",
            "payments",
            "pledge_status_changes",
            "gateway_events",
        ):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
        session.connection().exec_driver_sql(
            "UPDATE pledges SET status = 'pending', subscription_reference = NULL, customer_reference = NULL,"
            " renews_at = NULL, subscription_status_at = NULL, ended_at = NULL, supporter_id = NULL,"
            " checkout_completed_at = NULL, payment_bounced_at = NULL, open_invoice_reference = NULL,"
            " subscription_state = NULL, previous_subscription_state = NULL"
        )
    randomness = random.Random(seed)
    shuffled = randomness.sample(events, len(events)) + randomness.choices(events, k=30)
    while shuffled:
        batch, shuffled = shuffled[:7], shuffled[7:]
        scenario.deliver_webhooks(*batch)
        scenario.run_event_job()
    scenario.run_until_idle()
    assert scenario.snapshot(pledge) == expected
    with scenario.container.database.read_only() as session:
        statuses = session.connection().exec_driver_sql("SELECT DISTINCT status FROM gateway_events").scalars()
        assert set(statuses) == {EventStatus.APPLIED, EventStatus.IGNORED}


class EveryCustomerKnown(NothingKnown):
    """Knows every customer, as the database does once the checkout is applied."""

    def find_owner(
        self, references: Collection[str], *, pledge_id: uuid.UUID | None, customer: str | None
    ) -> KnownOwner:
        return KnownOwner(pledge_id=pledge_id, is_customer=True)


def test_changed_addresses_converge_in_any_order(scenario: StripeScenario) -> None:
    database, stripe = scenario.container.database, scenario.stripe
    checkout = scenario.create_checkout(Frequency.MONTHLY)
    stripe.pay(scenario.session_of(checkout), email="ada@news.example")
    customer = stripe.get(scenario.session_of(checkout))["customer"]
    # The first two changes are made in the second of the payment.
    for seconds, name in ((0, "one"), (0, "two"), (1, "Ada"), (1, "ada")):
        scenario.container.clock.advance(seconds=seconds)
        stripe.change_email(customer, f"{name}@news.example")
    known = EveryCustomerKnown()
    stream = [
        parsed
        for event in sent_events(scenario)
        if (parsed := scenario.container.event_source.parse_event(payload_of(event).decode(), known))
    ]
    assert [type(item) for parsed in stream for item in parsed].count(CustomerUpdated) == 4

    @hypothesis_settings(max_examples=5 * EXAMPLES, **HYPOTHESIS_OPTIONS)
    @given(st.permutations(range(len(stream))), st.lists(st.integers(0, len(stream) - 1), max_size=12))
    def check_order(order: list[int], again: list[int]) -> None:
        with database.engine.connect() as connection, connection.begin() as transaction:
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                apply_all(session, scenario, [stream[number] for number in [*order, *again]])
                session.flush()
                addresses = session.scalars(select(Supporter.email)).all()
            transaction.rollback()
        assert addresses == ["ada@news.example"]

    check_order()
