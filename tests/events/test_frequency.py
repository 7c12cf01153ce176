"""Readers switch between monthly and annual at Stripe: nothing is charged before the day of the next payment."""

import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.errors import (
    ChangeNotPossible,
    PaymentRequestRejected,
    PaymentsRescheduled,
    PaymentsUnavailable,
)
from service.domain.money import Money
from service.domain.notifications.receipts import load_receipts
from service.domain.pledges.pauses import possible_pauses
from service.domain.pledges.subscriptions import cancel_pledge, change_amount, switch_frequency
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import (
    emails,
    notifications,
    only_pledge,
    paid_on,
    pause,
    pledge_page,
    reconcile_later,
    settle,
    start_subscription,
)
from tests.jobs.notifications import change_pledge
from tests.jobs.notifications import run as send
from tests.stripe_double.account import StripeJson


@pytest.fixture
def subscription(scenario: StripeScenario) -> str:
    """Return the paid monthly subscription of a pledge, ten days after its first payment."""
    subscription = start_subscription(scenario, Frequency.MONTHLY)
    scenario.stripe.advance(days=10)
    return subscription


def switch(
    container: Container,
    frequency: Frequency = Frequency.ANNUAL,
    amount: int = 6000,
    *,
    next_at: datetime.datetime | None = None,
) -> Pledge:
    pledge = only_pledge(container)
    return switch_frequency(
        container.database.transaction,
        container.gateway,
        pledge.id,
        frequency,
        amount,
        next_payment_at=next_at or pledge.renews_at,
        clock=container.clock,
        lang="en",
    )


def give(container: Container, amount: int) -> Pledge:
    return change_amount(
        container.database.transaction,
        container.gateway,
        only_pledge(container).id,
        amount,
        clock=container.clock,
        lang="en",
    )


def day_of(timestamp: int) -> str:
    return str(datetime.datetime.fromtimestamp(timestamp, datetime.UTC).date())


def charges(scenario: StripeScenario) -> list[tuple[str, int]]:
    paid = [charge for charge in scenario.stripe.account.all("charge") if charge["status"] == "succeeded"]
    return [(day_of(charge["created"]), charge["amount"]) for charge in paid]


def test_annual_support_begins_when_the_paid_month_ends(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    pledge = only_pledge(container)
    assert (pledge.frequency, pledge.amount_minor, pledge.status) == (Frequency.ANNUAL, 6000, PledgeStatus.ACTIVE)
    assert str(pledge.renews_at.date()) == "2026-12-23"
    assert "Next payment: $60 on December 23, 2026" in pledge_page(container, client)
    assert len(charges(scenario)) == 1
    for _ in range(2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert charges(scenario) == [("2026-11-23", 500), ("2026-12-23", 6000), ("2027-12-23", 6000)]
    assert [str(day) for day in paid_on(container)] == ["2026-11-23", "2026-12-23", "2027-12-23"]
    assert scenario.stripe.get(subscription)["status"] == "active"
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    # The invoice of nothing for the trial is no payment, and has no receipt.
    assert len(notifications(container, EmailKind.RECEIPT)) == 3


def test_receipts_of_earlier_payments_keep_their_frequency(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    scenario.stripe.renew(subscription)
    settle(scenario)
    with container.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        payments = session.scalars(select(Payment).order_by(Payment.paid_at)).all()
        receipts = load_receipts(session, [(payment, pledge) for payment in payments])
    assert [receipt.frequency for receipt in receipts] == [Frequency.MONTHLY, Frequency.ANNUAL]


def test_dates_after_a_switch_at_the_end_of_february_are_those_of_stripe(
    scenario: StripeScenario, container: Container
) -> None:
    container.clock.now = datetime.datetime(2027, 1, 31, 10, 30, tzinfo=datetime.UTC)
    subscription = start_subscription(scenario, Frequency.MONTHLY)
    scenario.stripe.advance(days=10)
    switch(container)
    settle(scenario)
    switch(container, Frequency.MONTHLY, 500)
    settle(scenario)
    with container.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        announced = [str(p.next_payment_at.date()) for p in possible_pauses(pledge, now=container.clock())]
    assert announced[:2] == ["2027-03-28", "2027-04-28"]
    pause(container)
    for _ in range(3):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert [day for day, _ in charges(scenario)] == ["2027-01-31", "2027-03-28", "2027-04-28"]


def test_monthly_support_begins_when_the_paid_year_ends(scenario: StripeScenario, container: Container) -> None:
    subscription = start_subscription(scenario, Frequency.ANNUAL)
    scenario.stripe.advance(days=100)
    switch(container, Frequency.MONTHLY, 300)
    for _ in range(2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert charges(scenario) == [("2026-11-23", 500), ("2027-11-23", 300), ("2027-12-23", 300)]
    assert only_pledge(container).frequency == Frequency.MONTHLY


def test_change_is_confirmed_by_email(scenario: StripeScenario, container: Container, subscription: str) -> None:
    switch(container)
    settle(scenario)
    send(container)
    [confirmed] = notifications(container, EmailKind.CHANGED)
    assert confirmed.status == EmailStatus.SENT
    email = emails(container)[-1]
    assert "You’re now giving $60 a year." in email
    assert "Your next payment is on December 23, 2026; nothing is charged before then." in email


def test_last_of_several_changes_is_confirmed(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    for amount in (700, 700, 800):
        give(container, amount)
    settle(scenario)
    send(container)
    first, last = notifications(container, EmailKind.CHANGED)
    assert [(first.status, first.reason), last.status] == [
        (EmailStatus.SKIPPED, "superseded"),
        EmailStatus.SENT,
    ]
    assert "You’re now giving $8 a month." in emails(container)[-1]
    # Nothing changes, so nothing is confirmed.
    give(container, 800)
    give(container, 900)
    cancel_pledge(
        container.database.transaction, container.gateway, only_pledge(container).id, clock=container.clock
    )
    send(container)
    [_, _, dropped] = notifications(container, EmailKind.CHANGED)
    assert (dropped.status, dropped.reason) == (EmailStatus.SKIPPED, "ended")


def test_refused_change_is_not_confirmed(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.faults.respond(400, "POST /v1/subscriptions/{id}", times=10)
    with pytest.raises(PaymentRequestRejected):
        switch(container)
    assert notifications(container, EmailKind.CHANGED) == []


def test_amount_of_overdue_support_is_confirmed_without_a_date(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    settle(scenario)
    give(container, 400)
    send(container)
    assert "The change counts from your next payment." in emails(container)[-1]


def test_switching_there_and_back_changes_nothing_but_the_amount(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    scenario.stripe.advance(days=2)
    switch(container, Frequency.MONTHLY, 700)
    settle(scenario)
    scenario.stripe.advance(days=2)
    # The first key is known to Stripe, so a repeated switch needs another.
    switch(container)
    settle(scenario)
    switch(container, Frequency.MONTHLY, 700)
    for _ in range(2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert charges(scenario) == [("2026-11-23", 500), ("2026-12-23", 700), ("2027-01-23", 700)]


def test_amount_can_be_changed_before_the_first_annual_payment(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    give(container, 5000)
    scenario.stripe.renew(subscription)
    settle(scenario)
    assert charges(scenario)[1:] == [("2026-12-23", 5000)]


def test_first_annual_payment_can_be_skipped(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    pause(container)
    for _ in range(2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert charges(scenario)[1:] == [("2027-12-23", 6000)]


def test_double_click_switches_once(scenario: StripeScenario, container: Container, subscription: str) -> None:
    for _ in range(2):
        switch(container)
    trials = [
        invoice
        for invoice in scenario.stripe.account.all("invoice")
        if invoice["billing_reason"].endswith("update")
    ]
    assert len(trials) == 1


def test_report_of_our_own_switch_is_no_change_in_the_dashboard(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    """The report of the switch comes late, and an older one of the same second later still."""
    scenario.stripe.deliver = None
    scenario.stripe.change_price(subscription, 800)
    switch(container)
    updates = [event for event in scenario.stripe.events if event["type"] == "customer.subscription.updated"]
    for event in reversed(updates[-2:]):
        scenario.deliver_webhooks(event)
        scenario.run_event_job()
    pledge = only_pledge(container)
    assert (pledge.frequency, pledge.amount_minor) == (Frequency.ANNUAL, 6000)


def test_frequency_that_staff_set_in_the_dashboard_is_followed(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    found = scenario.stripe.get(subscription)
    price: StripeJson = found["items"]["data"][0]["price"]
    scenario.container.gateway.update_subscription_amount(
        subscription, Money(6000, "USD"), pledge_id=only_pledge(container).id, frequency=Frequency.ANNUAL
    )
    assert found["items"]["data"][0]["price"]["id"] != price["id"]
    settle(scenario)
    assert only_pledge(container).frequency == Frequency.ANNUAL


def test_year_that_staff_turned_into_months_is_due_next_month(
    scenario: StripeScenario, container: Container, client: FlaskClient
) -> None:
    """Stripe charges at once then, and the day that was known of the year is no more."""
    subscription = start_subscription(scenario, Frequency.ANNUAL)
    scenario.stripe.advance(days=10)
    [item] = scenario.stripe.get(subscription)["items"]["data"]
    recurring: Any = {"interval": "month"}
    price: Any = {"currency": "usd", "product": item["price"]["product"], "recurring": recurring}
    changes: Any = {"items": [{"id": item["id"], "price_data": price | {"unit_amount": 500}}]}
    scenario.stripe.client().v1.subscriptions.update(subscription, changes | {"proration_behavior": "none"})
    settle(scenario)
    pledge = only_pledge(container)
    assert (pledge.frequency, str(pledge.renews_at.date())) == (Frequency.MONTHLY, "2027-01-03")
    assert "Next payment: $5 on January 3, 2027" in pledge_page(container, client)


def test_switch_is_completed_when_stripe_answers_again(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=10)
    with pytest.raises(PaymentsUnavailable):
        switch(container)
    assert "Your next payment will be $60." in pledge_page(container, client)
    with pytest.raises(ChangeNotPossible):
        pause(container)
    scenario.stripe.faults.clear()
    assert reconcile_later(scenario).completed["amounts"] == 1
    settle(scenario)
    pledge = only_pledge(container)
    assert (pledge.frequency, pledge.pending_frequency) == (Frequency.ANNUAL, None)


def test_late_switch_does_not_put_off_a_payment_that_has_failed(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=10)
    with pytest.raises(PaymentsUnavailable):
        switch(container)
    scenario.stripe.faults.clear()
    scenario.stripe.fail_renewal(subscription)
    assert reconcile_later(scenario).completed["refused"] == 1
    pledge = only_pledge(container)
    assert (pledge.frequency, pledge.pending_frequency) == (Frequency.MONTHLY, None)
    assert scenario.stripe.get(subscription)["status"] == "past_due"


@pytest.mark.parametrize("state", ["paused", "past due", "ending", "due now", "too far", "another day"])
def test_switch_is_refused(scenario: StripeScenario, container: Container, subscription: str, state: str) -> None:
    next_at = None
    if state == "paused":
        pause(container)
    elif state == "past due":
        scenario.stripe.fail_renewal(subscription)
    elif state == "ending":
        scenario.stripe.set_cancel_at_period_end(subscription)
    elif state == "due now":
        container.clock.now = only_pledge(container).renews_at - datetime.timedelta(hours=1)
    elif state == "too far":
        change_pledge(
            container, only_pledge(container).id, renews_at=container.clock() + datetime.timedelta(days=731)
        )
    else:
        next_at = only_pledge(container).renews_at - datetime.timedelta(days=1)
    settle(scenario)
    with pytest.raises(PaymentsRescheduled if next_at else ChangeNotPossible):
        switch(container, next_at=next_at)
    assert only_pledge(container).pending_frequency is None
    assert scenario.stripe.get(subscription)["trial_end"] is None


def test_pledge_that_ended_meanwhile_is_not_switched(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    scenario.stripe.cancel_now(subscription)
    with pytest.raises(PaymentRequestRejected):
        switch(container)
    assert only_pledge(container).pending_frequency is None


def test_failed_first_annual_payment_is_past_due_as_any_other(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    switch(container)
    settle(scenario)
    scenario.stripe.fail_renewal(subscription)
    settle(scenario)
    assert only_pledge(container).status == PledgeStatus.PAST_DUE
    scenario.stripe.retry_successfully(subscription)
    settle(scenario)
    assert only_pledge(container).status == PledgeStatus.ACTIVE
