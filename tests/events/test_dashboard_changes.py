"""Ends, pauses and amounts that staff set in Stripe's dashboard: shown, and no notice contradicts them."""

import datetime

import pytest
from flask.testing import FlaskClient

from schemas.enums import EmailKind, EmailStatus, Frequency, PledgeStatus
from service.container import Container
from service.domain.notifications.renewals import enqueue_renewal_notifications
from service.domain.payments.reconciliation import reconcile
from tests.api.client import auth_headers, get_json
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import notifications, only_pledge, pledge_page, start_subscription
from tests.jobs.notifications import run as send
from tests.stripe_double.account import StripeJson


@pytest.fixture
def subscription(scenario: StripeScenario) -> str:
    """Return the paid annual subscription of a pledge, a day after its first payment."""
    subscription = start_subscription(scenario, Frequency.ANNUAL)
    scenario.stripe.advance(days=1)
    return subscription


def subscription_updates(scenario: StripeScenario) -> list[StripeJson]:
    """Return the events of the changes, oldest first."""
    return [event for event in scenario.stripe.events if event["type"] == "customer.subscription.updated"]


def end(scenario: StripeScenario, subscription: str) -> None:
    scenario.stripe.set_cancel_at_period_end(subscription)


def pause(scenario: StripeScenario, subscription: str) -> None:
    scenario.stripe.pause_collection(subscription)


def undo(scenario: StripeScenario, subscription: str) -> None:
    scenario.stripe.advance(hours=1)
    scenario.stripe.set_cancel_at_period_end(subscription, canceled=False)
    scenario.stripe.resume_collection(subscription)
    scenario.run_until_idle()


def travel_to_notice(container: Container) -> None:
    """Move the clock to ten days before the renewal."""
    renews_at = only_pledge(container).renews_at
    assert renews_at is not None
    container.clock.now = renews_at - datetime.timedelta(days=10)


def enqueue(container: Container) -> int:
    with container.database.transaction() as session:
        return enqueue_renewal_notifications(session, now=container.clock())


@pytest.mark.parametrize(
    ("change", "words"), [(end, "Ends on November 23, 2027"), (pause, "Paused.")], ids=["end", "pause"]
)
def test_end_or_pause_is_shown_and_undoing_it_restores(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str, change, words: str
) -> None:
    assert "Next payment" in pledge_page(container, client)
    change(scenario, subscription)
    scenario.run_until_idle()
    page = pledge_page(container, client)
    assert words in page
    assert "Next payment" not in page
    assert only_pledge(container).status == PledgeStatus.ACTIVE
    undo(scenario, subscription)
    page = pledge_page(container, client)
    assert words not in page
    assert "Next payment" in page


def test_pause_with_an_end_says_until_when(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    resumes_at = datetime.datetime(2027, 3, 1, 12, tzinfo=datetime.UTC)
    scenario.stripe.pause_collection(subscription, resumes_at=int(resumes_at.timestamp()))
    scenario.run_until_idle()
    page = pledge_page(container, client)
    assert "Paused until March 1, 2027" in page
    # It goes on before the next payment, which is announced as always.
    assert "Next payment" in page
    travel_to_notice(container)
    assert enqueue(container) == 1


@pytest.mark.parametrize("change", [end, pause])
def test_no_renewal_notice_of_a_payment_that_will_not_be_taken(
    scenario: StripeScenario, container: Container, subscription: str, change
) -> None:
    change(scenario, subscription)
    scenario.run_until_idle()
    scenario.stripe.emit_upcoming(subscription)
    scenario.run_until_idle()
    assert enqueue(container) == 0
    assert notifications(container, EmailKind.RENEWAL) == []


@pytest.mark.parametrize("change", [end, pause])
def test_enqueued_renewal_notice_is_dropped_and_comes_back_when_undone(
    scenario: StripeScenario, container: Container, subscription: str, change
) -> None:
    travel_to_notice(container)
    assert enqueue(container) == 1
    change(scenario, subscription)
    scenario.run_until_idle()
    send(container)
    [notice] = notifications(container, EmailKind.RENEWAL)
    assert notice.status == EmailStatus.SKIPPED
    assert enqueue(container) == 0
    undo(scenario, subscription)
    assert enqueue(container) == 1
    send(container)
    statuses = [notice.status for notice in notifications(container, EmailKind.RENEWAL)]
    assert statuses == [EmailStatus.SKIPPED, EmailStatus.SENT]
    assert enqueue(container) == 0


@pytest.mark.parametrize("change", [end, pause])
def test_no_failed_payment_notice_while_ending_or_paused(
    scenario: StripeScenario, container: Container, subscription: str, change
) -> None:
    scenario.stripe.fail_renewal(subscription)
    change(scenario, subscription)
    scenario.run_until_idle()
    send(container)
    [notice] = notifications(container, EmailKind.PAYMENT_FAILED)
    assert notice.status == EmailStatus.SKIPPED


def test_older_report_never_overwrites_a_newer_one(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    end(scenario, subscription)
    scenario.stripe.advance(seconds=5)
    scenario.stripe.set_cancel_at_period_end(subscription, canceled=False)
    first, second = [
        event for event in scenario.stripe.events if event["type"] == "customer.subscription.updated"
    ][-2:]
    for event in (second, first):
        scenario.deliver_webhooks(event)
        scenario.run_event_job()
    assert only_pledge(container).cancel_at is None


def test_reconciliation_finds_the_end_without_a_webhook(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    scenario.stripe.set_cancel_at(subscription, int(container.clock().timestamp()) + 86400)
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    assert only_pledge(container).cancel_at == container.clock().replace(microsecond=0) + datetime.timedelta(
        days=1
    )


@pytest.mark.parametrize("amounts", [(900, 300), (300, 900), (900, 500, 900)])
def test_last_of_two_changes_of_one_second_wins(
    scenario: StripeScenario, container: Container, subscription: str, amounts: tuple[int, ...]
) -> None:
    scenario.stripe.deliver = None
    for amount in amounts:
        scenario.stripe.change_price(subscription, amount)
    for event in reversed(subscription_updates(scenario)[-len(amounts) :]):
        scenario.deliver_webhooks(event)
        scenario.run_event_job()
    assert only_pledge(container).amount_minor == amounts[-1]


def test_change_waits_if_stripe_must_be_asked_and_is_down(
    scenario: StripeScenario, container: Container, subscription: str
) -> None:
    scenario.stripe.deliver = None
    scenario.stripe.change_price(subscription, 900)
    scenario.stripe.change_price(subscription, 500)
    events = subscription_updates(scenario)[-2:]
    scenario.stripe.close()
    scenario.deliver_webhooks(*reversed(events))
    assert scenario.run_event_job()["put_off"] == 1
    scenario.stripe.open()
    container.clock.advance(minutes=2)
    scenario.run_until_idle()
    assert only_pledge(container).amount_minor == 500


def test_staff_see_the_end_and_the_pause(
    scenario: StripeScenario, container: Container, client: FlaskClient, subscription: str
) -> None:
    scenario.stripe.set_cancel_at_period_end(subscription)
    scenario.stripe.pause_collection(subscription)
    scenario.run_until_idle()
    path = f"/v1/admin/pledges/{only_pledge(container).id}/payments"
    schedule = get_json(client, auth_headers(container, "read"), path)["schedule"]
    assert schedule["cancel_at"] == "2027-11-23T09:30:00Z"
    assert (schedule["paused"], schedule["resumes_at"]) == (True, None)
