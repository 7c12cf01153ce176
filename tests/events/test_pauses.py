"""Readers pause their support at Stripe: payments are skipped, none falls in between, and no email contradicts."""

import datetime
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.pledge import Pledge
from service.domain.errors import (
    ChangeNotPossible,
    PaymentRequestRejected,
    PaymentsRescheduled,
    PaymentsUnavailable,
)
from service.domain.notifications.renewals import enqueue_renewal_notifications
from service.domain.pledges.pauses import RESUME_LEAD, possible_pauses
from service.domain.pledges.renewals import next_payment_at
from tests.api.client import auth_headers, get_json
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import (
    emails,
    notifications,
    only_pledge,
    paid_on,
    pause,
    pledge_page,
    reconcile_later,
    resume,
    settle,
    start_subscription,
)
from tests.jobs.notifications import run as send
from tests.stripe_double import FakeStripe


@pytest.fixture
def subscription(scenario: StripeScenario) -> str:
    """Return the paid monthly subscription of a pledge, a day after its first payment."""
    subscription = start_subscription(scenario, Frequency.MONTHLY)
    scenario.stripe.advance(days=1)
    return subscription


@pytest.mark.parametrize("payments", range(1, 7))
def test_pause_skips_exactly_the_payments_that_were_announced(
    scenario: StripeScenario, container: Container, subscription: str, payments: int
) -> None:
    first = only_pledge(container).renews_at
    with container.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        announced = {p.payments: p.next_payment_at for p in possible_pauses(pledge, now=container.clock())}
    pause(container, payments)
    for _ in range(payments + 2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    dates = paid_on(container)
    assert dates[1] == announced[payments].date()
    assert len(dates) == 3
    assert first.date() not in dates
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    kinds = {email.kind for email in all_emails(container)}
    assert EmailKind.PAYMENT_FAILED not in kinds


def all_emails(container: Container) -> list[OutgoingEmail]:
    with container.database.read_only() as session:
        return list(session.scalars(select(OutgoingEmail).order_by(OutgoingEmail.id)))


def test_payments_of_the_31st_stay_on_the_31st_after_a_pause(
    scenario: StripeScenario, container: Container
) -> None:
    container.clock.now = datetime.datetime(2027, 1, 31, 10, 30, tzinfo=datetime.UTC)
    subscription = start_subscription(scenario, Frequency.MONTHLY)
    scenario.stripe.renew(subscription)
    settle(scenario)
    with container.database.read_only() as session:
        pledge = session.scalars(select(Pledge)).one()
        days = [str(p.next_payment_at.date()) for p in possible_pauses(pledge, now=container.clock())]
    assert days[:2] == ["2027-04-30", "2027-05-31"]
    pause(container, 2)
    for _ in range(3):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert [str(day) for day in paid_on(container)] == ["2027-01-31", "2027-02-28", "2027-05-31"]


def test_pages_emails_and_staff_agree_on_the_pause(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    resumes_at = pause(container, 2).resumes_at
    settle(scenario)
    pledge = only_pledge(container)
    assert (pledge.is_paused, pledge.resumes_at) == (True, resumes_at)
    with container.database.read_only() as session:
        next_at = next_payment_at(session.scalars(select(Pledge)).one(), now=container.clock())
    assert next_at - RESUME_LEAD == resumes_at
    page = pledge_page(container, client)
    assert "Paused until February 23, 2027" in page
    assert "Next payment: $5 on February 23, 2027" in page
    headers = auth_headers(container, "read")
    [item] = get_json(client, headers, "/v1/admin/pledges")["items"]
    assert (item["paused"], item["resumes_at"]) == (True, "2027-02-18T09:30:00Z")
    [email] = notifications(container, EmailKind.PAUSED)
    assert str(email.event_date) == "2027-02-23"


def test_confirmation_and_the_notice_before_the_next_payment_are_sent(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    pause(container)
    settle(scenario)
    send(container)
    [confirmed] = notifications(container, EmailKind.PAUSED)
    [notice] = notifications(container, EmailKind.RESUMING)
    assert (confirmed.status, notice.status) == (EmailStatus.SENT, EmailStatus.SCHEDULED)
    assert str(notice.due_at.date()) == "2027-01-08"
    scenario.stripe.renew(subscription)
    settle(scenario)
    container.clock.now = notice.due_at
    send(container)
    [notice] = notifications(container, EmailKind.RESUMING)
    assert notice.status == EmailStatus.SENT


def test_notice_is_dropped_if_the_pause_was_ended(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    pause(container)
    resume(container)
    scenario.stripe.renew(subscription)
    settle(scenario)
    [notice] = notifications(container, EmailKind.RESUMING)
    # The payment of 23 January is still to come, but on that day support did not start again.
    pause(container)
    settle(scenario)
    container.clock.now = max(container.clock(), notice.due_at)
    send(container)
    [first, second] = notifications(container, EmailKind.RESUMING)
    assert (first.status, first.reason) == (EmailStatus.SKIPPED, "pause_changed")
    assert second.status == EmailStatus.SCHEDULED


def test_double_click_pauses_once(
    scenario: StripeScenario, stripe: FakeStripe, container: Container, subscription: str
) -> None:
    pause(container)
    pause(container)
    updates = [
        event
        for event in stripe.events
        if event["type"] == "customer.subscription.updated" and event["data"]["object"]["pause_collection"]
    ]
    assert len(updates) == 1
    assert len(notifications(container, EmailKind.PAUSED)) == 1


def test_pause_can_be_ended_and_set_again_to_the_same_day(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    pause(container)
    container.clock.advance(seconds=2)
    resume(container)
    assert scenario.stripe.get(subscription)["pause_collection"] is None
    container.clock.advance(seconds=2)
    pause(container)
    # Stripe replays the answer to a known key and does nothing, so each request has its own.
    assert scenario.stripe.get(subscription)["pause_collection"] is not None
    settle(scenario)
    assert only_pledge(container).is_paused


def test_longer_pause_replaces_a_shorter_one(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    pause(container, 1)
    container.clock.advance(seconds=2)
    longer = pause(container, 4).resumes_at
    assert scenario.stripe.get(subscription)["pause_collection"]["resumes_at"] == int(longer.timestamp())


def test_payment_on_another_day_than_shown_is_not_skipped(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    shown = only_pledge(container).renews_at
    scenario.stripe.renew(subscription)
    settle(scenario)
    with pytest.raises(PaymentsRescheduled):
        pause(container, first=shown)
    assert scenario.stripe.get(subscription)["pause_collection"] is None


def test_payment_that_is_due_now_cannot_be_skipped(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    container.clock.now = only_pledge(container).renews_at - datetime.timedelta(hours=1)
    with pytest.raises(ChangeNotPossible):
        pause(container)
    container.clock.now = only_pledge(container).renews_at + datetime.timedelta(hours=1)
    with pytest.raises(ChangeNotPossible):
        pause(container)


def test_pledge_with_an_open_invoice_is_not_paused(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.fail_renewal(subscription)
    settle(scenario)
    with pytest.raises(ChangeNotPossible):
        pause(container)
    assert "Pause or skip a payment" not in pledge_page(container, client)


def test_pledge_that_is_set_to_end_is_not_paused(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.set_cancel_at_period_end(subscription)
    settle(scenario)
    with pytest.raises(ChangeNotPossible):
        pause(container)
    assert "Pause or skip a payment" not in pledge_page(container, client)


def test_reader_can_end_a_pause_that_staff_set_without_an_end(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.pause_collection(subscription)
    settle(scenario)
    with pytest.raises(ChangeNotPossible):
        pause(container)
    page = pledge_page(container, client)
    assert "Paused. You won’t be charged for now." in page
    assert "End the pause" in page
    scenario.stripe.advance(hours=1)
    resume(container)
    settle(scenario)
    assert scenario.stripe.get(subscription)["pause_collection"] is None
    assert "Next payment: $5 on December 23, 2026" in pledge_page(container, client)


def test_subscription_that_staff_paused_as_a_whole_is_not_resumed_by_us(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.pause_collection(subscription)
    settle(scenario)
    scenario.stripe.get(subscription)["status"] = "paused"
    with pytest.raises(PaymentRequestRejected):
        resume(container)
    pledge = only_pledge(container)
    assert (pledge.is_paused, pledge.pause_requested_at) == (True, None)


def test_pause_of_a_pledge_that_ended_meanwhile_is_refused(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    scenario.stripe.cancel_now(subscription)
    with pytest.raises(PaymentRequestRejected):
        pause(container)
    assert only_pledge(container).pause_requested_at is None


def test_pause_is_completed_when_stripe_answers_again(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=10)
    with pytest.raises(PaymentsUnavailable):
        pause(container)
    page = pledge_page(container, client)
    assert "Paused until January 23, 2027" in page
    assert "We’ve saved your request and will finish it shortly." in page
    assert notifications(container, EmailKind.PAUSED) == []
    scenario.stripe.faults.clear()
    assert reconcile_later(scenario).completed["pauses"] == 1
    assert scenario.stripe.get(subscription)["pause_collection"]["behavior"] == "void"
    assert len(notifications(container, EmailKind.PAUSED)) == 1


def request_while_stripe_is_down(scenario: StripeScenario, container: Container, payments: int) -> None:
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=100)
    with pytest.raises(PaymentsUnavailable):
        pause(container, payments)


@pytest.mark.parametrize("is_reported", [True, False])
def test_payment_that_was_taken_before_stripe_had_the_pause_is_admitted(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, *, is_reported: bool
) -> None:
    request_while_stripe_is_down(scenario, container, 1)
    if not is_reported:
        scenario.stripe.deliver = None
    scenario.stripe.renew(subscription)
    scenario.run_until_idle()
    admitted = "in time, so your payment due on December 23, 2026 wasn’t skipped."
    page = pledge_page(container, client)
    assert admitted in page
    assert "Paused until" not in page
    scenario.stripe.faults.clear()
    assert reconcile_later(scenario).completed["pauses"] == 1
    # The payment that was to be skipped is past, and no other is skipped for it.
    assert scenario.stripe.get(subscription)["pause_collection"] is None
    assert not only_pledge(container).is_paused
    send(container)
    assert notifications(container, EmailKind.PAUSED) == []
    [missed] = notifications(container, EmailKind.PAUSE_MISSED)
    assert (missed.status, str(missed.event_date)) == (EmailStatus.SENT, "2026-12-23")
    email = next(email for email in reversed(emails(container)) if "pause your support" in email)
    assert "Your payment of $5 due on December 23, 2026 wasn’t skipped." in email


def test_late_pause_skips_what_it_still_can(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    request_while_stripe_is_down(scenario, container, 2)
    scenario.stripe.renew(subscription)
    scenario.run_until_idle()
    scenario.stripe.faults.clear()
    assert reconcile_later(scenario).completed["pauses"] == 1
    [missed], [paused] = (notifications(container, kind) for kind in (EmailKind.PAUSE_MISSED, EmailKind.PAUSED))
    assert (str(missed.event_date), str(paused.event_date)) == ("2026-12-23", "2027-02-23")
    assert "Paused until February 23, 2027" in pledge_page(container, client)
    for _ in range(2):
        scenario.stripe.renew(subscription)
        settle(scenario)
    assert [str(day) for day in paid_on(container)] == ["2026-11-23", "2026-12-23", "2027-02-23"]


def test_end_of_a_pause_is_confirmed(scenario: StripeScenario, container: Container, subscription: str) -> None:
    pause(container)
    container.clock.advance(seconds=2)
    resume(container)
    resume(container)
    settle(scenario)
    send(container)
    [confirmed] = notifications(container, EmailKind.RESUMED)
    assert confirmed.status == EmailStatus.SENT
    assert "Your next payment is $5, on December 23, 2026." in emails(container)[-1]


def test_end_of_a_pause_is_not_confirmed_once_support_is_paused_again(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    pause(container)
    container.clock.advance(seconds=2)
    resume(container)
    container.clock.advance(seconds=2)
    pause(container)
    send(container)
    [dropped] = notifications(container, EmailKind.RESUMED)
    assert (dropped.status, dropped.reason) == (EmailStatus.SKIPPED, "pause_changed")


def test_annual_payment_is_skipped_for_a_year_and_not_announced(
    scenario: StripeScenario, container: Container
) -> None:
    subscription = start_subscription(scenario, Frequency.ANNUAL)
    scenario.stripe.advance(days=1)
    with pytest.raises(ChangeNotPossible):
        pause(container, 2)
    pause(container, 1)
    settle(scenario)
    scenario.stripe.renew(subscription)
    settle(scenario)
    assert notifications(container, EmailKind.RENEWAL) == []
    assert notifications(container, EmailKind.RESUMING) == []
    assert str(only_pledge(container).renews_at.date()) == "2028-11-23"
    container.clock.now = only_pledge(container).renews_at - datetime.timedelta(days=12)
    with container.database.transaction() as session:
        assert enqueue_renewal_notifications(session, now=container.clock()) == 1
    scenario.stripe.renew(subscription)
    settle(scenario)
    assert [str(day) for day in paid_on(container)] == ["2026-11-23", "2028-11-23"]


def test_requested_pause_withholds_the_announcement_of_a_renewal(
    scenario: StripeScenario, container: Container
) -> None:
    start_subscription(scenario, Frequency.ANNUAL)
    container.clock.now = only_pledge(container).renews_at - datetime.timedelta(days=10)
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=10)
    with pytest.raises(PaymentsUnavailable):
        pause(container)
    with container.database.transaction() as session:
        assert enqueue_renewal_notifications(session, now=container.clock()) == 0


def test_unknown_number_of_payments_is_refused(container: Container, subscription: str) -> None:
    for payments in (0, 7):
        with pytest.raises(ChangeNotPossible):
            pause(container, payments)
    assert isinstance(only_pledge(container).id, uuid.UUID)
