"""A reader changes their address and its owner undoes it: Stripe's customer follows both, after an outage too."""

import uuid

from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.email_change import EmailChange
from service.domain.email_changes import email_change_token, request_email_change, undo_token
from service.domain.payments.recovery import complete_pending_operations
from tests.clock import FakeClock
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_erasure import EMAIL, give, pledge_of
from tests.stripe_double import FakeStripe

NEW = "new@news.example"


def confirmation(container: Container, pledge_id: uuid.UUID) -> str:
    """Ask for another address of a pledge's supporter; return the path of the link that confirms it."""
    supporter_id = pledge_of(container, pledge_id).supporter_id
    with container.database.transaction() as session:
        request_email_change(session, supporter_id, NEW, lang="en", now=container.clock())
        change = session.scalars(select(EmailChange)).one()
        return f"/me/email/{email_change_token(container.database.keyring, change.id, change.requested_at)}"


def undo_link(container: Container) -> str:
    with container.database.read_only() as session:
        change = session.scalars(select(EmailChange)).one()
    assert change.undo_until is not None
    return f"/me/email/undo/{undo_token(container.database.keyring, change.id, change.undo_until)}"


def test_customer_gets_the_new_address_and_the_old_one_back(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    pledge = give(scenario)
    customer = pledge_of(container, pledge).customer_reference
    assert client.post(confirmation(container, pledge)).status_code == 303
    assert scenario.stripe.get(customer)["email"] == NEW
    clock.advance(minutes=1)
    assert client.post(undo_link(container)).status_code == 303
    assert scenario.stripe.get(customer)["email"].casefold() == EMAIL.casefold()
    assert pledge_of(container, pledge).customer_reference == customer


def test_undo_during_an_outage_reaches_the_customer_later(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario)
    customer = pledge_of(container, pledge).customer_reference
    assert client.post(confirmation(container, pledge)).status_code == 303
    clock.advance(minutes=1)
    stripe.faults.respond(503, "POST /v1/customers/{id}", times=1000)
    assert client.post(undo_link(container)).status_code == 303
    assert scenario.stripe.get(customer)["email"] == NEW
    stripe.faults.clear()
    clock.advance(minutes=10)
    complete_pending_operations(
        container.database.transaction, container.gateway, clock=clock, urls=container.urls
    )
    assert scenario.stripe.get(customer)["email"].casefold() == EMAIL.casefold()
