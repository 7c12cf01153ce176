"""A filled database of the release before: its reminders and notifications become emails of the one outbox.

Nothing is lost and nothing is sent again, whatever state a row was in.
"""

import dataclasses
import datetime
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from jobs.emails import recover_expired_leases
from jobs.reminders import enqueue_reminders
from schemas.enums import EmailKind, EmailStatus, PledgeStatus, ReminderStatus
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.db.base import new_id
from service.db.keyring import sha256
from service.db.migration import migrate
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.email_change import EmailChange
from service.db.models.payment import Payment
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.domain.email.delivery import UNCERTAIN
from service.domain.email.outbox import IMMEDIATE, PRIORITIES, PROMPT, SCHEDULED
from service.domain.reminders.queue import retry_reminder
from service.domain.supporters import get_or_create_supporter
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import create_reminder
from tests.db.test_rename_migration import Row, downgrade, execute, insert_row, rows_as_stored
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders
from tests.jobs.notifications import put_pledge
from tests.threads import RUNNING

BEFORE = "0039"
MINUTE = datetime.timedelta(minutes=1)
STAFF = "staff@paper.example"
LATER = "greylisted (450)"
REFUSED = "recipient refused (550)"


@dataclass(frozen=True)
class Delivery:
    """The record of an attempt; `lease` is how many leases before the reminder's last one it was made."""

    outcome: str
    attempts: int = 1
    lease: int = 0
    reply: str | None = None


ACCEPTED = Delivery("accepted", reply="250 OK")
DEFERRED = Delivery("deferred", 2, reply=LATER)
BEGUN = Delivery("sending")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A reminder as the release before left it, and what becomes of it.

    `deliveries` are those of its last occurrences, in their order; with `is_new` the last one has none. `emails`
    are their statuses after the migration. `sent` and `held` are how many emails leave then, if one in doubt is
    sent again or held for staff.
    """

    status: str = "scheduled"
    values: Row = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()
    is_new: bool = False
    emails: tuple[str, ...] = ()
    sent: int = 0
    held: int | None = None
    ends_as: str = "sent"
    ends_held_as: str | None = None


LEASED: Row = {"lease_number": 2}
CASES = {
    "due": Case(sent=1),
    "not-due": Case(values={"due_in": 40 * 24 * 60}, ends_as="scheduled"),
    "postponed": Case(values={"due_in": 5, "reason": None}, sent=1),
    "retried": Case(
        values={"due_in": 5, "reason": LATER, "attempts": 2}, deliveries=(DEFERRED,), emails=("scheduled",), sent=1
    ),
    "in-doubt": Case(
        values={"reason": UNCERTAIN, "attempts": 1}, deliveries=(BEGUN,), emails=("scheduled",), sent=1
    ),
    "accepted-late": Case(
        values={"reason": UNCERTAIN, "attempts": 1}, deliveries=(ACCEPTED,), emails=("scheduled",)
    ),
    "claimed": Case(status="sending", values=LEASED, emails=("sending",), sent=1),
    "claimed-again": Case(
        status="sending",
        values=LEASED | {"attempts": 2},
        deliveries=(Delivery("deferred", 2, lease=1, reply=LATER),),
        emails=("sending",),
        sent=1,
    ),
    "begun": Case(
        status="sending",
        values=LEASED,
        deliveries=(BEGUN,),
        emails=("sending",),
        sent=1,
        held=0,
        ends_held_as="failed",
    ),
    "deferred": Case(status="sending", values=LEASED, deliveries=(DEFERRED,), emails=("sending",), sent=1),
    "rejected": Case(
        status="sending",
        values=LEASED,
        deliveries=(Delivery("rejected", reply=REFUSED),),
        emails=("sending",),
        ends_as="failed",
    ),
    "refused-us": Case(
        status="sending",
        values=LEASED,
        deliveries=(Delivery("not_attempted", 0, reply="sender refused (550)"),),
        emails=("sending",),
        sent=1,
    ),
    "accepted": Case(status="sending", values=LEASED, deliveries=(ACCEPTED,), emails=("sending",)),
    "accepted-by-another": Case(
        status="sending",
        values=LEASED,
        deliveries=(Delivery("accepted", lease=1, reply="250 OK"),),
        emails=("sending",),
    ),
    "used-up": Case(
        status="sending",
        values=LEASED,
        deliveries=(Delivery("sending", 8),),
        emails=("sending",),
        ends_as="failed",
    ),
    "sent": Case(status="sent", values={"attempts": 1}, deliveries=(ACCEPTED,), emails=("sent",)),
    "sent-long-ago": Case(status="sent", values={"attempts": 1}),
    "renewed": Case(
        values={"due_in": 40 * 24 * 60, "occurrence": 3},
        deliveries=(ACCEPTED, BEGUN),
        is_new=True,
        emails=("sent", "cancelled"),
        ends_as="scheduled",
    ),
    "repeats": Case(
        values={"occurrence": 3, "every_months": 1},
        deliveries=(ACCEPTED, ACCEPTED),
        is_new=True,
        emails=("sent", "sent"),
        sent=1,
        ends_as="scheduled",
    ),
    "repeats-in-doubt": Case(
        status="sending",
        values=LEASED | {"occurrence": 2, "every_months": 1},
        deliveries=(ACCEPTED, BEGUN),
        emails=("sent", "sending"),
        sent=1,
        held=0,
        ends_as="scheduled",
        ends_held_as="failed",
    ),
    "unconfirmed": Case(
        status="unconfirmed",
        values={"awaits_confirmation": True, "attempts": 1},
        deliveries=(ACCEPTED,),
        emails=("sent",),
        ends_as="unconfirmed",
    ),
    "asks-again": Case(
        values={"awaits_confirmation": True, "reason": LATER, "attempts": 2},
        deliveries=(DEFERRED,),
        emails=("scheduled",),
        sent=1,
        ends_as="unconfirmed",
    ),
    "asks": Case(
        status="sending",
        values=LEASED | {"awaits_confirmation": True},
        emails=("sending",),
        sent=1,
        ends_as="unconfirmed",
    ),
    "failed": Case(
        status="failed",
        values={"reason": REFUSED, "attempts": 1},
        deliveries=(Delivery("rejected", reply=REFUSED),),
        emails=("failed",),
        ends_as="failed",
    ),
    "unwritable": Case(
        status="failed", values={"reason": "could not be written: x"}, emails=("failed",), ends_as="failed"
    ),
    "skipped": Case(status="skipped", values={"reason": "already_gave"}, ends_as="skipped"),
    "skipped-after-retry": Case(
        status="skipped",
        values={"reason": "already_gave", "attempts": 2},
        deliveries=(DEFERRED,),
        emails=("skipped",),
        ends_as="skipped",
    ),
    "cancelled": Case(status="cancelled", ends_as="cancelled"),
    "cancelled-after-sent": Case(
        status="cancelled", values={"attempts": 1}, deliveries=(ACCEPTED,), emails=("sent",), ends_as="cancelled"
    ),
    "cancelled-while-sending": Case(
        status="cancelled", deliveries=(BEGUN,), emails=("cancelled",), ends_as="cancelled"
    ),
    "held": Case(values={"held": True}, emails=("scheduled",), ends_as="sending"),
}
# Of a notification: its status, the rest of its row, and how many emails leave if one in doubt is resent or held.
NOTIFICATION_STATES: dict[str, tuple[str, Row, int, int]] = {
    "due": ("scheduled", {}, 1, 1),
    "retried": ("scheduled", {"due_in": 5, "reason": LATER, "attempts": 2, "outcome": "deferred"}, 1, 1),
    "accepted-late": ("scheduled", {"reason": UNCERTAIN, "attempts": 1, "outcome": "accepted"}, 0, 0),
    "claimed": ("sending", LEASED, 1, 1),
    "begun": ("sending", LEASED | {"attempts": 1, "outcome": "sending"}, 1, 0),
    "accepted": ("sending", LEASED | {"attempts": 1, "outcome": "accepted"}, 0, 0),
    "sent": ("sent", {"attempts": 1, "outcome": "accepted"}, 0, 0),
    "skipped": ("skipped", {"reason": "too_old"}, 0, 0),
    "failed": ("failed", {"reason": REFUSED, "attempts": 1, "outcome": "rejected"}, 0, 0),
    "held": ("scheduled", {"held": True}, 0, 0),
}
# Without those that a later migration added.
NOTIFICATION_KINDS = [
    kind
    for kind in EmailKind
    if kind
    not in (
        EmailKind.REMINDER,
        EmailKind.REMINDER_CONFIRMATION,
        EmailKind.REFUND,
        EmailKind.MONTHLY_YEARLY,
        EmailKind.YEARLY_RECEIPT,
        EmailKind.PAUSED,
        EmailKind.RESUMING,
        EmailKind.PAUSE_MISSED,
        EmailKind.RESUMED,
        EmailKind.CHANGED,
        EmailKind.ERASURE,
    )
]


@pytest.fixture
def container(empty_url: str, make_container) -> Container:
    """Return a container on a database of the release before, with a campaign."""
    container = make_container(settings_for(empty_url, ALERT_EMAIL=STAFF, SENDING_HOURS="any"))
    migrate_and_seed(container)
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(reminder_repeats=[1]))
    return container


def migrate_to(container: Container, revision: str) -> None:
    if revision == BEFORE:
        downgrade(container, revision)
    else:
        migrate(container.database.engine, revision=revision)
    # A connection may hold statements that were prepared on the schema of before.
    container.database.engine.dispose()


class FilledDatabase:
    """A database of the release before with a row in every state; `due_at` of the rows is five minutes ago."""

    def __init__(self, container: Container, clock: FakeClock) -> None:
        self.container, self.now = container, clock()
        self.reminders = {name: create_reminder(container, f"{name}@news.example") for name in CASES}
        self.notifications: dict[tuple[EmailKind, str], uuid.UUID] = {}
        rows = [
            (kind, state, self._references(kind)) for kind in NOTIFICATION_KINDS for state in NOTIFICATION_STATES
        ]
        migrate_to(container, BEFORE)
        for name, case in CASES.items():
            self._change_reminder(self.reminders[name], case)
        for kind, state, references in rows:
            self.notifications[kind, state] = self._insert_notification(kind, state, references)

    def message_id(self, kind: EmailKind, state: str) -> str:
        """Return the Message-ID that the email of a notification has had."""
        # The link of each attempt is new, so it is another email.
        lease = NOTIFICATION_STATES[state][1].get("lease_number", 1) + 1
        suffix = f"-{lease}" if kind == EmailKind.SIGN_IN else ""
        return f"<notice-{self.notifications[kind, state]}{suffix}@desk.test>"

    def expected(self, *, hold: bool) -> Counter[str]:
        """Return the Message-ID of every email that must leave, once."""
        found = [
            f"<reminder-{self.reminders[name]}-{case.values.get('occurrence', 1)}@desk.test>"
            for name, case in CASES.items()
            if (case.sent if not hold or case.held is None else case.held)
        ]
        for kind, state in self.notifications:
            _, _, sent, held = NOTIFICATION_STATES[state]
            if held if hold else sent:
                found.append(self.message_id(kind, state))
        return Counter(found)

    def _references(self, kind: EmailKind) -> Row:
        """Create what a notification of this kind is about; return the columns that refer to it."""
        if kind == EmailKind.ALERT:
            return {"subject": "2 payments fit no pledge", "body": "They are parked."}
        to = f"{kind}-{new_id()}@news.example"
        with self.container.database.transaction() as session:
            supporter_id = get_or_create_supporter(session, to, now=self.now)
        values: Row = {"supporter_id": supporter_id}
        if kind == EmailKind.SIGN_IN:
            row: Any = SignIn(id=new_id(), supporter_id=supporter_id, asked_at=self.now)
            values["sign_in_id"] = row.id
        elif kind in (EmailKind.EMAIL_CHANGE, EmailKind.EMAIL_CHANGED):
            row = EmailChange(
                id=new_id(),
                supporter_id=supporter_id,
                new_email=f"new-{to}",
                new_email_hash=sha256(f"new-{to}"),
                old_email=to,
                requested_at=self.now,
                confirmed_at=self.now if kind == EmailKind.EMAIL_CHANGED else None,
            )
            values["email_change_id"] = row.id
        else:
            statuses = {EmailKind.PAYMENT_FAILED: "past_due", EmailKind.CANCELLED: "cancelled"}
            status = PledgeStatus(statuses.get(kind, "active"))
            ended_at = self.now if kind == EmailKind.CANCELLED else None
            pledge_id = put_pledge(self.container, to=to, status=status, ended_at=ended_at)
            values |= {"pledge_id": pledge_id, "event_date": self.now.date() + datetime.timedelta(days=9)}
            row = None
            if kind == EmailKind.RECEIPT:
                row = Payment(
                    id=new_id(),
                    pledge_id=pledge_id,
                    status="succeeded",
                    amount_minor=500,
                    currency="USD",
                    gateway="stripe",
                    gateway_reference=f"paid-{pledge_id}",
                    paid_at=self.now,
                )
                values["payment_id"] = row.id
        if row is not None:
            with self.container.database.transaction() as session:
                session.add(row)
        return values

    def _lease(self, status: str) -> Row:
        leased = status == "sending"
        return {"leased_by": new_id() if leased else None, "leased_until": self.now + MINUTE if leased else None}

    def _common(self, status: str, values: Row) -> Row:
        """Return the columns that reminders and notifications shared."""
        row = {"lease_number": 1, "attempts": 0, "reason": None} | values
        due_in, is_held = row.pop("due_in", -5), row.pop("held", False)
        due_at = self.now + due_in * MINUTE
        return row | {"due_at": due_at, "held_at": self.now if is_held else None} | self._lease(status)

    def _change_reminder(self, reminder_id: uuid.UUID, case: Case) -> None:
        row = {"occurrence": 1, "status": case.status} | self._common(case.status, case.values)
        last = row["occurrence"] - case.is_new
        with self.container.database.engine.begin() as connection:
            assignments = ", ".join(f"{name} = :{name}" for name in row)
            execute(connection, f"UPDATE reminders SET {assignments} WHERE id = :id", row | {"id": reminder_id})
            for number, delivery in enumerate(reversed(case.deliveries)):
                record = {
                    "reminder_id": reminder_id,
                    "occurrence": last - number,
                    "lease_number": row["lease_number"] - delivery.lease,
                    "attempts": delivery.attempts,
                    "outcome": delivery.outcome,
                    "smtp_reply": delivery.reply,
                    "started_at": self.now - (number + 2) * MINUTE,
                    "finished_at": None if delivery.outcome == "sending" else self.now - (number + 1) * MINUTE,
                }
                insert_row(connection, "deliveries", record)

    def _insert_notification(self, kind: EmailKind, state: str, references: Row) -> uuid.UUID:
        status, values, _, _ = NOTIFICATION_STATES[state]
        row = {"id": new_id(), "kind": kind.value, "dedup_key": str(new_id()), "lang": "en", "status": status}
        row |= {"created_at": self.now - 10 * MINUTE, "outcome": None} | self._common(status, values) | references
        if row["attempts"]:
            row |= {"started_at": self.now - 2 * MINUTE, "smtp_reply": f"reply {state}"}
        with self.container.database.engine.begin() as connection:
            insert_row(connection, "notifications", row)
        return row["id"]


@pytest.fixture
def filled(container: Container, clock: FakeClock) -> FilledDatabase:
    return FilledDatabase(container, clock)


def with_hold(container: Container, hold: bool) -> Container:
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=hold)
    return dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))


def send_everything(container: Container, clock: FakeClock) -> Counter[str]:
    """Run the worker's jobs now, after the leases have expired, and for a day; return the emails' Message-IDs."""
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    for minutes in (10, 60, 24 * 60, 1):
        clock.advance(minutes=minutes)
        recover_expired_leases(container, RUNNING)
        run_send_reminders(container, mailer)
    return Counter(email.message_id for email in mailer.sent)


def emails_of(container: Container, reminder_id: uuid.UUID) -> list[OutgoingEmail]:
    with container.database.read_only() as session:
        query = select(OutgoingEmail).where(OutgoingEmail.reminder_id == reminder_id)
        return list(session.scalars(query.order_by(OutgoingEmail.occurrence)))


def reminder_statuses(filled: FilledDatabase) -> dict[str, ReminderStatus]:
    with filled.container.database.read_only() as session:
        statuses = dict(session.execute(select(Reminder.id, Reminder.status)).all())
    return {name: statuses[reminder_id] for name, reminder_id in filled.reminders.items()}


def test_every_delivery_and_notification_is_an_email_afterwards(filled: FilledDatabase) -> None:
    container = filled.container
    before = rows_as_stored(container)
    migrate_to(container, "head")
    with container.database.read_only() as session:
        count = session.scalar(select(func.count()).select_from(OutgoingEmail))
    assert count == len(filled.notifications) + sum(len(case.emails) for case in CASES.values())
    for name, case in CASES.items():
        emails = emails_of(container, filled.reminders[name])
        assert tuple(email.status.value for email in emails) == case.emails, name
        assert len({email.id for email in emails} | {None}) == len(emails) + 1
        for email in emails:
            assert email.dedup_key == f"{email.reminder_id}:{email.occurrence}"
            assert (email.leased_until is not None) == (email.status == EmailStatus.SENDING), name
    statuses = reminder_statuses(filled)
    for name, case in CASES.items():
        is_waiting = case.status == "scheduled" and case.emails[-1:] == ("scheduled",)
        assert statuses[name] == ("sending" if is_waiting else case.status), name
    [retried] = emails_of(container, filled.reminders["retried"])
    assert (retried.reason, retried.attempts, retried.outcome) == (LATER, 2, "deferred")
    assert (retried.due_at, retried.kind) == (filled.now + 5 * MINUTE, EmailKind.REMINDER)
    assert (retried.smtp_reply, retried.started_at) == (LATER, filled.now - 2 * MINUTE)
    # The record of an earlier lease says nothing about the last one, unless the email was accepted.
    [again] = emails_of(container, filled.reminders["claimed-again"])
    assert (again.outcome, again.attempts, again.lease_number) == (None, 2, 2)
    [accepted] = emails_of(container, filled.reminders["accepted-by-another"])
    assert (accepted.outcome, accepted.attempts, accepted.lease_number) == ("accepted", 1, 2)
    [request] = emails_of(container, filled.reminders["asks-again"])
    assert (request.kind, request.priority) == (EmailKind.REMINDER_CONFIRMATION, IMMEDIATE)
    [unwritable] = emails_of(container, filled.reminders["unwritable"])
    assert (unwritable.reason, unwritable.attempts) == ("could not be written: x", 0)
    stored = {row["id"]: row for row in rows_as_stored(container)["emails"]}
    assert before["notifications"]
    for row in before["notifications"]:
        email = stored[row["id"]]
        assert {name: email[name] for name in row} == row
        assert email["priority"] == PRIORITIES[EmailKind(row["kind"])]


def test_new_emails_are_listed_before_those_of_before(filled: FilledDatabase) -> None:
    migrate_to(filled.container, "head")
    for name in CASES:
        for email in emails_of(filled.container, filled.reminders[name]):
            # The ids are ordered by time (RFC 9562, section 5.7), as are those of new emails.
            created_at = datetime.datetime.fromtimestamp((email.id.int >> 80) / 1000, datetime.UTC)
            assert abs(created_at - email.created_at) < datetime.timedelta(seconds=1), name
            assert (email.id.version, email.id.variant) == (7, uuid.RFC_4122)


def test_priorities_are_still_those_that_the_migration_wrote() -> None:
    immediate = {kind for kind, priority in PRIORITIES.items() if priority == IMMEDIATE} - {EmailKind.ERASURE}
    assert immediate == {EmailKind.SIGN_IN, EmailKind.EMAIL_CHANGE, EmailKind.REMINDER_CONFIRMATION}
    assert (IMMEDIATE, PROMPT, SCHEDULED) == (1, 2, 3)


@pytest.mark.parametrize("hold", [False, True], ids=["resend", "hold"])
def test_nothing_is_lost_and_nothing_is_sent_again(filled: FilledDatabase, clock: FakeClock, hold: bool) -> None:
    container = with_hold(filled.container, hold)
    migrate_to(container, "head")
    assert send_everything(container, clock) == filled.expected(hold=hold)
    statuses = reminder_statuses(filled)
    for name, case in CASES.items():
        ends_as = case.ends_held_as if hold and case.ends_held_as else case.ends_as
        assert statuses[name] == ends_as, name
    for (kind, state), email_id in filled.notifications.items():
        status, _, sent, held = NOTIFICATION_STATES[state]
        with container.database.read_only() as session:
            email = session.get_one(OutgoingEmail, email_id)
        in_doubt = hold and sent != held
        ends_as = (
            "failed" if in_doubt else status if state == "held" or status in ("skipped", "failed") else "sent"
        )
        assert email.status == ends_as, (kind, state)


def test_failed_reminders_can_be_retried_afterwards(filled: FilledDatabase, clock: FakeClock) -> None:
    container = filled.container
    migrate_to(container, "head")
    names = ("failed", "unwritable")
    for name in names:
        with container.database.transaction() as session:
            retry_reminder(session, filled.reminders[name], now=clock())
    retried = Counter(f"<reminder-{filled.reminders[name]}-1@desk.test>" for name in names)
    assert send_everything(container, clock) == filled.expected(hold=False) + retried


def old_rows(container: Container) -> dict[str, list[Row]]:
    """Return the rows that the migration moved, without the numbers of leases that no worker holds."""
    rows = rows_as_stored(container)
    unlike = {"deliveries": ("lease_number",), "reminders": ("attempts", "lease_number"), "notifications": ()}
    return {
        table: sorted(
            ({name: value for name, value in row.items() if name not in columns} for row in rows[table]), key=repr
        )
        for table, columns in unlike.items()
    }


def test_downgrade_restores_the_rows(filled: FilledDatabase) -> None:
    container = filled.container
    before, leases = old_rows(container), leases_of_reminders(container)
    migrate_to(container, "head")
    migrate_to(container, BEFORE)
    assert old_rows(container) == before
    assert leases_of_reminders(container) == leases
    assert "emails" not in rows_as_stored(container)


def leases_of_reminders(container: Container) -> set[tuple[Any, ...]]:
    """Return the lease number of each reminder that is being sent, and that of its record if that counts."""
    query = """
        SELECT r.id, r.lease_number, d.outcome, d.attempts FROM reminders r LEFT JOIN deliveries d
        ON d.reminder_id = r.id AND d.occurrence = r.occurrence
        AND (d.lease_number = r.lease_number OR d.outcome = 'accepted') WHERE r.status = 'sending'
    """
    with container.database.engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text(query))}


def test_emails_that_were_enqueued_survive_a_downgrade_and_an_upgrade(
    filled: FilledDatabase, clock: FakeClock
) -> None:
    container = filled.container
    migrate_to(container, "head")
    assert enqueue_reminders(container, RUNNING)["enqueued"] > 0
    migrate_to(container, BEFORE)
    with container.database.engine.connect() as connection:
        query = "SELECT count(*) FROM reminders WHERE status = 'sending' AND leased_until IS NULL"
        assert connection.scalar(text(query)) == 0
    migrate_to(container, "head")
    assert send_everything(container, clock) == filled.expected(hold=False)


def test_empty_tables_are_migrated_and_back(container: Container, clock: FakeClock) -> None:
    migrate_to(container, BEFORE)
    migrate_to(container, "head")
    assert send_everything(container, clock) == Counter()
    migrate_to(container, BEFORE)
    assert {table: len(rows) for table, rows in old_rows(container).items()} == {
        "deliveries": 0,
        "reminders": 0,
        "notifications": 0,
    }
