"""A reader who gives by Stripe deletes their data: it ends there first, and a crash or an outage loses nothing."""

import threading
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.privacy import erase_supporters
from schemas.enums import ErasureStatus, Frequency, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.erasure import Erasure, ErasureRequest
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.erasure_requests import erasure_token, request_own_erasure
from service.domain.payments.recovery import complete_pending_operations
from service.domain.payments.refunds import LEASE
from service.domain.privacy.erasure import CLAIM_TIMEOUT, erase, erase_by_link
from tests.api.client import auth_headers, count, new_idempotency_key
from tests.clock import FakeClock
from tests.events.crash_injection import crash_at
from tests.events.stripe_fixture import StripeScenario
from tests.events.test_erasure import EMAIL, assert_nothing_personal_is_stored, give, pledge_of, subscription_of
from tests.events.test_simultaneous_changes import run_together
from tests.pages.html import BROWSER, visible_text
from tests.stripe_double import FakeStripe


def link(container: Container, pledge_id: uuid.UUID) -> str:
    """Ask to erase a pledge's supporter; return the token of the link."""
    now = container.clock()
    with container.database.transaction() as session:
        supporter_id = session.get_one(Pledge, pledge_id).supporter_id
        request_own_erasure(session, supporter_id, lang="en", now=now)
        asked = session.scalars(select(ErasureRequest)).one()
        return erasure_token(container.database.keyring, asked.id, asked.requested_at)


def confirm(client: FlaskClient, token: str) -> str:
    """Press the button; return what the page that follows says."""
    response = client.post(f"/me/erase/{token}", headers=BROWSER)
    assert response.status_code == 303, response.text
    return visible_text(client.get(response.headers["Location"], headers=BROWSER).text)


def test_support_ends_at_stripe_first_and_the_customer_is_deleted(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    pledges = [give(scenario), give(scenario, Frequency.ANNUAL), give(scenario, Frequency.ONCE)]
    customers = {pledge_of(container, pledge).customer_reference for pledge in pledges} - {None}
    other = give(scenario, email="other@news.example")
    before = len(scenario.stripe.events)
    token = link(container, pledges[0])
    shown = visible_text(client.get(f"/me/erase/{token}", headers=BROWSER).text)
    assert "$5 a month" in shown
    assert "$5 a year" in shown
    assert "Our payment provider keeps its own records" in shown
    done = confirm(client, token)
    assert "Your data is deleted" in done
    assert "Our payment provider keeps its own records" in done
    for pledge in pledges[:2]:
        assert subscription_of(scenario, pledge)["status"] == "canceled"
    assert customers <= scenario.stripe.account.deleted_customers
    assert subscription_of(scenario, other)["status"] == "active"
    clock.advance(seconds=1)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    assert_nothing_personal_is_stored(container)
    assert count(container, Supporter) == 1


def test_link_in_hand_shows_the_erasure_that_staff_asked_for(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    token = link(container, give(scenario))
    stripe.faults.respond(503, "DELETE /v1/subscriptions/{id}", times=1000)
    erase(container.database.transaction, container.gateway, EMAIL, requested_by="desk", clock=clock)
    page = client.get(f"/me/erase/{token}", headers=BROWSER)
    assert page.status_code == 200
    assert "We’re deleting your data" in visible_text(page.text)
    assert "We’re deleting your data" in confirm(client, token)
    assert count(container, Erasure) == 1
    stripe.faults.clear()
    clock.advance(seconds=CLAIM_TIMEOUT.total_seconds() + 1)
    erase_supporters(container, threading.Event())
    assert "Your data is deleted" in visible_text(client.get(f"/me/erase/{token}", headers=BROWSER).text)


def test_while_stripe_is_down_the_page_says_so_and_the_job_goes_on(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario)
    token = link(container, pledge)
    stripe.faults.respond(503, "DELETE /v1/subscriptions/{id}", times=1000)
    said = confirm(client, token)
    assert "We’re deleting your data" in said
    assert "keep trying by ourselves" in said
    # Nothing is half done: the supporter is still here, signed out, and is found by the job.
    assert (count(container, Supporter), count(container, SignIn)) == (1, 0)
    assert pledge_of(container, pledge).status == PledgeStatus.ACTIVE
    # The second press of the button changes nothing.
    assert "We’re deleting your data" in confirm(client, token)
    assert count(container, Erasure) == 1
    stripe.faults.clear()
    clock.advance(seconds=CLAIM_TIMEOUT.total_seconds() + 1)
    erase_supporters(container, threading.Event())
    assert subscription_of(scenario, pledge)["status"] == "canceled"
    assert count(container, Supporter) == 0
    assert "Your data is deleted" in visible_text(client.get(f"/me/erase/{token}", headers=BROWSER).text)
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.actor, entry.details) == ("reader", {"pledges": 1, "reminders": 0, "recurring_ended": 1})


def test_bank_debit_under_way_is_booked_without_its_supporter(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    first = give(scenario, Frequency.ONCE)
    supporter_id = pledge_of(container, first).supporter_id
    checkout = scenario.create_checkout(Frequency.ONCE, supporter_id=supporter_id)
    before = len(scenario.stripe.events)
    scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout), email=EMAIL)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    assert pledge_of(container, checkout.id).status == PledgeStatus.PROCESSING
    token = link(container, first)
    shown = visible_text(client.get(f"/me/erase/{token}", headers=BROWSER).text)
    assert "A payment of yours is still on its way" in shown
    done = confirm(client, token)
    assert "until a payment that’s on its way has arrived" in done
    before = len(scenario.stripe.events)
    scenario.stripe.settle_bank_debit(scenario.session_of(checkout))
    clock.advance(seconds=1)
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()
    paid = pledge_of(container, checkout.id)
    assert (paid.status, paid.supporter_id) == (PledgeStatus.COMPLETED, None)
    assert_nothing_personal_is_stored(container)


def test_requested_refund_is_made_after_the_erasure(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario, Frequency.ONCE)
    with container.database.read_only() as session:
        payment_id = session.scalars(select(Payment.id)).one()
    headers = auth_headers(container, "manage") | {"Idempotency-Key": new_idempotency_key()}
    stripe.faults.respond(503, "POST /v1/refunds", times=1000)
    asked = client.post(f"/v1/admin/payments/{payment_id}/refund", headers=headers, json={"amount": 100})
    assert asked.status_code == 202, asked.text
    stripe.faults.clear()
    token = link(container, pledge)
    assert "A refund is on its way" in visible_text(client.get(f"/me/erase/{token}", headers=BROWSER).text)
    assert "Your data is deleted" in confirm(client, token)
    clock.advance(seconds=LEASE.total_seconds() + 1)
    complete_pending_operations(
        container.database.transaction, container.gateway, clock=clock, urls=container.urls
    )
    with container.database.read_only() as session:
        refund = session.scalars(select(Refund)).one()
    assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, 100)
    assert_nothing_personal_is_stored(container)


def test_crash_at_any_point_loses_nothing(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    points: list[str] = []
    for number in range(1, 40):
        address = f"reader{number}@news.example"
        pledge = give(scenario, email=address)
        token = link(container, pledge)
        point = crash_at(
            number,
            container,
            lambda crashing, token=token: erase_by_link(
                crashing.database.transaction, crashing.gateway, token, clock=crashing.clock
            ),
        )
        with container.database.read_only() as session:
            left = session.scalars(select(ErasureRequest)).all()
            requested = session.scalars(select(Erasure).where(Erasure.status == ErasureStatus.REQUESTED)).all()
        # Either the link still works, or the job knows of the erasure; never both.
        assert (len(left), len(requested)) in ((0, 1), (0, 0))
        clock.advance(seconds=CLAIM_TIMEOUT.total_seconds() + 1)
        erase_supporters(container, threading.Event())
        assert count(container, Supporter) == 0
        assert subscription_of(scenario, pledge)["status"] == "canceled"
        assert pledge_of(container, pledge).customer_reference in stripe.account.deleted_customers
        if point is None:
            break
        points.append(point)
    else:
        pytest.fail("the action has more than 39 points")
    assert len(points) >= 6, points


def test_button_pressed_several_times_at_once_erases_once(
    app: Flask, container: Container, scenario: StripeScenario
) -> None:
    pledge = give(scenario)
    token = link(container, pledge)

    def press() -> tuple[int, str]:
        response = app.test_client().post(f"/me/erase/{token}", headers=BROWSER)
        return response.status_code, response.headers["Location"]

    assert run_together(press, press, press, press) == [(303, f"/me/erase/{token}")] * 4
    with container.database.read_only() as session:
        assert session.scalars(select(Erasure.status)).all() == [ErasureStatus.COMPLETED]
        entries = session.scalars(select(AuditEntry)).all()
    assert len(entries) == 1
    assert count(container, Supporter) == 0
    assert subscription_of(scenario, pledge)["status"] == "canceled"
