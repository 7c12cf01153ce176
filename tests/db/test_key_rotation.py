"""`mainstay keys rotate`: everything moves to the first key, and nothing is lost on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from sqlalchemy import LargeBinary, select, type_coerce, update
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.cli import cli
from service.container import Container
from service.db.keyring import Keyring
from service.db.models.admin import AuditEntry
from service.db.models.email import DevOutboxEmail
from service.db.models.payment import GatewayEvent
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.ports import RawEvent
from service.domain.privacy import key_rotation
from service.domain.privacy.key_rotation import RotationResult, rotate_keys
from service.domain.reminders.self_service import cancel_reminder, reminder_token
from service.domain.supporters import erase_supporter
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import count_rows, create_paid_pledge, create_reminder, encrypted_emails, supporter_of
from tests.gateways.emails import send
from tests.interleaving import interleaving, must_wait

OLDER, OLD, NEW = (f"{name}-key-0123456789-0123456789" for name in ("older", "old", "new"))


@pytest.fixture
def with_keys(url: str, make_container):
    return lambda *keys: make_container(settings_for(url, SECRET_KEYS=",".join(keys)))


def rotate(container: Container) -> RotationResult:
    return rotate_keys(container.database.transaction, clock=container.clock)


def keep_mail(container: Container, address: str, number: int = 1) -> None:
    send(container.reminder_mailers[0], message_id=f"<{number}@desk.test>", to=address)


def test_after_rotation_the_old_key_is_needed_for_nothing_stored(with_keys) -> None:
    before = with_keys(OLD)
    for number in range(5):
        create_reminder(before, f"reader-{number}@news.example")
        keep_mail(before, f"reader-{number}@news.example", number)
    assert rotate(with_keys(NEW, OLD)) == RotationResult(rotated=10)
    after = with_keys(NEW)
    with after.database.read_only() as session:
        assert sorted(session.scalars(select(Supporter.email))) == [f"reader-{n}@news.example" for n in range(5)]
        assert all("To: reader-" in message for message in session.scalars(select(DevOutboxEmail.message)))
    create_reminder(after, "reader-0@news.example")
    with after.database.transaction() as session:
        assert count_rows(session, Supporter) == 5
        # The kept mails are found by their recipient under the new key as well.
        erase_supporter(session, "reader-0@news.example", now=after.clock())
        assert count_rows(session, DevOutboxEmail) == 4


def test_rotating_again_touches_nothing(with_keys) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    container = with_keys(NEW, OLD)
    assert rotate(container).rotated == 1
    with container.database.read_only() as session:
        before = encrypted_emails(session)
    assert rotate(container) == RotationResult()
    with container.database.read_only() as session:
        assert encrypted_emails(session) == before


def test_a_rotation_that_was_stopped_goes_on_where_it_was(with_keys, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_keys(OLD)
    for number in range(7):
        create_reminder(before, f"reader-{number}@news.example")
    monkeypatch.setattr(key_rotation.rotate_supporters, "__kwdefaults__", {"limit": 3})
    container = with_keys(NEW, OLD)

    class Stopped(Exception):
        pass

    def stop(_: RotationResult) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        rotate_keys(container.database.transaction, clock=container.clock, progress=stop)
    sums: list[int] = []
    rotate_keys(
        container.database.transaction, clock=container.clock, progress=lambda so_far: sums.append(so_far.rotated)
    )
    assert sums == [3, 4]


def test_a_row_that_nothing_opens_is_named_and_keeps_no_other_from_moving(with_keys) -> None:
    lost = create_reminder(with_keys(OLDER), "lost@news.example")
    create_reminder(with_keys(OLD), "a@news.example")
    keep_mail(with_keys(OLDER), "lost@news.example")
    container = with_keys(NEW, OLD)
    with container.database.read_only() as session:
        lost_person = session.scalar(select(Reminder.supporter_id).where(Reminder.id == lost))
        lost_mail = session.scalar(select(DevOutboxEmail.id))
    assert rotate(container) == RotationResult(rotated=1, undecryptable=(lost_person, lost_mail))
    with with_keys(OLDER).database.read_only() as session:
        assert session.scalar(select(Supporter.email).where(Supporter.id == lost_person)) == "lost@news.example"


def known_twice(with_keys, clock: FakeClock) -> tuple[Container, Container]:
    """Two web processes with different first keys that do not know of one another's."""
    return with_keys(OLD), with_keys(NEW)


def test_a_reader_who_became_two_people_is_one_again(with_keys, clock: FakeClock) -> None:
    old, new = known_twice(with_keys, clock)
    first_met = clock()
    gift = create_paid_pledge(old, "a@news.example")
    create_reminder(old, "a@news.example")
    clock.advance(days=1)
    other_gift = create_paid_pledge(new, "a@news.example")
    last_asked = create_reminder(new, "a@news.example")
    container = with_keys(NEW, OLD)
    assert rotate(container) == RotationResult(merged=1)
    with container.database.read_only() as session:
        supporter = session.scalars(select(Supporter)).one()
        assert supporter.created_at == first_met
        assert supporter_of(session, gift) == supporter_of(session, other_gift) == supporter.id
        assert [reminder.id for reminder in session.scalars(select(Reminder))] == [last_asked]


def test_the_reminder_that_was_asked_for_last_stays_whichever_row_has_it(with_keys, clock: FakeClock) -> None:
    old, new = known_twice(with_keys, clock)
    create_reminder(new, "a@news.example")
    clock.advance(days=1)
    last_asked = create_reminder(old, "a@news.example", page_url="https://paper.example/last")
    container = with_keys(NEW, OLD)
    assert rotate(container).merged == 1
    with container.database.read_only() as session:
        reminder = session.scalars(select(Reminder)).one()
        assert (reminder.id, reminder.page_url) == (last_asked, "https://paper.example/last")
        assert reminder.supporter_id == session.scalars(select(Supporter.id)).one()


def test_a_cancel_is_not_lost_when_two_rows_become_one(with_keys, clock: FakeClock) -> None:
    old, new = known_twice(with_keys, clock)
    first = create_reminder(old, "a@news.example")
    clock.advance(days=1)
    last = create_reminder(new, "a@news.example")
    clock.advance(days=1)
    with old.database.transaction() as session:
        token = reminder_token(old.database.keyring, session.get_one(Reminder, first))
        cancel_reminder(session, token, now=clock())
    container = with_keys(NEW, OLD)
    rotate(container)
    with container.database.read_only() as session:
        reminder = session.scalars(select(Reminder)).one()
        assert (reminder.id, reminder.status) == (last, ReminderStatus.CANCELLED)


def test_rotating_beside_running_requests_loses_and_doubles_nobody(with_keys) -> None:
    before = with_keys(OLD)
    readers = [f"reader-{number}@news.example" for number in range(60)]
    for reader in readers:
        create_reminder(before, reader)
    container = with_keys(NEW, OLD)
    start = threading.Barrier(4, timeout=60)

    def keep_asking(turn: int) -> None:
        start.wait()
        for reader in readers[turn::3] + [f"new-{turn}-{number}@news.example" for number in range(5)]:
            create_reminder(container, reader)

    def keep_rotating() -> None:
        start.wait()
        rotate(container)

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(keep_rotating), *(pool.submit(keep_asking, turn) for turn in range(3))]
        for work in working:
            work.result()
    rotate(container)
    with with_keys(NEW).database.read_only() as session:
        assert len(set(session.scalars(select(Supporter.email)))) == count_rows(session, Supporter) == 75
        assert count_rows(session, Reminder) == 75


@pytest.mark.parametrize("table", ["supporters", "dev_outbox", "gateway_events"])
def test_an_erasure_between_reading_and_writing_is_never_undone(
    container: Container, make_container, table: str
) -> None:
    def with_keys(*keys: str) -> Container:
        return make_container(settings_for(container.settings.database_url, SECRET_KEYS=",".join(keys)))

    before, reader = with_keys(OLD), "a@news.example"
    gift = create_paid_pledge(before, reader)
    keep_mail(before, reader)
    with before.database.transaction() as session:
        raw = RawEvent(reference="evt_1", kind="paid", occurred_at=before.clock(), payload=reader)
        store_event(session, "sandbox", raw, source=WEBHOOK, now=before.clock())
        session.execute(update(GatewayEvent).values(pledge_id=gift))
    rotating = with_keys(NEW, OLD)

    def erase(session: Session) -> None:
        erase_supporter(session, reader, now=rotating.clock())

    waited: list[bool] = []
    with interleaving(rotating.database.engine) as between:
        words = (f"FROM {table}", "substr(")
        between.after_statement(*words, deed=lambda: waited.append(must_wait(rotating, erase)))
        rotate(rotating)
    if waited[0]:
        with rotating.database.transaction() as session:
            erase(session)
    with rotating.database.read_only() as session:
        assert count_rows(session, Supporter) == count_rows(session, DevOutboxEmail) == 0
        assert session.scalars(select(GatewayEvent.payload)).all() == [None]


def test_every_stored_value_is_under_the_first_key_afterwards(with_keys) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    keep_mail(with_keys(OLD), "a@news.example")
    container = with_keys(NEW, OLD)
    rotate(container)
    first_key = Keyring((NEW,)).current_id
    with container.database.read_only() as session:
        for column in (Supporter.email, DevOutboxEmail.message):
            assert session.scalar(select(type_coerce(column, LargeBinary)))[:4] == first_key
        for hashed, expected in (
            (Supporter.email_hash, "a@news.example"),
            (DevOutboxEmail.recipient_hash, "a@news.example"),
        ):
            assert session.scalar(select(hashed)) == Keyring((NEW,)).lookup_hash(expected)


def test_a_mail_to_an_international_address_is_found_again(with_keys) -> None:
    keep_mail(with_keys(OLD), "jürgen@xn--bcher-kva.example")
    container = with_keys(NEW, OLD)
    assert rotate(container) == RotationResult(rotated=1)
    with container.database.read_only() as session:
        expected = Keyring((NEW,)).lookup_hash("jürgen@xn--bcher-kva.example")
        assert session.scalar(select(DevOutboxEmail.recipient_hash)) == expected


def test_the_command_says_what_it_did_and_fails_while_something_does_not_open(
    with_keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    create_reminder(with_keys(OLDER), "lost@news.example")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    ended = CliRunner().invoke(cli, ["keys", "rotate"])
    assert ended.exit_code == 1
    assert "Encrypted 1 rows anew" in ended.stdout
    assert "1 rows open with no key" in ended.stderr
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD},{OLDER}")
    ended = CliRunner().invoke(cli, ["keys", "rotate"])
    assert ended.exit_code == 0, ended.output
    container = with_keys(NEW)
    with container.database.read_only() as session:
        assert session.scalars(select(AuditEntry.details).order_by(AuditEntry.id)).all() == [
            {"rotated": 1, "merged": 0, "suppressions": 0, "left_behind": 0, "unreadable": 1},
            {"rotated": 1, "merged": 0, "suppressions": 0, "left_behind": 0, "unreadable": 0},
        ]
