"""Erasing a supporter who gives by Stripe: it ends there first, and no later event brings the address back."""

import dataclasses
import datetime
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from jobs.privacy import erase_supporters
from schemas.enums import EmailKind, ErasureStatus, EventStatus, Frequency, PledgeStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.models import Base
from service.db.models.admin import AuditEntry
from service.db.models.email import DevOutboxEmail, OutgoingEmail
from service.db.models.erasure import ErasedCustomer, Erasure
from service.db.models.payment import GatewayEvent, GatewayEventAddress, Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.event_addresses import find_addresses, redact_payload
from service.domain.payments.recovery import complete_pending_operations
from service.domain.privacy.erasure import ERASURE_RETENTION, purge_erasures
from service.domain.privacy.key_rotation import hash_events, rotate_keys
from service.domain.supporters import erase_supporter
from tests.api.client import assert_problem, auth_headers, count, post_reminder
from tests.clock import FakeClock
from tests.events.stripe_fixture import StripeScenario
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders
from tests.jobs.notifications import run as run_send_notifications
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

EMAIL = "Ada.Lovelace@news.example"
TYPED = "ada.lovelace@NEWS.example"


def give(scenario: StripeScenario, frequency: Frequency = Frequency.MONTHLY, email: str = EMAIL) -> uuid.UUID:
    """Pay a pledge by card, and apply Stripe's events."""
    events = len(scenario.stripe.events)
    checkout = scenario.create_checkout(frequency)
    scenario.stripe.pay(scenario.session_of(checkout), email=email)
    scenario.deliver_webhooks(*scenario.stripe.events[events:])
    scenario.run_until_idle()
    return checkout.id


def erase(client: FlaskClient, container: Container, email: str = TYPED, **changes: Any) -> TestResponse:
    headers = auth_headers(container, "manage")
    return client.post("/v1/admin/erasures", json={"email": email} | changes, headers=headers)


def pledge_of(container: Container, pledge_id: uuid.UUID) -> Pledge:
    with container.database.read_only() as session:
        return session.get_one(Pledge, pledge_id)


def subscription_of(scenario: StripeScenario, pledge_id: uuid.UUID) -> StripeJson:
    return scenario.stripe.get(pledge_of(scenario.container, pledge_id).subscription_reference)


def stored_text(container: Container) -> str:
    """Return everything that is stored, decrypted, as one text."""
    with container.database.read_only() as session:
        tables = Base.metadata.sorted_tables
        return "\n".join(str(tuple(row)) for table in tables for row in session.execute(select(table)))


def assert_nothing_personal_is_stored(container: Container) -> None:
    text = stored_text(container).casefold()
    assert EMAIL.casefold() not in text
    assert "lovelace" not in text


def deliver_new(scenario: StripeScenario, before: int) -> None:
    scenario.deliver_webhooks(*scenario.stripe.events[before:])
    scenario.run_until_idle()


def test_erasure_ends_the_subscription_first_and_deletes_the_customer(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    pledges = [give(scenario), give(scenario, Frequency.ANNUAL), give(scenario, Frequency.ONCE)]
    other = give(scenario, email="other@news.example")
    customers = {pledge_of(container, pledge).customer_reference for pledge in pledges} - {None}
    before = len(scenario.stripe.events)
    answer = erase(client, container)
    assert answer.status_code == 200, answer.text
    assert answer.json["status"] == "completed"
    assert (answer.json["found"], answer.json["pledges"], answer.json["recurring_ended"]) == (True, 3, 2)
    assert any("accounting" in sentence for sentence in answer.json["kept"])
    for pledge in pledges[:2]:
        assert subscription_of(scenario, pledge)["status"] == "canceled"
        assert pledge_of(container, pledge).status == PledgeStatus.CANCELLED
    assert customers
    assert customers <= scenario.stripe.account.deleted_customers
    assert subscription_of(scenario, other)["status"] == "active"
    assert pledge_of(container, other).erased_at is None
    # Stripe reports the end of each subscription and the changed customer; nothing personal comes back.
    clock.advance(seconds=1)
    deliver_new(scenario, before)
    assert_nothing_personal_is_stored(container)
    assert count(container, Supporter) == 1
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "erase_reader")).one()
    assert entry.details == {"pledges": 3, "reminders": 0, "recurring_ended": 2}


def open_checkouts(scenario: StripeScenario, pledge_id: uuid.UUID) -> list[uuid.UUID]:
    """Return two pledges that the supporter of a pledge started while signed in."""
    supporter_id = pledge_of(scenario.container, pledge_id).supporter_id
    frequencies = (Frequency.ONCE, Frequency.MONTHLY)
    return [scenario.create_checkout(frequency, supporter_id=supporter_id).id for frequency in frequencies]


def session_of(scenario: StripeScenario, pledge_id: uuid.UUID) -> StripeJson:
    return scenario.stripe.get(pledge_of(scenario.container, pledge_id).gateway_reference)


def test_erasure_expires_the_open_checkouts_of_the_supporter(
    client: FlaskClient, container: Container, scenario: StripeScenario
) -> None:
    pledge = give(scenario, Frequency.ONCE)
    other = give(scenario, Frequency.ONCE, "other@news.example")
    others = [scenario.create_checkout().id, *open_checkouts(scenario, other)]
    opened = open_checkouts(scenario, pledge)
    before = len(scenario.stripe.events)
    assert erase(client, container).json["status"] == "completed"
    for pledge_id in opened:
        assert session_of(scenario, pledge_id)["status"] == "expired"
        assert pledge_of(container, pledge_id).status == PledgeStatus.EXPIRED
    for pledge_id in others:
        assert session_of(scenario, pledge_id)["status"] == "open"
        assert pledge_of(container, pledge_id).status == PledgeStatus.PENDING
    deliver_new(scenario, before)
    assert_nothing_personal_is_stored(container)


def test_checkout_that_was_paid_before_it_could_be_expired_is_booked_without_a_supporter(
    client: FlaskClient, container: Container, scenario: StripeScenario
) -> None:
    pledge = give(scenario, Frequency.ONCE)
    [once, monthly] = open_checkouts(scenario, pledge)
    before = len(scenario.stripe.events)
    scenario.stripe.pay(session_of(scenario, once)["id"])
    scenario.stripe.pay(session_of(scenario, monthly)["id"])
    assert erase(client, container).json["status"] == "completed"
    deliver_new(scenario, before)
    assert pledge_of(container, once).status == PledgeStatus.COMPLETED
    for pledge_id in (once, monthly):
        assert pledge_of(container, pledge_id).supporter_id is None
    assert_nothing_personal_is_stored(container)
    # Nobody would be told of further payments.
    assert pledge_of(container, monthly).cancel_requested_at is not None


def test_checkouts_are_expired_once_stripe_answers_again(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    opened = open_checkouts(scenario, give(scenario, Frequency.ONCE))
    scenario.stripe.faults.respond(503, "POST /v1/checkout/sessions/{id}/expire")
    assert erase(client, container).status_code == 202
    clock.advance(minutes=10)
    erase_supporters(container, threading.Event())
    assert [session_of(scenario, pledge_id)["status"] for pledge_id in opened] == ["expired", "expired"]
    assert count(container, Supporter) == 0


def test_erasure_without_ending_is_refused_and_changes_nothing(
    client: FlaskClient, container: Container, scenario: StripeScenario
) -> None:
    pledge = give(scenario)
    answer = erase(client, container, end_recurring=False)
    assert_problem(answer, 409, "recurring_pledge_active")
    assert str(pledge) in answer.json["detail"]
    assert answer.json["pledges"] == [str(pledge)]
    assert subscription_of(scenario, pledge)["status"] == "active"
    assert (count(container, Supporter), count(container, Erasure)) == (1, 0)
    assert pledge_of(container, pledge).cancel_requested_at is None
    assert erase(client, container).status_code == 200
    give(scenario, Frequency.ONCE, "once@news.example")
    assert erase(client, container, "once@news.example", end_recurring=False).status_code == 200


def test_erasure_while_stripe_is_down_is_completed_by_the_job(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario)
    stripe.close()
    answer = erase(client, container)
    assert (answer.status_code, answer.json["status"]) == (202, "requested")
    assert erase(client, container).json["id"] == answer.json["id"]
    assert count(container, Supporter) == 1
    stripe.open()
    clock.advance(minutes=5)
    assert erase_supporters(container, threading.Event())["completed"] == 1
    assert subscription_of(scenario, pledge)["status"] == "canceled"
    assert_nothing_personal_is_stored(container)
    assert erase_supporters(container, threading.Event()) == {"completed": 0, "customers": 0, "put_off": 0}
    with container.database.read_only() as session:
        erasure = session.scalars(select(Erasure)).one()
    assert (erasure.status, erasure.recurring_ended, erasure.address) == (ErasureStatus.COMPLETED, 1, None)


def test_no_email_leaves_while_an_erasure_waits_for_stripe(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario)
    run_send_notifications(container)
    sent = count(container, DevOutboxEmail)
    before = len(scenario.stripe.events)
    # The subscription is ended, and then Stripe fails.
    stripe.faults.respond(503, "POST /v1/customers/{id}", times=50)
    assert erase(client, container).status_code == 202
    assert subscription_of(scenario, pledge)["status"] == "canceled"
    clock.advance(seconds=20)
    deliver_new(scenario, before)
    assert post_reminder(client, email=EMAIL).status_code == 201
    assert client.post("/me", data={"email": EMAIL}).status_code == 303
    mailer = FakeMailer()
    for _ in range(3):
        clock.advance(seconds=20)
        run_send_notifications(container)
        run_send_reminders(container, mailer)
    assert mailer.sent == []
    assert count(container, DevOutboxEmail) == sent


def test_no_email_that_a_worker_has_claimed_leaves_after_the_request(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    give(scenario)
    assert post_reminder(client, email=EMAIL).status_code == 201
    with container.database.transaction() as session:
        # Long before the reader asked for the reminder.
        session.execute(update(Payment).values(paid_at=clock() - datetime.timedelta(days=30)))
        clock.now = session.scalars(select(Reminder.due_at)).one()
    stripe.faults.respond(503, "POST /v1/customers/{id}", times=50)
    answers: list[int] = []
    # A worker connects once it has claimed and built a batch.
    mailer = FakeMailer(on_connect=lambda: answers.append(erase(client, container).status_code))
    run_send_reminders(container, mailer)
    assert answers == [202]
    assert mailer.sent == []
    with container.database.read_only() as session:
        emails = session.execute(select(OutgoingEmail.kind, OutgoingEmail.status, OutgoingEmail.reason)).all()
    assert {email.kind for email in emails} >= {EmailKind.RECEIPT, EmailKind.REMINDER}
    assert {email[1:] for email in emails} == {("skipped", "suppressed: erasure")}


def test_staff_learn_of_an_erasure_that_stripe_refuses(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    give(scenario)
    stripe.faults.respond(403, "POST /v1/customers/{id}", times=50)
    assert erase(client, container).status_code == 202
    for days, alerts in ((0, 0), (1, 1), (0, 1), (1, 2)):
        clock.advance(days=days, minutes=5)
        assert erase_supporters(container, threading.Event())["put_off"] == 1
        with container.database.read_only() as session:
            query = select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.ALERT)
            found = session.scalars(query).all()
        assert len(found) == alerts
        attention = client.get("/readyz").json.get("attention", {})
        assert ("erasures" in attention) == bool(alerts)
        assert "lovelace" not in f"{attention} {[alert.body for alert in found]}".casefold()


def test_customer_with_a_bank_debit_under_way_is_deleted_after_it(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    checkout = scenario.create_checkout()
    session_id = scenario.session_of(checkout)
    stripe.pay_by_bank_debit(session_id, email=EMAIL)
    scenario.deliver_webhooks(*stripe.events)
    scenario.run_until_idle()
    customer = stripe.get(session_id)["customer"]
    clock.advance(minutes=1)
    answer = erase(client, container)
    assert (answer.status_code, answer.json["status"]) == (200, "completed")
    assert any("under way" in sentence for sentence in answer.json["kept"])
    assert stripe.get(customer)["email"] is None
    before = len(stripe.events)
    stripe.settle_bank_debit(session_id)
    deliver_new(scenario, before)
    assert stripe.get(stripe.get(session_id)["subscription"])["status"] == "canceled"
    assert pledge_of(container, checkout.id).status == PledgeStatus.CANCELLED
    # The debit took days, so the daily attempt is due.
    assert erase_supporters(container, threading.Event())["customers"] == 1
    assert customer in stripe.account.deleted_customers
    assert_nothing_personal_is_stored(container)
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Payment)) == 1
        assert session.scalar(select(func.count()).select_from(OutgoingEmail)) == 0


@pytest.mark.parametrize("applied_first", [True, False])
def test_late_event_of_an_erased_pledge_brings_nothing_back(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    clock: FakeClock,
    applied_first: bool,
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE)
    session_id = scenario.session_of(checkout)
    stripe.pay_by_bank_debit(session_id, email=EMAIL)
    scenario.deliver_webhooks(*stripe.events)
    if applied_first:
        scenario.run_until_idle()
    clock.advance(seconds=5)
    assert erase(client, container).json["found"] is applied_first
    assert_nothing_personal_is_stored(container)
    before = len(stripe.events)
    stripe.settle_bank_debit(session_id)
    for _ in range(2):
        deliver_new(scenario, before)
    pledge = pledge_of(container, checkout.id)
    assert (pledge.status, pledge.supporter_id) == (PledgeStatus.COMPLETED, None)
    assert pledge.erased_at is not None
    assert count(container, Supporter) == count(container, OutgoingEmail) == 0
    assert_nothing_personal_is_stored(container)


def test_event_from_before_the_erasure_that_arrives_after_it_is_stored_without_the_address(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    give(scenario, Frequency.ONCE)
    before = len(stripe.events)
    late = scenario.create_checkout(Frequency.ONCE)
    stripe.pay(scenario.session_of(late), email=EMAIL)
    clock.advance(seconds=5)
    erase(client, container)
    scenario.deliver_webhooks(*stripe.events[before:])
    assert_nothing_personal_is_stored(container)
    scenario.run_until_idle()
    assert pledge_of(container, late.id).status == PledgeStatus.COMPLETED
    assert count(container, Supporter) == 0
    assert_nothing_personal_is_stored(container)


@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_debit_that_is_reported_before_its_checkout_brings_nothing_back(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    clock: FakeClock,
    frequency: Frequency,
) -> None:
    checkout = scenario.create_checkout(frequency)
    session_id = scenario.session_of(checkout)
    stripe.pay_by_bank_debit(session_id, email=EMAIL)
    before = len(stripe.events)
    clock.advance(seconds=5)
    assert erase(client, container).json["found"] is False
    stripe.settle_bank_debit(session_id)
    for late in (before, 0):
        deliver_new(scenario, late)
        pledge = pledge_of(container, checkout.id)
        assert pledge.status == (PledgeStatus.COMPLETED if frequency == Frequency.ONCE else PledgeStatus.ACTIVE)
        assert (pledge.supporter_id, pledge.erased_at is None) == (None, False)
        assert (pledge.cancel_requested_at is None) == (frequency == Frequency.ONCE)
        assert count(container, Supporter) == count(container, OutgoingEmail) == 0
        assert_nothing_personal_is_stored(container)


def test_subscription_of_a_reader_who_was_erased_before_it_was_known_ends(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    checkout = scenario.create_checkout()
    stripe.pay(scenario.session_of(checkout), email=EMAIL)
    clock.advance(seconds=5)
    assert erase(client, container).json["found"] is False
    # One event is enough: nobody could be told of the next payment.
    scenario.deliver_webhooks(*(event for event in stripe.events if event["type"] == "checkout.session.completed"))
    scenario.run_until_idle()
    complete_pending_operations(
        container.database.transaction, container.gateway, urls=container.urls, clock=clock
    )
    assert pledge_of(container, checkout.id).status == PledgeStatus.CANCELLED
    assert subscription_of(scenario, checkout.id)["status"] == "canceled"
    assert_nothing_personal_is_stored(container)


def test_failed_renewal_of_an_erased_pledge_stores_no_link_to_its_invoice(
    container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    pledge = give(scenario)
    with container.database.transaction() as session:
        erase_supporter(session, EMAIL, now=clock())
    before = len(stripe.events)
    stripe.fail_renewal(pledge_of(container, pledge).subscription_reference)
    deliver_new(scenario, before)
    row = pledge_of(container, pledge)
    assert row.open_invoice_reference is not None
    # That page shows the name and the address of the payer.
    assert row.open_invoice_url is None


def test_link_to_an_invoice_goes_once_its_pledge_is_known_to_be_erased(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, clock: FakeClock
) -> None:
    checkout = scenario.create_checkout()
    session_id = scenario.session_of(checkout)
    stripe.pay(session_id, email=EMAIL)
    before = len(stripe.events)
    clock.advance(seconds=5)
    assert erase(client, container).json["found"] is False
    stripe.fail_renewal(stripe.get(session_id)["subscription"])
    deliver_new(scenario, before)
    assert pledge_of(container, checkout.id).open_invoice_url is not None
    deliver_new(scenario, 0)
    row = pledge_of(container, checkout.id)
    assert (row.erased_at is None, row.open_invoice_url) == (False, None)
    assert_nothing_personal_is_stored(container)


def test_supporter_who_gives_again_after_an_erasure_is_known_again(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    give(scenario, Frequency.ONCE)
    erase(client, container)
    clock.advance(minutes=1)
    pledge = give(scenario, Frequency.ONCE)
    assert pledge_of(container, pledge).supporter_id is not None
    assert count(container, OutgoingEmail) == 1


@pytest.mark.parametrize("kind", ["bank debit", "monthly"])
def test_events_of_an_erased_pledge_converge_and_bring_nobody_back(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock, kind: str
) -> None:
    stripe, is_debit = scenario.stripe, kind == "bank debit"
    checkout = scenario.create_checkout(Frequency.ONCE if is_debit else Frequency.MONTHLY)
    session_id, start = scenario.session_of(checkout), len(stripe.events)
    (stripe.pay_by_bank_debit if is_debit else stripe.pay)(session_id, email=EMAIL)
    deliver_new(scenario, start)
    clock.advance(minutes=1)
    assert erase(client, container).json["status"] == "completed"
    if is_debit:
        stripe.settle_bank_debit(session_id)
    late, found = stripe.events[start:], []
    for seed in range(3):
        randomness = random.Random(seed)
        for number, event in enumerate(randomness.sample(late, len(late)) + randomness.choices(late, k=4)):
            # Another id makes a repeated event a new one.
            scenario.deliver_webhooks(event | {"id": f"{event['id']}{seed}{number}"})
            if randomness.random() < 0.5:
                scenario.run_event_job()
        scenario.run_until_idle()
        found.append(scenario.snapshot(checkout.id))
        pledge = pledge_of(container, checkout.id)
        assert (pledge.supporter_id, pledge.erased_at is None) == (None, False)
        assert count(container, Supporter) == count(container, OutgoingEmail) == 0
        assert_nothing_personal_is_stored(container)
    assert found == [found[0]] * 3


@pytest.mark.parametrize("hashed_by_release_before", [False, True])
def test_parked_event_without_a_pledge_is_found_by_its_address(
    client: FlaskClient, container: Container, scenario: StripeScenario, hashed_by_release_before: bool
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE)
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    [event] = [event for event in scenario.stripe.events if event["type"] == "checkout.session.completed"]
    stranger = str(uuid.uuid4())
    event["data"]["object"] |= {
        "id": "cs_unknown",
        "payment_intent": "pi_unknown",
        "client_reference_id": stranger,
    }
    metadata = event["data"]["object"]["metadata"]
    metadata |= {name: stranger for name in metadata if name.endswith("pledge_id")}
    scenario.deliver_webhooks(event)
    scenario.run_until_idle()
    if hashed_by_release_before:
        with container.database.transaction() as session:
            session.execute(update(GatewayEvent).values(addresses_hashed=False))
            session.connection().exec_driver_sql("DELETE FROM gateway_event_addresses")
        hash_events(container.database.transaction)
    with container.database.read_only() as session:
        assert session.scalars(select(GatewayEvent.status)).one() == EventStatus.PARKED
    assert EMAIL in stored_text(container)
    assert erase(client, container).json["found"] is False
    assert_nothing_personal_is_stored(container)
    assert count(container, GatewayEventAddress) == 0
    # What is left still says which money it is about, so that staff can apply it.
    with container.database.read_only() as session:
        assert "cs_unknown" in session.scalars(select(GatewayEvent.payload)).one()


def test_hashes_follow_the_keys_and_go_with_the_payload(
    container: Container, scenario: StripeScenario, make_keyed: Callable[[str], Container]
) -> None:
    give(scenario, Frequency.ONCE)
    rotated = make_keyed("a-new-key-that-only-the-tests-know-012345")
    rotate_keys(rotated.database.transaction, clock=rotated.clock)
    with rotated.database.read_only() as session:
        hashes = set(session.scalars(select(GatewayEventAddress.email_hash)))
        assert hashes == {rotated.database.keyring.lookup_hash(EMAIL.lower())}
    erase(create_app(rotated).test_client(), rotated)
    assert_nothing_personal_is_stored(rotated)


def test_rotation_counts_the_completed_erasures_that_need_the_older_key(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    make_keyed: Callable[[str], Container],
    clock: FakeClock,
) -> None:
    before = len(scenario.stripe.events)
    give(scenario, Frequency.ONCE)
    late = scenario.stripe.events[before:]
    erase(client, container)
    erase(client, container, "second@news.example")
    rotated = make_keyed("a-new-key-that-only-the-tests-know-012345")
    result = rotate_keys(rotated.database.transaction, clock=clock)
    assert (result.erasures, result.erasures_until) == (2, clock() + ERASURE_RETENTION)
    # As long as the older key stays, a late event of the erased address is recognised.
    for event in late:
        event["id"] += "_late"
    replace_scenario = dataclasses.replace(scenario, container=rotated)
    replace_scenario.deliver_webhooks(*late)
    replace_scenario.run_until_idle()
    assert_nothing_personal_is_stored(rotated)
    erase(create_app(rotated).test_client(), rotated, "third@news.example")
    assert rotate_keys(rotated.database.transaction, clock=clock).erasures == 2
    clock.advance(days=ERASURE_RETENTION.days)
    with rotated.database.transaction() as session:
        purge_erasures(session, now=clock())
    result = rotate_keys(rotated.database.transaction, clock=clock)
    assert (result.erasures, result.erasures_until) == (0, None)


@pytest.fixture
def make_keyed(container: Container, clock: FakeClock) -> Iterator[Callable[[str], Container]]:
    built: list[Container] = []

    def make(key: str) -> Container:
        settings = dataclasses.replace(container.settings, secret_keys=(key, *container.settings.secret_keys))
        built.append(build_container(settings, clock=clock))
        return built[-1]

    yield make
    for one in built:
        one.database.engine.dispose()


def test_erasures_are_purged_after_their_retention(
    client: FlaskClient, container: Container, scenario: StripeScenario, clock: FakeClock
) -> None:
    give(scenario)
    erase(client, container)
    for days, left in ((ERASURE_RETENTION.days - 1, 1), (2, 0)):
        clock.advance(days=days)
        with container.database.transaction() as session:
            purge_erasures(session, now=clock())
        assert count(container, Erasure) == count(container, ErasedCustomer) == left


def test_redacted_payload_keeps_ids_and_money() -> None:
    payload = (
        '{"id": "evt_1", "data": {"object": {"id": "cs_1", "amount_total": 500, "customer": "cus_1",'
        ' "customer_details": {"email": "a@b.example", "name": "Ada"}, "metadata": {"pledge_id": "1"},'
        ' "note": "from Ada <a@b.example>"}}}'
    )
    assert find_addresses(payload) == {"a@b.example"}
    redacted = redact_payload(payload)
    assert redacted is not None
    assert "a@b" not in redacted
    assert "Ada" not in redacted
    for kept in ("evt_1", "cs_1", "500", "cus_1", "pledge_id"):
        assert kept in redacted


def test_redacted_payload_has_nothing_of_the_person_that_stripe_may_store() -> None:
    stripe_object = {
        "id": "du_1",
        "description": "Ada Lovelace, by telephone",
        "receipt_url": "https://pay.stripe.com/receipts/1",
        "hosted_invoice_url": "https://invoice.stripe.com/i/1",
        "invoice_pdf": "https://pay.stripe.com/invoice/1/pdf",
        "customer_tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
        "evidence": {"billing_address": "12 St James's Square", "customer_purchase_ip": "192.0.2.7"},
        "source": {"owner": {"verified_name": "Ada Lovelace", "verified_phone": "+44 20 7946 0000"}},
        "mandate": {"customer_acceptance": {"online": {"ip_address": "192.0.2.7", "user_agent": "Firefox"}}},
    }
    event = {"data": {"object": stripe_object, "previous_attributes": {"description": "Ada Lovelace"}}}
    redacted = redact_payload(json.dumps(event))
    assert redacted is not None
    for personal in ("Ada", "James", "192.0.2.7", "7946", "Firefox", "DE123456789", "https"):
        assert personal not in redacted
    assert "du_1" in redacted
