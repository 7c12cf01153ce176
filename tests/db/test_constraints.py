"""Constraints refuse invalid rows: each named CHECK and UNIQUE, on both databases."""

import datetime
import uuid
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint, insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from service.container import Container
from service.db.base import Base, new_id
from service.db.models.admin import StaffToken
from service.db.models.campaign import Campaign, PledgeOption
from service.db.models.customer import CustomerUpdate
from service.db.models.email import DevOutboxEmail, OutgoingEmail, Suppression
from service.db.models.erasure import Erasure
from service.db.models.jobs import JobRun
from service.db.models.payment import BalanceTransaction, Dispute, FraudWarning, GatewayEvent, Payment, Refund
from service.db.models.pledge import IdempotencyKey, Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.db.session import constraint_name
from tests.db.sample_rows import (
    NOW,
    balance_transaction,
    customer_update,
    dispute,
    erasure,
    fraud_warning,
    gateway_event,
    idempotency_key,
    job_run,
    outbox_email,
    payment,
    pledge,
    receipt_email,
    refund,
    reminder,
    reminder_email,
    sign_in,
    staff_token,
    supporter,
    suppression,
)


@pytest.fixture
def campaign_id(any_database: Container) -> uuid.UUID:
    with any_database.database.transaction() as session:
        campaign_id = session.scalar(select(Campaign.id))
        assert campaign_id is not None
        session.execute(insert(Supporter).values(supporter()))
        session.execute(insert(Pledge).values(pledge(campaign_id)))
        session.execute(insert(Payment).values(payment()))
        session.execute(insert(Reminder).values(reminder(campaign_id)))
        session.execute(insert(DevOutboxEmail).values(outbox_email()))
        session.execute(insert(StaffToken).values(staff_token()))
        session.execute(insert(IdempotencyKey).values(idempotency_key()))
        session.execute(insert(OutgoingEmail).values(reminder_email(session.scalars(select(Reminder.id)).one())))
        session.execute(insert(Suppression).values(suppression()))
        session.execute(insert(JobRun).values(job_run()))
        session.execute(insert(Refund).values(refund()))
        session.execute(insert(Dispute).values(dispute()))
        session.execute(insert(FraudWarning).values(fraud_warning()))
        session.execute(insert(BalanceTransaction).values(balance_transaction()))
        session.execute(insert(GatewayEvent).values(gateway_event()))
        session.execute(insert(Erasure).values(erasure()))
        session.execute(insert(OutgoingEmail).values(receipt_email()))
        session.execute(insert(SignIn).values(sign_in()))
        session.execute(insert(CustomerUpdate).values(customer_update()))
    return campaign_id


def assert_refused(container: Container, statement: Any, name: str) -> None:
    with pytest.raises(IntegrityError) as caught, container.database.transaction() as session:
        session.execute(statement)
    if container.database.engine.dialect.name == "postgresql":
        assert constraint_name(caught.value) == name
    elif name.startswith("ck_"):
        assert name in str(caught.value.orig)
    else:
        assert "constraint failed" in str(caught.value.orig)


# Each CHECK with an UPDATE that violates it. The UPDATEs are plain SQL, because the column types refuse an unknown
# value before the database can.
VIOLATIONS = [
    ("ck_pledges_amount_positive", "UPDATE pledges SET amount_minor = 0"),
    ("ck_pledges_amount_positive", "UPDATE pledges SET amount_minor = -200"),
    ("ck_pledges_frequency_known", "UPDATE pledges SET frequency = 'weekly'"),
    ("ck_pledges_pending_frequency_known", "UPDATE pledges SET pending_frequency = 'weekly'"),
    ("ck_payments_frequency_known", "UPDATE payments SET frequency = 'weekly'"),
    ("ck_pledges_status_known", "UPDATE pledges SET status = 'paid'"),
    ("ck_pledges_fees_not_negative", "UPDATE pledges SET fees_minor = -1"),
    ("ck_refunds_amount_positive", "UPDATE refunds SET amount_minor = 0"),
    ("ck_refunds_status_known", "UPDATE refunds SET status = 'lost'"),
    ("ck_disputes_amount_positive", "UPDATE disputes SET amount_minor = 0"),
    ("ck_disputes_withheld_not_negative", "UPDATE disputes SET withheld_minor = -1"),
    ("ck_disputes_status_known", "UPDATE disputes SET status = 'settled'"),
    ("ck_erasures_status_known", "UPDATE erasures SET status = 'lost'"),
    ("ck_gateway_events_status_known", "UPDATE gateway_events SET status = 'lost'"),
    ("ck_emails_kind_known", "UPDATE emails SET kind = 'spam'"),
    ("ck_emails_status_known", "UPDATE emails SET status = 'lost'"),
    ("ck_emails_outcome_known", "UPDATE emails SET outcome = 'lost'"),
    ("ck_emails_reminder_refers_to_its_own", "UPDATE emails SET reminder_id = NULL WHERE kind = 'reminder'"),
    ("ck_emails_reminder_refers_to_its_own", "UPDATE emails SET occurrence = NULL WHERE kind = 'reminder'"),
    *(
        (
            "ck_emails_reminder_confirmation_refers_to_its_own",
            f"UPDATE emails SET kind = 'reminder_confirmation', {column} = NULL WHERE kind = 'reminder'",
        )
        for column in ("reminder_id", "occurrence")
    ),
    ("ck_emails_receipt_refers_to_its_own", "UPDATE emails SET pledge_id = NULL WHERE kind = 'receipt'"),
    (
        "ck_emails_refund_refers_to_its_own",
        "UPDATE emails SET kind = 'refund', payment_id = NULL WHERE kind = 'receipt'",
    ),
    ("ck_emails_receipt_refers_to_its_own", "UPDATE emails SET payment_id = NULL WHERE kind = 'receipt'"),
    *(
        (
            f"ck_emails_{kind}_refers_to_its_own",
            f"UPDATE emails SET kind = '{kind}', pledge_id = NULL WHERE kind = 'receipt'",
        )
        for kind in (
            "missed",
            "renewal",
            "ended",
            "refund",
            "monthly_yearly",
            "paused",
            "resuming",
            "pause_missed",
            "resumed",
            "changed",
        )
    ),
    *(
        (f"ck_emails_{kind}_refers_to_its_own", f"UPDATE emails SET kind = '{kind}' WHERE kind = 'receipt'")
        for kind in ("sign_in", "email_change", "email_changed", "erasure")
    ),
    (
        "ck_emails_yearly_receipt_refers_to_its_own",
        "UPDATE emails SET kind = 'yearly_receipt', supporter_id = NULL WHERE kind = 'receipt'",
    ),
    *(
        (
            "ck_emails_alert_refers_to_its_own",
            f"UPDATE emails SET kind = 'alert', {column} = 'x' WHERE kind = 'receipt'",
        )
        for column in ("subject", "body")
    ),
    (
        "ck_installations_only_one",
        "INSERT INTO installations (number, id) VALUES (2, '01936f0000007000800000000000000a')",
    ),
    ("ck_key_canaries_only_one", "INSERT INTO key_canaries (id, canary) VALUES (2, '0')"),
    ("ck_schema_compatibility_only_one", "INSERT INTO schema_compatibility (id) VALUES (2)"),
    (
        "ck_mailbox_limits_count_positive",
        (
            "INSERT INTO mailbox_limits (mailbox_hash, action, scope, count, window_started_at, last_at)"
            " VALUES ('0', 'sign_in', '*', 0, '2026-11-26 00:00:00', '2026-11-26 00:00:00')"
        ),
    ),
    ("ck_payments_amount_positive", "UPDATE payments SET amount_minor = 0"),
    ("ck_payments_status_known", "UPDATE payments SET status = 'pending'"),
    ("ck_reminders_status_known", "UPDATE reminders SET status = 'lost'"),
    ("ck_reminders_frequency_known", "UPDATE reminders SET frequency = 'weekly'"),
    ("ck_reminders_months_in_range", "UPDATE reminders SET months = 0"),
    ("ck_reminders_months_in_range", "UPDATE reminders SET months = 25"),
    ("ck_reminders_amount_positive", "UPDATE reminders SET amount_minor = 0"),
    ("ck_suppressions_reason_known", "UPDATE suppressions SET reason = 'spite'"),
    ("ck_job_runs_outcome_known", "UPDATE job_runs SET outcome = 'bored'"),
    ("ck_campaigns_send_hour_in_a_day", "UPDATE campaigns SET send_hour = 24"),
    ("ck_campaigns_quiet_days_in_a_year", "UPDATE campaigns SET quiet_days = 0"),
    ("ck_campaigns_quiet_days_in_a_year", "UPDATE campaigns SET quiet_days = 366"),
    ("ck_campaigns_notices_renewal_days_in_range", "UPDATE campaigns SET notices_renewal_days = 0"),
    ("ck_campaigns_notices_renewal_days_in_range", "UPDATE campaigns SET notices_renewal_days = 61"),
    ("ck_campaigns_send_hour_in_a_day", "UPDATE campaigns SET send_hour = -1"),
    ("ck_campaigns_default_frequency_known", "UPDATE campaigns SET default_frequency = 'daily'"),
    ("ck_pledge_options_frequency_known", "UPDATE pledge_options SET frequency = 'x' WHERE frequency = 'once'"),
    ("ck_pledge_options_minimum_positive", "UPDATE pledge_options SET minimum_minor = 0"),
    ("ck_pledge_options_default_within_limits", "UPDATE pledge_options SET default_minor = minimum_minor - 1"),
    ("ck_pledge_options_default_within_limits", "UPDATE pledge_options SET default_minor = maximum_minor + 1"),
]


def test_check_constraint_refuses_invalid_value(any_database: Container, campaign_id: uuid.UUID) -> None:
    for name, statement in VIOLATIONS:
        assert_refused(any_database, text(statement), name)


def test_every_check_constraint_of_the_models_is_tested() -> None:
    named = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert named == {name for name, _ in VIOLATIONS}


def test_unique_constraint_refuses_duplicate(any_database: Container, campaign_id: uuid.UUID) -> None:
    duplicates = {
        "uq_campaigns_slug": None,
        "uq_supporters_email_hash": insert(Supporter).values(supporter(id=new_id())),
        "uq_pledges_gateway_gateway_reference": insert(Pledge).values(
            pledge(campaign_id, id=new_id(), subscription_reference="other")
        ),
        "uq_pledges_gateway_subscription_reference": insert(Pledge).values(
            pledge(campaign_id, id=new_id(), gateway_reference="other")
        ),
        "uq_payments_gateway_gateway_reference": insert(Payment).values(payment(id=new_id())),
        "uq_refunds_gateway_reference": insert(Refund).values(refund(request_hash=None)),
        "uq_refunds_request_hash": insert(Refund).values(refund(gateway_reference=None)),
        "uq_disputes_gateway_reference": insert(Dispute).values(dispute()),
        "uq_fraud_warnings_gateway_reference": insert(FraudWarning).values(fraud_warning()),
        "uq_balance_transactions_gateway_reference": insert(BalanceTransaction).values(balance_transaction()),
        "uq_gateway_events_gateway_reference": insert(GatewayEvent).values(gateway_event()),
        "uq_customer_updates_gateway_customer_reference": insert(CustomerUpdate).values(customer_update()),
        "uq_emails_kind_dedup_key": insert(OutgoingEmail).values(receipt_email()),
        "uq_sign_ins_link_hash": insert(SignIn).values(sign_in(session_hash=None)),
        "uq_sign_ins_session_hash": insert(SignIn).values(sign_in(link_hash=None)),
        "uq_reminders_supporter_id_campaign_id": insert(Reminder).values(reminder(campaign_id)),
        "uq_dev_outbox_message_id": insert(DevOutboxEmail).values(outbox_email()),
        "uq_staff_tokens_token_hash": insert(StaffToken).values(staff_token()),
    }
    named = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    assert named == set(duplicates)
    for name, statement in duplicates.items():
        if statement is not None:
            assert_refused(any_database, statement, name)
    with any_database.database.read_only() as session:
        campaign = session.execute(select(Campaign.__table__)).mappings().one()
    assert_refused(any_database, insert(Campaign).values({**campaign, "id": new_id()}), "uq_campaigns_slug")


def test_occurrence_of_a_reminder_has_one_email(any_database: Container, campaign_id: uuid.UUID) -> None:
    with any_database.database.read_only() as session:
        reminder_id = session.scalars(select(Reminder.id)).one()
    again = insert(OutgoingEmail).values(reminder_email(reminder_id, dedup_key="another"))
    assert_refused(any_database, again, "ix_emails_reminder_id")
    with any_database.database.transaction() as session:
        session.execute(insert(OutgoingEmail).values(reminder_email(reminder_id, occurrence=2, dedup_key="next")))


def test_primary_key_refuses_repeated_idempotency_key(any_database: Container, campaign_id: uuid.UUID) -> None:
    assert_refused(any_database, insert(IdempotencyKey).values(idempotency_key()), "pk_idempotency_keys")


def test_primary_key_refuses_repeated_pledge_option(any_database: Container, campaign_id: uuid.UUID) -> None:
    assert_refused(
        any_database,
        update(PledgeOption).values(frequency="monthly"),
        "pk_pledge_options",
    )


def test_foreign_key_refuses_missing_row(any_database: Container, campaign_id: uuid.UUID) -> None:
    orphans = [
        insert(Payment).values(payment(id=new_id(), pledge_id=new_id(), gateway_reference="other")),
        insert(IdempotencyKey).values(idempotency_key(pledge_id=new_id(), key_hash=b"o" * 32)),
        insert(Pledge).values(
            pledge(new_id(), id=new_id(), gateway_reference="other", subscription_reference=None)
        ),
        insert(Reminder).values(reminder(campaign_id, supporter_id=new_id())),
    ]
    for orphan in orphans:
        with pytest.raises(IntegrityError), any_database.database.transaction() as session:
            session.execute(orphan)


def test_naive_datetime_is_refused(any_database: Container, campaign_id: uuid.UUID) -> None:
    naive = datetime.datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - it lacks its zone on purpose
    with pytest.raises(StatementError, match="time zone"), any_database.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=naive))


def test_datetime_is_returned_in_utc(any_database: Container, campaign_id: uuid.UUID) -> None:
    in_amsterdam = datetime.datetime(2026, 11, 23, 10, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    with any_database.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=in_amsterdam))
    with any_database.database.read_only() as session:
        found = session.scalar(select(Reminder.due_at))
    assert found == NOW
    assert found.utcoffset() == datetime.timedelta(0)
