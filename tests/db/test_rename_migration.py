"""A database filled by the release before carries over into the standard names of migration 0014, and back."""

import datetime
import uuid
from typing import Any

import pytest
from alembic import command
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    inspect,
    select,
    text,
)
from sqlalchemy.orm import Session

from schemas.enums import DeliveryOutcome, JobOutcome
from service.container import Container
from service.db.base import Base, new_id
from service.db.migration import _without_foreign_keys, migrate
from service.db.models.campaign import PledgeOption
from service.db.models.email import DevOutboxEmail, EmailCounter, SendRateLimit
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.payment import BalanceTransaction, GatewayEvent
from service.db.models.pledge import IdempotencyKey, Pledge, PledgeStatusChange
from service.db.models.reminder import ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.schema import alembic_config
from service.db.types import StringEnum, UTCDateTime
from tests.conftest import settings_for

BEFORE, AFTER = "0013", "0014"
DAY = datetime.date(2026, 12, 14)
CAMPAIGN, SUPPORTER, PLEDGE, PAYMENT, REMINDER, SIGN_IN = (new_id() for _ in range(6))
OUTBOX_MESSAGE = "To: a@reader.example\n\nThank you."
DELIVERY_OUTCOMES = {
    "leaving": DeliveryOutcome.SENDING,
    "accepted": DeliveryOutcome.ACCEPTED,
    "deferred": DeliveryOutcome.DEFERRED,
    "rejected": DeliveryOutcome.REJECTED,
    "withdrawn": DeliveryOutcome.NOT_ATTEMPTED,
}
JOB_OUTCOMES = {
    "running": JobOutcome.RUNNING,
    "done": JobOutcome.SUCCEEDED,
    "failed": JobOutcome.FAILED,
    "vanished": JobOutcome.CRASHED,
}
# By the number of the run.
JOB_ERRORS = {2: ("MailServerAway", "ServerUnavailable"), 3: ("MailServerRefusesUs", "ServerMisconfigured")}

Row = dict[str, Any]


def instant(minute: int) -> datetime.datetime:
    """Return an instant that no other column holds, so that two swapped columns are noticed."""
    return datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC) + datetime.timedelta(minutes=minute)


def referenced_rows(container: Container) -> list[tuple[str, Row]]:
    """Return the rows that the renamed ones refer to; their own tables and columns keep their names."""
    keyring = container.database.keyring
    campaign = {
        "id": CAMPAIGN,
        "slug": "default",
        "name": "Default",
        "heading": "Support us",
        "message": ["Please."],
        "currency": "USD",
        "lang": "en",
        "default_frequency": "monthly",
        "reminder_enabled": True,
        "reminder_choices": [1],
        "origins": [],
        "return_hosts": [],
        "timezone": "UTC",
        "send_hour": 9,
        "texts": {},
        "updated_at": instant(0),
    }
    supporter = {
        "id": SUPPORTER,
        "email": keyring.encrypt(b"a@reader.example", context=b"supporters.email"),
        "email_hash": b"a" * 32,
        "created_at": instant(0),
    }
    reminder = {
        "id": REMINDER,
        "campaign_id": CAMPAIGN,
        "supporter_id": SUPPORTER,
        "status": "sending",
        "occurrence": 5,
        "months": 1,
        "due_on": DAY,
        "due_at": instant(0),
        "timezone": "UTC",
        "currency": "USD",
        "lang": "en",
        "asked_at": instant(0),
        "attempts": 0,
        "lease_number": 0,
    }
    return [("campaigns", campaign), ("supporters", supporter), ("reminders", reminder)]


def renamed_rows(container: Container) -> list[tuple[str, Row]]:
    """Return rows of every table of which migration 0014 renames something, under the names before it."""
    pledge = {
        "id": PLEDGE,
        "campaign_id": CAMPAIGN,
        "supporter_id": SUPPORTER,
        "status": "active",
        "frequency": "monthly",
        "amount_minor": 500,
        "currency": "USD",
        "gateway": "stripe",
        "fees_minor": 45,
        "renews_at": instant(1),
        "stood_at": instant(2),
        "ended_at": instant(3),
        "cancel_requested_at": instant(4),
        "wanted_minor": 700,
        "created_at": instant(5),
    }
    payment = {
        "id": PAYMENT,
        "pledge_id": PLEDGE,
        "status": "succeeded",
        "amount_minor": 500,
        "currency": "USD",
        "gateway": "stripe",
        "gateway_reference": "ch_1",
        "paid_at": instant(0),
    }
    sign_in = {
        "id": SIGN_IN,
        "supporter_id": SUPPORTER,
        "asked_at": instant(10),
        "link_hash": b"l" * 32,
        "link_ends_at": instant(11),
        "used_at": instant(12),
        "session_hash": b"s" * 32,
        "session_ends_at": instant(13),
    }
    pledge_option = {
        "campaign_id": CAMPAIGN,
        "currency": "USD",
        "frequency": "monthly",
        "position": 1,
        "presets_minor": [300, 500],
        "default_minor": 500,
        "minimum_minor": 200,
        "maximum_minor": 90_000,
    }
    pledge_status_change = {
        "pledge_id": PLEDGE,
        "id": new_id(),
        "event": "activate",
        "from_status": "pending",
        "to_status": "active",
        "at": instant(20),
    }
    reminder_status_change = {
        "reminder_id": REMINDER,
        "id": new_id(),
        "occurrence": 5,
        "event": "claim",
        "from_status": "scheduled",
        "to_status": "sending",
        "reason": "due",
        "at": instant(21),
    }
    balance_transaction = {
        "id": new_id(),
        "payment_id": PAYMENT,
        "gateway_reference": "txn_1",
        "gross_minor": 500,
        "fee_minor": 45,
        "net_minor": 455,
        "currency": "USD",
    }
    gateway_event = {
        "id": new_id(),
        "gateway": "stripe",
        "reference": "evt_1",
        "kind": "invoice.paid",
        "payload": container.database.keyring.encrypt(b"{}", context=b"gateway_events.payload"),
        "source": "webhook",
        "status": "waiting",
        "reason": "no such pledge yet",
        "pledge_id": PLEDGE,
        "attempts": 2,
        "occurred_at": instant(30),
        "received_at": instant(31),
        "retry_at": instant(32),
        "applied_at": instant(33),
    }
    idempotency_key = {
        "key_hash": b"k" * 32,
        "request_hash": b"r" * 32,
        "pledge_id": PLEDGE,
        "held_until": instant(40),
        "created_at": instant(41),
    }
    outbox_email = {
        "id": new_id(),
        "message_id": "<1@news.example>",
        "recipient_hash": b"a" * 32,
        "message": container.database.keyring.encrypt(OUTBOX_MESSAGE.encode(), context=b"outbox_mails.message"),
        "sent_at": instant(50),
    }
    return [
        ("pledges", pledge),
        ("payments", payment),
        ("sign_ins", sign_in),
        ("support_choices", pledge_option),
        ("pledge_moves", pledge_status_change),
        ("reminder_moves", reminder_status_change),
        ("balance_entries", balance_transaction),
        ("gateway_events", gateway_event),
        ("idempotency_keys", idempotency_key),
        ("outbox_mails", outbox_email),
        ("mail_pace", {"server": "smtp.example:587", "free_from": instant(60)}),
        ("mail_tallies", {"name": "sent", "count": 12}),
        ("mail_tallies", {"name": "failed", "count": 1}),
        ("heartbeats", {"process": new_id().hex, "at": instant(61)}),
        *(("deliveries", delivery(number, outcome)) for number, outcome in enumerate(DELIVERY_OUTCOMES, 1)),
        *(("notices", notice(number, outcome)) for number, outcome in enumerate([*DELIVERY_OUTCOMES, None], 1)),
        *(("job_runs", job_run(number, outcome)) for number, outcome in enumerate(JOB_OUTCOMES, 1)),
    ]


def delivery(number: int, outcome: str) -> Row:
    return {
        "reminder_id": REMINDER,
        "occurrence": number,
        "lease_number": number + 1,
        "attempts": number + 2,
        "outcome": outcome,
        "reply": f"250 {number}",
        "began_at": instant(100 + number),
        "ended_at": instant(200 + number),
    }


def notice(number: int, outcome: str | None) -> Row:
    return {
        "id": new_id(),
        "kind": "renewal",
        "about": f"{PLEDGE}:{number}",
        "supporter_id": SUPPORTER,
        "pledge_id": PLEDGE,
        "payment_id": PAYMENT,
        "sign_in_id": SIGN_IN,
        "falls_on": DAY + datetime.timedelta(days=number),
        "lang": "en",
        "status": "sending",
        "due_at": instant(300 + number),
        "created_at": instant(400 + number),
        "reason": f"reason {number}",
        "leased_by": new_id(),
        "leased_until": instant(500 + number),
        "lease_number": number,
        "attempts": number + 1,
        "outcome": outcome,
        "reply": f"450 {number}",
        "began_at": instant(600 + number),
        "ended_at": instant(700 + number),
    }


def job_run(number: int, outcome: str) -> Row:
    return {
        "id": new_id(),
        "job": "mark_dead_workers",
        "worker": new_id(),
        "started_at": instant(800 + number),
        "ended_at": instant(900 + number),
        "outcome": outcome,
        "counts": {"vanished": number},
        "error": JOB_ERRORS[number][0] if number in JOB_ERRORS else None,
    }


def _attempt() -> list[Column[Any]]:
    return [
        Column("lease_number", Integer),
        Column("attempts", Integer),
        Column("outcome", StringEnum(DeliveryOutcome)),
        Column("smtp_reply", Text),
        Column("started_at", UTCDateTime),
        Column("finished_at", UTCDateTime),
    ]


# Tables that a later migration replaced, as this one left them.
DELIVERIES = Table(
    "deliveries", MetaData(), Column("reminder_id", Uuid), Column("occurrence", Integer), *_attempt()
)
NOTIFICATIONS = Table(
    "notifications",
    MetaData(),
    Column("id", Uuid),
    Column("kind", String),
    Column("dedup_key", Text),
    *(Column(name, Uuid) for name in ("supporter_id", "pledge_id", "payment_id", "sign_in_id")),
    Column("event_date", Date),
    Column("lang", String),
    Column("status", String),
    Column("due_at", UTCDateTime),
    Column("created_at", UTCDateTime),
    Column("reason", Text),
    Column("leased_by", Uuid),
    Column("leased_until", UTCDateTime),
    *_attempt(),
)


# What each column that was renamed is called now.
MODELS: dict[str, tuple[type[Base] | Table, dict[str, str]]] = {
    "pledges": (Pledge, {"stood_at": "subscription_status_at", "wanted_minor": "pending_amount_minor"}),
    "sign_ins": (SignIn, {"link_ends_at": "link_expires_at", "session_ends_at": "session_expires_at"}),
    "support_choices": (PledgeOption, {}),
    "pledge_moves": (PledgeStatusChange, {}),
    "reminder_moves": (ReminderStatusChange, {}),
    "balance_entries": (BalanceTransaction, {}),
    "gateway_events": (GatewayEvent, {"retry_at": "next_attempt_at"}),
    "idempotency_keys": (IdempotencyKey, {"held_until": "locked_until"}),
    "outbox_mails": (DevOutboxEmail, {}),
    "mail_pace": (SendRateLimit, {"free_from": "next_slot_at"}),
    "mail_tallies": (EmailCounter, {}),
    "heartbeats": (Heartbeat, {"process": "worker_id"}),
    "deliveries": (
        DELIVERIES,
        {"reply": "smtp_reply", "began_at": "started_at", "ended_at": "finished_at"},
    ),
    "notices": (
        NOTIFICATIONS,
        {
            "about": "dedup_key",
            "falls_on": "event_date",
            "reply": "smtp_reply",
            "began_at": "started_at",
            "ended_at": "finished_at",
        },
    ),
    "job_runs": (JobRun, {}),
}


def expected_rows(session: Session, table: str, rows: list[tuple[str, Row]]) -> list[Row]:
    """Return the rows of a table as the models of this release should read them."""
    model, new_names = MODELS[table]
    old_names = {new: old for old, new in new_names.items()}
    columns = [old_names.get(column.key, column.key) for column in migrated_columns(session, model)]
    outcomes: dict[str, Any] = {**DELIVERY_OUTCOMES, **JOB_OUTCOMES}
    errors = dict(JOB_ERRORS.values())
    decrypted = {"outbox_mails": {"message": OUTBOX_MESSAGE}, "gateway_events": {"payload": "{}"}}
    expected = []
    for name, row in rows:
        if name == table:
            read = dict.fromkeys(columns) | row | decrypted.get(table, {})
            if "outcome" in row:
                read["outcome"] = outcomes.get(row["outcome"])
            if "error" in row:
                read["error"] = errors.get(row["error"])
            for old, new in new_names.items():
                read[new] = read.pop(old)
            expected.append(read)
    return expected


def insert_row(connection: Connection, table: str, row: Row) -> None:
    names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    execute(connection, f"INSERT INTO {table} ({names}) VALUES ({places})", row)


def execute(connection: Connection, statement: str, values: Row) -> None:
    """Execute a statement with values of which the driver does not know how the models store them."""
    types = {uuid.UUID: Uuid(), datetime.datetime: UTCDateTime(), dict: JSON(), list: JSON()}
    # The driver's own type serves for what is not in this list.
    binds = [bindparam(name, value, type_=types.get(type(value))) for name, value in values.items()]
    connection.execute(text(statement).bindparams(*binds))


def rows_as_stored(container: Container) -> dict[str, list[Row]]:
    """Return every row of every table as plain SQL gives it."""
    with container.database.engine.connect() as connection:
        return {
            table: sorted(
                (dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()), key=repr
            )
            for table in inspect(connection).get_table_names()
            if table != "alembic_version"
        }


def table_of(model: type[Base] | Table) -> Any:
    return model if isinstance(model, Table) else model.__table__


def migrated_columns(session: Session, model: type[Base] | Table) -> list[Column[Any]]:
    """Return the columns of the model that the migrated schema has: later migrations add others."""
    table = table_of(model)
    stored = {column["name"] for column in inspect(session.connection()).get_columns(table.name)}
    return [column for column in table.columns if column.name in stored]


def rows_as_read(session: Session, model: type[Base] | Table) -> list[Row]:
    columns = migrated_columns(session, model)
    return [dict(row) for row in session.execute(select(*columns)).mappings()]


def downgrade(container: Container, revision: str) -> None:
    with (
        container.database.engine.connect() as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@pytest.fixture
def container(empty_url: str, make_container) -> Container:
    """Return a container on a database that has the schema of the release before."""
    container = make_container(settings_for(empty_url))
    migrate(container.database.engine, revision=BEFORE)
    return container


def test_rows_of_the_previous_release_carry_over_and_back(container: Container) -> None:
    rows = renamed_rows(container)
    with container.database.engine.begin() as connection:
        for table, row in referenced_rows(container) + rows:
            insert_row(connection, table, row)
    before = rows_as_stored(container)

    migrate(container.database.engine, revision=AFTER)
    with container.database.read_only() as session:
        for table, (model, _) in MODELS.items():
            read, expected = rows_as_read(session, model), expected_rows(session, table, rows)
            assert sorted(read, key=repr) == sorted(expected, key=repr), table
            assert read, table
    after = rows_as_stored(container)
    assert {name: len(found) for name, found in after.items()} == {
        table_of(MODELS[name][0]).name if name in MODELS else name: len(found) for name, found in before.items()
    }

    downgrade(container, BEFORE)
    assert rows_as_stored(container) == before


def test_foreign_keys_still_hold_after_the_migration(container: Container) -> None:
    with container.database.engine.begin() as connection:
        for table, row in referenced_rows(container) + renamed_rows(container):
            insert_row(connection, table, row)
    migrate(container.database.engine, revision=AFTER)
    with container.database.transaction() as session:
        session.execute(text("DELETE FROM balance_transactions"))
        session.execute(text("DELETE FROM payments"))
        session.execute(text("DELETE FROM pledges"))
        session.execute(text("DELETE FROM reminders"))
    left = {table for table, found in rows_as_stored(container).items() if found}
    assert left == {
        "campaigns",
        "supporters",
        "pledge_options",
        "sign_ins",
        "gateway_events",
        "dev_outbox",
        "email_send_rate",
        "email_counters",
        "heartbeats",
        "job_runs",
    }


def test_outcomes_of_the_previous_release_are_refused_afterwards(container: Container) -> None:
    migrate(container.database.engine, revision=AFTER)
    inspector = inspect(container.database.engine)
    for table in ("deliveries", "notifications", "job_runs"):
        [sql] = [
            check["sqltext"]
            for check in inspector.get_check_constraints(table)
            if check["name"] == f"ck_{table}_outcome_known"
        ]
        assert not any(f"'{old}'" in sql for old in ("leaving", "withdrawn", "done", "vanished")), table
