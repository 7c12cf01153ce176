"""Bank debits take days: the pledge is `processing` meanwhile, and a debit that bounces is told to the reader."""

import itertools

import pytest
from flask.testing import FlaskClient

from schemas.enums import EmailKind, Frequency, PledgeStatus, ReminderStatus
from service.container import Container
from service.db.models.pledge import Pledge
from service.domain.errors import InvalidTransition
from service.domain.payments.reconciliation import reconcile
from service.domain.pledges.checkout import PledgeCheckout
from service.domain.pledges.pledges import expire_abandoned_pledges
from service.domain.pledges.subscriptions import cancel_pledge
from tests.db.factories import create_reminder
from tests.events.stripe_fixture import StripeScenario
from tests.events.subscriptions import emails, notifications
from tests.jobs.fake_mailer import FakeMailer, find, run_send_reminders
from tests.jobs.notifications import run as send
from tests.pages.accounts import page, pledge_link
from tests.pages.html import visible_text
from tests.stripe_double.customer_actions import CUSTOMER_EMAIL

RECURRING = (Frequency.MONTHLY, Frequency.ANNUAL)


def start_debit(scenario: StripeScenario, frequency: Frequency) -> PledgeCheckout:
    """Complete a checkout with a bank debit; its events are not delivered yet."""
    checkout = scenario.create_checkout(frequency)
    scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout))
    return checkout


def deliver(scenario: StripeScenario, *kinds: str) -> None:
    """Deliver the latest event of each kind, one after the other."""
    for kind in kinds:
        scenario.deliver_webhooks(
            next(found for found in reversed(scenario.stripe.events) if found["type"] == kind)
        )
        scenario.run_event_job()


def status_of(scenario: StripeScenario, checkout: PledgeCheckout) -> PledgeStatus:
    status: PledgeStatus = scenario.snapshot(checkout.id)["pledge"]["status"]
    return status


@pytest.mark.parametrize("frequency", list(Frequency))
def test_completed_unpaid_checkout_is_processing_and_spared_by_expiry(
    scenario: StripeScenario, container: Container, client: FlaskClient, frequency: Frequency
) -> None:
    checkout = start_debit(scenario, frequency)
    deliver(scenario, "checkout.session.completed")
    assert client.get(f"/v1/pledges/{checkout.id}").json["status"] == "processing"
    container.clock.advance(hours=25)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock()) == 0
    assert status_of(scenario, checkout) == PledgeStatus.PROCESSING
    scenario.stripe.settle_bank_debit(scenario.session_of(checkout))
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    paid = PledgeStatus.COMPLETED if frequency == Frequency.ONCE else PledgeStatus.ACTIVE
    assert status_of(scenario, checkout) == paid


@pytest.mark.parametrize("frequency", list(Frequency))
def test_reconciliation_finds_a_debit_after_our_own_time_limit(
    scenario: StripeScenario, container: Container, frequency: Frequency
) -> None:
    checkout = start_debit(scenario, frequency)
    container.clock.advance(hours=25)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock()) == 1
    reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )
    assert status_of(scenario, checkout) == PledgeStatus.PROCESSING


@pytest.mark.parametrize(
    "order",
    list(
        itertools.permutations(
            (
                "checkout.session.completed",
                "checkout.session.async_payment_failed",
                "payment_intent.payment_failed",
            )
        )
    ),
)
def test_bounced_one_time_debit_is_told_once_in_any_order(
    scenario: StripeScenario, container: Container, order: tuple[str, ...]
) -> None:
    checkout = start_debit(scenario, Frequency.ONCE)
    scenario.stripe.fail_bank_debit(scenario.session_of(checkout))
    deliver(scenario, *order)
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert status_of(scenario, checkout) == PledgeStatus.EXPIRED
    [failed] = notifications(container, EmailKind.PAYMENT_FAILED)
    send(container)
    [email] = emails(container)
    assert "Your bank didn’t make the payment of $5 to" in email
    assert "/support/default?" in email
    assert failed.pledge_id == checkout.id


@pytest.mark.parametrize(
    "kinds",
    [
        ("checkout.session.completed", "payment_intent.payment_failed"),
        ("checkout.session.async_payment_failed",),
    ],
)
def test_either_report_of_a_bounced_debit_is_enough(
    scenario: StripeScenario, container: Container, kinds: tuple[str, ...]
) -> None:
    checkout = start_debit(scenario, Frequency.ONCE)
    scenario.stripe.fail_bank_debit(scenario.session_of(checkout))
    deliver(scenario, *kinds)
    assert status_of(scenario, checkout) == PledgeStatus.EXPIRED
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 1


@pytest.mark.parametrize("frequency", RECURRING)
@pytest.mark.parametrize(
    "order", list(itertools.permutations(("checkout.session.completed", "invoice.payment_failed")))
)
def test_bounced_first_debit_of_a_subscription_is_told_in_any_order(
    scenario: StripeScenario, container: Container, frequency: Frequency, order: tuple[str, ...]
) -> None:
    checkout = start_debit(scenario, frequency)
    scenario.stripe.fail_bank_debit(scenario.session_of(checkout))
    deliver(scenario, *order)
    assert status_of(scenario, checkout) == PledgeStatus.PAST_DUE
    send(container)
    [failed] = emails(container)
    assert "didn’t go through" in failed
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert len(notifications(container, EmailKind.PAYMENT_FAILED)) == 1


def test_declined_card_before_a_bank_debit_is_no_bounce(scenario: StripeScenario, container: Container) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE)
    scenario.stripe.decline(scenario.session_of(checkout))
    scenario.stripe.advance(seconds=40)
    scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout))
    for kinds in (
        ("payment_intent.payment_failed", "checkout.session.completed"),
        ("checkout.session.completed", "payment_intent.payment_failed"),
    ):
        deliver(scenario, *kinds)
        assert status_of(scenario, checkout) == PledgeStatus.PROCESSING
    assert notifications(container, EmailKind.PAYMENT_FAILED) == []


@pytest.mark.parametrize("frequency", RECURRING)
def test_recurring_debit_under_way_can_be_cancelled_at_the_gateway(
    scenario: StripeScenario, container: Container, frequency: Frequency
) -> None:
    checkout = start_debit(scenario, frequency)
    deliver(scenario, "checkout.session.completed")
    pledge = cancel_pledge(container.database.transaction, container.gateway, checkout.id, clock=container.clock)
    assert pledge.status == PledgeStatus.CANCELLED
    subscription = scenario.stripe.get(scenario.session_of(checkout))["subscription"]
    assert scenario.stripe.get(subscription)["status"] == "canceled"
    send(container)
    assert "A bank transfer that’s already on its way may still arrive." in " ".join(emails(container)[0].split())
    # The transfer that was on its way arrives all the same; the pledge stays cancelled, and there is a receipt.
    scenario.stripe.settle_bank_debit(scenario.session_of(checkout))
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()
    assert status_of(scenario, checkout) == PledgeStatus.CANCELLED
    assert len(notifications(container, EmailKind.RECEIPT)) == 1


def test_one_time_debit_under_way_cannot_be_cancelled(scenario: StripeScenario, container: Container) -> None:
    checkout = start_debit(scenario, Frequency.ONCE)
    deliver(scenario, "checkout.session.completed")
    with pytest.raises(InvalidTransition, match="on its way"):
        cancel_pledge(container.database.transaction, container.gateway, checkout.id, clock=container.clock)
    with container.database.read_only() as session:
        assert session.get_one(Pledge, checkout.id).cancel_requested_at is None


def test_reader_sees_that_the_transfer_is_on_its_way(scenario: StripeScenario, client: FlaskClient) -> None:
    checkout = start_debit(scenario, Frequency.ONCE)
    deliver(scenario, "checkout.session.completed")
    sentence = "Your bank transfer is on its way; this can take up to 7 days"
    for query in ("", "&checkout=done"):
        thanks = client.get(f"/support/default/thank-you?pledge={checkout.id}{query}&lang=en")
        assert thanks.status_code == 200
        assert sentence in thanks.text
        assert "Refresh" not in thanks.headers
        # Nothing invites the reader to give twice.
        assert 'class="main-button"' not in thanks.text
    scenario.stripe.fail_bank_debit(scenario.session_of(checkout))
    deliver(scenario, "checkout.session.async_payment_failed")
    thanks = client.get(f"/support/default/thank-you?pledge={checkout.id}&lang=en")
    assert "didn’t make the payment" in thanks.text
    assert "Try again" in thanks.text


@pytest.mark.parametrize("frequency", list(Frequency))
def test_account_page_shows_the_transfer_and_cancels_a_recurring_one(
    scenario: StripeScenario, container: Container, client: FlaskClient, frequency: Frequency
) -> None:
    checkout = start_debit(scenario, frequency)
    deliver(scenario, "checkout.session.completed")
    shown = page(client, pledge_link(container, str(checkout.id)))
    assert "Your bank transfer is on its way; this can take up to 7 days" in visible_text(shown)
    assert ("can’t be stopped here" in visible_text(shown)) == (frequency == Frequency.ONCE)
    assert ("/cancel?" in shown) == (frequency != Frequency.ONCE)


def test_transfer_on_its_way_counts_as_given_for_a_reminder(
    scenario: StripeScenario, container: Container
) -> None:
    reminder = create_reminder(container, CUSTOMER_EMAIL)
    checkout = start_debit(scenario, Frequency.ONCE)
    deliver(scenario, "checkout.session.completed")
    container.clock.advance(days=31)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == []
    assert find(container, reminder).status == ReminderStatus.SKIPPED
    assert status_of(scenario, checkout) == PledgeStatus.PROCESSING
