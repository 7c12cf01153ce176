"""One recurring pledge at the Stripe double: what its supporter does, gets and sees."""

import datetime
from email import message_from_string
from email.policy import default as default_policy
from zoneinfo import ZoneInfo

from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, Frequency, PaymentStatus
from service.container import Container
from service.db.models.email import DevOutboxEmail, OutgoingEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.payments.reconciliation import ReconciliationReport, reconcile
from service.domain.pledges.links import pledge_token
from service.domain.pledges.pauses import end_pause, pause_payments
from tests.events.stripe_fixture import StripeScenario
from tests.pages.html import visible_text

EMAIL = "ada@news.example"


def start_subscription(scenario: StripeScenario, frequency: Frequency = Frequency.MONTHLY) -> str:
    """Pay a recurring pledge, with webhooks connected; return Stripe's id of the subscription."""
    checkout = scenario.create_checkout(frequency)
    scenario.stripe.deliver = scenario.deliver_webhooks
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    scenario.run_until_idle()
    return scenario.snapshot(checkout.id)["pledge"]["subscription_reference"]


def settle(scenario: StripeScenario) -> None:
    """Process all events, also those that the double delivers after its response."""
    scenario.stripe.deliver_events()
    scenario.run_until_idle()


def reconcile_later(scenario: StripeScenario) -> ReconciliationReport:
    """Run the reconciliation five minutes later, as a restarted worker does."""
    container = scenario.container
    container.clock.now += datetime.timedelta(minutes=5)
    return reconcile(
        container.database.transaction,
        container.gateway,
        container.event_source,
        urls=container.urls,
        clock=container.clock,
    )


def only_pledge(container: Container) -> Pledge:
    with container.database.read_only() as session:
        return session.scalars(select(Pledge)).one()


def pledge_html(container: Container, client: FlaskClient) -> str:
    """Return the pledge's page."""
    token = pledge_token(container.database.keyring, only_pledge(container), now=container.clock())
    return client.get(f"/p/{token}?lang=en").text


def pledge_page(container: Container, client: FlaskClient) -> str:
    """Return the text of the pledge's page."""
    return visible_text(pledge_html(container, client))


def pause(container: Container, payments: int = 1, *, first: datetime.datetime | None = None) -> Pledge:
    pledge = only_pledge(container)
    return pause_payments(
        container.database.transaction,
        container.gateway,
        pledge.id,
        payments,
        first_skipped_at=first or pledge.renews_at,
        clock=container.clock,
    )


def resume(container: Container) -> Pledge:
    return end_pause(
        container.database.transaction, container.gateway, only_pledge(container).id, clock=container.clock
    )


def paid_on(container: Container) -> list[datetime.date]:
    query = select(Payment.paid_at).where(Payment.status != PaymentStatus.FAILED).order_by(Payment.paid_at)
    with container.database.read_only() as session:
        return [at.astimezone(ZoneInfo("UTC")).date() for at in session.scalars(query)]


def notifications(container: Container, kind: EmailKind) -> list[OutgoingEmail]:
    """Return the notifications of a kind, oldest first."""
    with container.database.read_only() as session:
        return list(
            session.scalars(select(OutgoingEmail).where(OutgoingEmail.kind == kind).order_by(OutgoingEmail.id))
        )


def emails(container: Container) -> list[str]:
    """Return subject and text of the sent emails, oldest first, with ordinary spaces."""
    with container.database.read_only() as session:
        messages = session.scalars(select(DevOutboxEmail.message).order_by(DevOutboxEmail.id)).all()
    parsed = [message_from_string(email, policy=default_policy) for email in messages]
    assert {email["To"].addresses[0].addr_spec for email in parsed} <= {EMAIL}
    texts = [f"{email['Subject']}\n{email.get_body(('plain',)).get_content()}" for email in parsed]
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts]
