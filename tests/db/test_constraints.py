"""What the database itself refuses, whoever asks: each named CHECK and UNIQUE, on both databases."""

import datetime
import uuid
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint, insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from service.db.base import Base, new_id
from service.db.campaign import Campaign, SupportChoice
from service.db.delivery import Delivery
from service.db.idempotency_key import IdempotencyKey
from service.db.job_run import JobRun
from service.db.outbox_mail import OutboxMail
from service.db.payment import Payment
from service.db.pledge import Pledge
from service.db.reminder import Reminder
from service.db.staff_token import StaffToken
from service.db.supporter import Supporter
from service.db.suppression import Suppression
from service.db.violations import violated_constraint
from service.desk import Desk

NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
SUPPORTER, PLEDGE = new_id(), new_id()


@pytest.fixture
def campaign_id(either: Desk) -> uuid.UUID:
    with either.database.transaction() as session:
        found = session.scalar(select(Campaign.id))
        assert found is not None
        session.execute(insert(Supporter).values(supporter()))
        session.execute(insert(Pledge).values(pledge(found)))
        session.execute(insert(Payment).values(payment()))
        session.execute(insert(Reminder).values(reminder(found)))
        session.execute(insert(OutboxMail).values(mail()))
        session.execute(insert(StaffToken).values(token()))
        session.execute(insert(IdempotencyKey).values(key()))
        session.execute(insert(Delivery).values(delivery(session.scalars(select(Reminder.id)).one())))
        session.execute(insert(Suppression).values(suppression()))
        session.execute(insert(JobRun).values(job_run()))
    return found


def supporter(**changes: Any) -> dict[str, Any]:
    return {"id": SUPPORTER, "email": "a@reader.example", "email_hash": b"a" * 32, "created_at": NOW} | changes


def pledge(campaign_id: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return {
        "id": PLEDGE,
        "campaign_id": campaign_id,
        "status": "pending",
        "frequency": "monthly",
        "amount_minor": 200,
        "currency": "USD",
        "gateway": "sandbox",
        "gateway_reference": "sandbox_1",
        "created_at": NOW,
    } | changes


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "pledge_id": PLEDGE,
        "status": "succeeded",
        "amount_minor": 200,
        "currency": "USD",
        "gateway": "sandbox",
        "gateway_reference": "payment_1",
        "paid_at": NOW,
    } | changes


def reminder(campaign_id: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "campaign_id": campaign_id,
        "supporter_id": SUPPORTER,
        "status": "scheduled",
        "occurrence": 1,
        "months": 1,
        "currency": "USD",
        "due_on": NOW.date(),
        "due_at": NOW,
        "timezone": "UTC",
        "lang": "en",
        "asked_at": NOW,
        "attempts": 0,
        "lease_number": 0,
    } | changes


def mail(**changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "message_id": "<1@desk.test>",
        "recipient_hash": b"a" * 32,
        "message": "Dear reader",
        "sent_at": NOW,
    } | changes


def token(**changes: Any) -> dict[str, Any]:
    return {"id": new_id(), "name": "n", "scopes": ["read"], "token_hash": b"t" * 32, "created_at": NOW} | changes


def key(**changes: Any) -> dict[str, Any]:
    return {
        "key_hash": b"k" * 32,
        "request_hash": b"r" * 32,
        "pledge_id": PLEDGE,
        "held_until": NOW,
        "created_at": NOW,
    } | changes


def delivery(reminder_id: uuid.UUID) -> dict[str, Any]:
    first = {"occurrence": 1, "lease_number": 1, "attempts": 1}
    return {"reminder_id": reminder_id, "outcome": "leaving", "began_at": NOW} | first


def suppression() -> dict[str, Any]:
    return {"email_hash": b"s" * 32, "scope": "*", "reason": "complaint", "at": NOW}


def job_run() -> dict[str, Any]:
    return {"job": "beat", "worker": new_id(), "started_at": NOW, "outcome": "running", "counts": {}}


def expect_refusal(desk: Desk, statement: Any, name: str) -> None:
    with pytest.raises(IntegrityError) as caught, desk.database.transaction() as session:
        session.execute(statement)
    if desk.database.engine.dialect.name == "postgresql":
        assert violated_constraint(caught.value) == name
    elif name.startswith("ck_"):
        assert name in str(caught.value.orig)
    else:
        assert "constraint failed" in str(caught.value.orig)


# The name of each CHECK, and what it must refuse. These are plain UPDATEs, because the column types would refuse
# a strange word before the database could.
REFUSED = [
    ("ck_pledges_amount_positive", "UPDATE pledges SET amount_minor = 0"),
    ("ck_pledges_amount_positive", "UPDATE pledges SET amount_minor = -200"),
    ("ck_pledges_frequency_known", "UPDATE pledges SET frequency = 'weekly'"),
    ("ck_pledges_status_known", "UPDATE pledges SET status = 'paid'"),
    ("ck_payments_amount_positive", "UPDATE payments SET amount_minor = 0"),
    ("ck_payments_status_known", "UPDATE payments SET status = 'pending'"),
    ("ck_reminders_status_known", "UPDATE reminders SET status = 'lost'"),
    ("ck_reminders_frequency_known", "UPDATE reminders SET frequency = 'weekly'"),
    ("ck_reminders_months_in_range", "UPDATE reminders SET months = 0"),
    ("ck_reminders_months_in_range", "UPDATE reminders SET months = 25"),
    ("ck_reminders_amount_positive", "UPDATE reminders SET amount_minor = 0"),
    ("ck_deliveries_outcome_known", "UPDATE deliveries SET outcome = 'lost'"),
    ("ck_suppressions_reason_known", "UPDATE suppressions SET reason = 'spite'"),
    ("ck_job_runs_outcome_known", "UPDATE job_runs SET outcome = 'bored'"),
    ("ck_campaigns_send_hour_in_a_day", "UPDATE campaigns SET send_hour = 24"),
    ("ck_campaigns_send_hour_in_a_day", "UPDATE campaigns SET send_hour = -1"),
    ("ck_campaigns_default_frequency_known", "UPDATE campaigns SET default_frequency = 'daily'"),
    ("ck_support_choices_frequency_known", "UPDATE support_choices SET frequency = 'x' WHERE frequency = 'once'"),
    ("ck_support_choices_minimum_positive", "UPDATE support_choices SET minimum_minor = 0"),
    ("ck_support_choices_default_within_limits", "UPDATE support_choices SET default_minor = minimum_minor - 1"),
    ("ck_support_choices_default_within_limits", "UPDATE support_choices SET default_minor = maximum_minor + 1"),
]


def test_a_value_outside_its_check_is_refused(either: Desk, campaign_id: uuid.UUID) -> None:
    for name, statement in REFUSED:
        expect_refusal(either, text(statement), name)


def test_every_check_of_the_models_is_among_those_tried() -> None:
    named = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert named == {name for name, _ in REFUSED}


def test_every_unique_constraint_refuses_a_second_row(either: Desk, campaign_id: uuid.UUID) -> None:
    seconds = {
        "uq_campaigns_slug": None,
        "uq_supporters_email_hash": insert(Supporter).values(supporter(id=new_id())),
        "uq_pledges_gateway_gateway_reference": insert(Pledge).values(pledge(campaign_id, id=new_id())),
        "uq_payments_gateway_gateway_reference": insert(Payment).values(payment()),
        "uq_reminders_supporter_id_campaign_id": insert(Reminder).values(reminder(campaign_id)),
        "uq_outbox_mails_message_id": insert(OutboxMail).values(mail()),
        "uq_staff_tokens_token_hash": insert(StaffToken).values(token()),
    }
    named = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    assert named == set(seconds)
    for name, statement in seconds.items():
        if statement is not None:
            expect_refusal(either, statement, name)
    with either.database.reading() as session:
        standing = session.execute(select(Campaign.__table__)).mappings().one()
    expect_refusal(either, insert(Campaign).values({**standing, "id": new_id()}), "uq_campaigns_slug")


def test_a_key_is_stored_once(either: Desk, campaign_id: uuid.UUID) -> None:
    expect_refusal(either, insert(IdempotencyKey).values(key()), "pk_idempotency_keys")


def test_a_frequency_is_offered_once(either: Desk, campaign_id: uuid.UUID) -> None:
    expect_refusal(
        either,
        update(SupportChoice).values(frequency="monthly"),
        "pk_support_choices",
    )


def test_nothing_may_point_at_a_row_that_is_not_there(either: Desk, campaign_id: uuid.UUID) -> None:
    strays = [
        insert(Payment).values(payment(pledge_id=new_id(), gateway_reference="other")),
        insert(IdempotencyKey).values(key(pledge_id=new_id(), key_hash=b"o" * 32)),
        insert(Pledge).values(pledge(new_id(), id=new_id(), gateway_reference="other")),
        insert(Reminder).values(reminder(campaign_id, supporter_id=new_id())),
    ]
    for stray in strays:
        with pytest.raises(IntegrityError), either.database.transaction() as session:
            session.execute(stray)


def test_an_instant_without_a_zone_is_refused(either: Desk, campaign_id: uuid.UUID) -> None:
    naive = datetime.datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - it lacks its zone on purpose
    with pytest.raises(StatementError, match="time zone"), either.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=naive))


def test_an_instant_comes_back_in_utc(either: Desk, campaign_id: uuid.UUID) -> None:
    in_amsterdam = datetime.datetime(2026, 11, 23, 10, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    with either.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=in_amsterdam))
    with either.database.reading() as session:
        found = session.scalar(select(Reminder.due_at))
    assert found == NOW
    assert found.utcoffset() == datetime.timedelta(0)
