"""Attribution of pledges to reminders, which never makes a pledge fail."""

import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from schemas.enums import PledgeStatus
from service.container import Container
from service.db.keyring import Keyring
from service.db.models.pledge import IdempotencyKey, Pledge
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_payment
from service.domain.pledges.attribution import attribution_token
from service.domain.pledges.idempotency import request_hash
from service.domain.pledges.pledges import get_pledge
from service.domain.reminders.self_service import reminder_token
from service.domain.supporters import erase_supporter
from tests.api.client import (
    PLEDGE,
    assert_problem,
    auth_headers,
    count,
    get_json,
    new_idempotency_key,
    only_pledge,
    only_reminder,
    pay_pledge,
    post_pledge,
    post_reminder,
    update_campaign,
)
from tests.clock import FakeClock
from tests.processes import wait_until

READER = "reader@example.org"


@pytest.fixture
def token(client: FlaskClient, container: Container) -> str:
    """Return the attribution token of a reminder email's link."""
    post_reminder(client)
    return attribution_token(container.database.keyring, only_reminder(container))


def conversions(client: FlaskClient, container: Container) -> int:
    return get_json(client, auth_headers(container, "read"), "/v1/admin/summary")["conversions"]["pledges"]


def test_pledge_from_reminder_is_attributed_to_it(client: FlaskClient, container: Container, token: str) -> None:
    response = post_pledge(client, reminder=token)
    assert response.status_code == 201
    assert "reminder" not in response.json
    assert only_pledge(container).reminder_id == only_reminder(container).id


def test_pledge_without_token_is_not_attributed(client: FlaskClient, container: Container, token: str) -> None:
    post_pledge(client)
    assert only_pledge(container).reminder_id is None


def is_lock_awaited(container: Container) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with container.database.read_only() as session:
        return bool(session.scalar(text(waiting)))


def invalid_tokens(token: str, container: Container) -> dict[str, Any]:
    reminder = only_reminder(container)
    return {
        "altered": token[:-2] + "xy",
        "cut short": token[:-1],
        "padded": token + "=",
        "no token": "x",
        "other letters": "токен",
        "the reader's own link": reminder_token(container.database.keyring, reminder),
        "of another key": attribution_token(Keyring(("another key",)), reminder),
    }


def test_invalid_attribution_token_does_not_fail_pledge(
    client: FlaskClient, container: Container, token: str
) -> None:
    for name, invalid_token in invalid_tokens(token, container).items():
        assert post_pledge(client, reminder=invalid_token).status_code == 201, name
    with container.database.read_only() as session:
        assert set(session.scalars(select(Pledge.reminder_id))) == {None}


def test_attribution_token_expires_a_year_after_email(
    client: FlaskClient, container: Container, token: str, clock: FakeClock
) -> None:
    clock.now = only_reminder(container).due_at + datetime.timedelta(days=366)
    first = post_pledge(client, reminder=token).json["id"]
    clock.advance(days=40)
    second = post_pledge(client, reminder=token).json["id"]
    with container.database.read_only() as session:
        linked = [
            session.get_one(Pledge, uuid.UUID(pledge_id)).reminder_id is not None for pledge_id in (first, second)
        ]
    assert linked == [True, False]


def test_pledge_to_another_campaign_is_not_attributed(
    client: FlaskClient, container: Container, token: str
) -> None:
    update_campaign(container, slug="climate")
    assert post_pledge(client, campaign="climate", reminder=token).status_code == 201
    assert only_pledge(container).reminder_id is None


def test_pledge_after_reminder_purge_is_not_attributed(
    client: FlaskClient, container: Container, token: str
) -> None:
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=container.clock())
    assert post_pledge(client, reminder=token).status_code == 201
    assert only_pledge(container).reminder_id is None


def test_pledge_during_reminder_purge_succeeds(app: Flask, container: Container, token: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        with container.database.transaction() as session:
            erase_supporter(session, READER, now=container.clock())
            payment = pool.submit(post_pledge, app.test_client(), reminder=token)
            wait_until(
                lambda: payment.done() or is_lock_awaited(container), what="the payment to wait for the erasure"
            )
        assert payment.result().status_code == 201
    assert only_pledge(container).reminder_id is None


def test_payment_during_erasure_does_not_deadlock(client: FlaskClient, container: Container, token: str) -> None:
    pledge_id = uuid.UUID(post_pledge(client, reminder=token).json["id"])

    def erase() -> None:
        with container.database.transaction() as session:
            erase_supporter(session, READER, now=container.clock())

    with ThreadPoolExecutor(1) as pool:
        with container.database.transaction() as session:
            money = Money(get_pledge(session, pledge_id, for_update=True).amount_minor, "USD")
            erasure = pool.submit(erase)
            wait_until(
                lambda: erasure.done() or is_lock_awaited(container), what="the erasure to wait for the payment"
            )
            record_sandbox_payment(
                session,
                pledge_id,
                SandboxCharge(reference="paid", money=money),
                email=READER,
                now=container.clock(),
            )
        erasure.result(timeout=60)
    pledge = only_pledge(container)
    assert (pledge.status, pledge.reminder_id, pledge.supporter_id) == (PledgeStatus.ACTIVE, None, None)


@pytest.mark.parametrize("invalid", ["", "x" * 201, 5, None, ["x"], "a\0b"], ids=repr)
def test_malformed_attribution_token_is_rejected(client: FlaskClient, invalid: object) -> None:
    assert_problem(post_pledge(client, reminder=invalid), 422, "validation_failed", field="reminder")


def test_attributed_pledge_is_idempotent(client: FlaskClient, container: Container, token: str) -> None:
    key = new_idempotency_key()
    first, again = (post_pledge(client, key=key, reminder=token) for _ in range(2))
    assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")
    assert count(container, Pledge) == 1
    assert_problem(post_pledge(client, key=key), 422, "idempotency_key_reused")
    assert_problem(post_pledge(client, key=key, reminder="other"), 422, "idempotency_key_reused")


def test_idempotency_hash_of_previous_release_is_recognised(client: FlaskClient, container: Container) -> None:
    post_pledge(client)
    before = PLEDGE | dict.fromkeys(("page_url", "variant", "lang", "return_url"))
    with container.database.read_only() as session:
        assert session.scalar(select(IdempotencyKey.request_hash)) == request_hash(before)


@pytest.mark.parametrize("frequency", ["once", "monthly"])
def test_summary_counts_conversions(client: FlaskClient, container: Container, token: str, frequency: str) -> None:
    assert conversions(client, container) == 0
    pledge_id = post_pledge(client, reminder=token, frequency=frequency, amount=500).json["id"]
    pay_pledge(container, post_pledge(client).json["id"])
    assert conversions(client, container) == 0
    pay_pledge(container, pledge_id)
    assert conversions(client, container) == 1
    with container.database.transaction() as session:
        session.get_one(Pledge, uuid.UUID(pledge_id)).status = PledgeStatus.REFUNDED
    assert conversions(client, container) == 0
