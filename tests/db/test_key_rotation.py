"""Key rotation (`mainstay keys rotate`) encrypts every value with the first key and loses no row."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

OLDER, OLD, NEW = (f"{name}-key-0123456789-0123456789-0123" for name in ("older", "old", "new"))


@pytest.fixture
def with_keys(url: str, make_container):
    return lambda *keys: make_container(settings_for(url, SECRET_KEYS=",".join(keys)))


def rotate(container: Container) -> RotationResult:
    return rotate_keys(container.database.transaction, clock=container.clock)


def send_email(container: Container, address: str, number: int = 1) -> None:
    send(container.mailers[0], message_id=f"<{number}@desk.test>", to=address)


def test_old_key_is_not_needed_after_rotation(with_keys) -> None:
    before = with_keys(OLD)
    for number in range(5):
        create_reminder(before, f"reader-{number}@news.example")
        send_email(before, f"reader-{number}@news.example", number)
    assert rotate(with_keys(NEW, OLD)) == RotationResult(rotated=10)
    after = with_keys(NEW)
    with after.database.read_only() as session:
        assert sorted(session.scalars(select(Supporter.email))) == [f"reader-{n}@news.example" for n in range(5)]
        assert all("To: reader-" in message for message in session.scalars(select(DevOutboxEmail.message)))
    create_reminder(after, "reader-0@news.example")
    with after.database.transaction() as session:
        assert count_rows(session, Supporter) == 5
        # Stored emails are also found by their recipient's hash under the new key.
        erase_supporter(session, "reader-0@news.example", now=after.clock())
        assert count_rows(session, DevOutboxEmail) == 4


def test_second_rotation_changes_nothing(with_keys) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    container = with_keys(NEW, OLD)
    assert rotate(container).rotated == 1
    with container.database.read_only() as session:
        before = encrypted_emails(session)
    assert rotate(container) == RotationResult()
    with container.database.read_only() as session:
        assert encrypted_emails(session) == before


def test_interrupted_rotation_resumes(with_keys, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_keys(OLD)
    for number in range(7):
        create_reminder(before, f"reader-{number}@news.example")
    monkeypatch.setattr(key_rotation.rotate_supporters, "__kwdefaults__", {"limit": 3, "only_unfolded": False})
    container = with_keys(NEW, OLD)

    class Interrupted(Exception):
        pass

    def stop(_: RotationResult) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        rotate_keys(container.database.transaction, clock=container.clock, progress=stop)
    rotated: list[int] = []
    rotate_keys(
        container.database.transaction, clock=container.clock, progress=lambda total: rotated.append(total.rotated)
    )
    assert rotated == [3, 4]


@pytest.mark.parametrize("count", [2, 30])
def test_rotate_command_names_many_undecryptable_rows_in_a_file_and_few_on_the_screen(
    with_keys, url: str, tmp_path: Path, count: int
) -> None:
    for number in range(count):
        create_reminder(with_keys(OLDER), f"lost{number}@news.example")
    with with_keys(NEW).database.read_only() as session:
        ids = {str(supporter_id) for supporter_id in session.scalars(select(Supporter.id))}
    environment = {"DATABASE_URL": url, "SECRET_KEYS": f"{NEW},{OLD}"}
    result = CliRunner().invoke(cli, ["keys", "rotate"], env=environment)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"{count} rows open with no key" in result.stderr
    assert len([supporter_id for supporter_id in ids if supporter_id in result.stderr]) == (2 if count == 2 else 1)
    file = tmp_path / "ids"
    result = CliRunner().invoke(cli, ["keys", "rotate", "--unreadable", str(file)], env=environment)
    assert (result.exit_code, str(file) in result.stderr) == (1, True)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert (len(lines), set(lines)) == (count, ids)


def test_undecryptable_row_is_reported_and_does_not_stop_rotation(with_keys) -> None:
    lost = create_reminder(with_keys(OLDER), "lost@news.example")
    create_reminder(with_keys(OLD), "a@news.example")
    send_email(with_keys(OLDER), "lost@news.example")
    container = with_keys(NEW, OLD)
    with container.database.read_only() as session:
        lost_supporter = session.scalar(select(Reminder.supporter_id).where(Reminder.id == lost))
        lost_email = session.scalar(select(DevOutboxEmail.id))
    assert rotate(container) == RotationResult(rotated=1, undecryptable=(lost_supporter, lost_email))
    with with_keys(OLDER).database.read_only() as session:
        assert session.scalar(select(Supporter.email).where(Supporter.id == lost_supporter)) == "lost@news.example"


def separate_key_containers(with_keys, clock: FakeClock) -> tuple[Container, Container]:
    """Return two containers that do not share a key, so that each stores the same address as another supporter."""
    return with_keys(OLD), with_keys(NEW)


def test_rotation_merges_duplicate_supporters(with_keys, clock: FakeClock) -> None:
    old, new = separate_key_containers(with_keys, clock)
    first_created_at = clock()
    pledge_id = create_paid_pledge(old, "a@news.example")
    first = create_reminder(old, "a@news.example")
    clock.advance(days=1)
    other_pledge_id = create_paid_pledge(new, "a@news.example")
    create_reminder(new, "a@news.example")
    container = with_keys(NEW, OLD)
    assert rotate(container) == RotationResult(merged=1)
    with container.database.read_only() as session:
        supporter = session.scalars(select(Supporter)).one()
        assert supporter.created_at == first_created_at
        assert supporter_of(session, pledge_id) == supporter_of(session, other_pledge_id) == supporter.id
        assert [reminder.id for reminder in session.scalars(select(Reminder))] == [first]


def test_merge_keeps_the_first_reminder_with_the_latest_date(with_keys, clock: FakeClock) -> None:
    old, new = separate_key_containers(with_keys, clock)
    first = create_reminder(new, "a@news.example", page_url="https://paper.example/first")
    clock.advance(days=1)
    latest = create_reminder(old, "a@news.example", page_url="https://paper.example/last")
    with old.database.read_only() as session:
        due_on = session.get_one(Reminder, latest).due_on
    container = with_keys(NEW, OLD)
    assert rotate(container).merged == 1
    with container.database.read_only() as session:
        reminder = session.scalars(select(Reminder)).one()
        assert (reminder.id, reminder.page_url) == (first, "https://paper.example/first")
        assert reminder.due_on == due_on
        assert reminder.supporter_id == session.scalars(select(Supporter.id)).one()


def test_merge_preserves_cancellation(with_keys, clock: FakeClock) -> None:
    old, new = separate_key_containers(with_keys, clock)
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


def test_rotation_during_concurrent_requests_keeps_supporters_unique(with_keys) -> None:
    before = with_keys(OLD)
    addresses = [f"reader-{number}@news.example" for number in range(60)]
    for address in addresses:
        create_reminder(before, address)
    container = with_keys(NEW, OLD)
    barrier = threading.Barrier(4, timeout=60)

    def create_reminders(turn: int) -> None:
        barrier.wait()
        for address in addresses[turn::3] + [f"new-{turn}-{number}@news.example" for number in range(5)]:
            create_reminder(container, address)

    def rotate_meanwhile() -> None:
        barrier.wait()
        rotate(container)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(rotate_meanwhile), *(pool.submit(create_reminders, turn) for turn in range(3))]
        for work in futures:
            work.result()
    rotate(container)
    with with_keys(NEW).database.read_only() as session:
        assert len(set(session.scalars(select(Supporter.email)))) == count_rows(session, Supporter) == 75
        assert count_rows(session, Reminder) == 75


@pytest.mark.parametrize("table", ["supporters", "dev_outbox", "gateway_events"])
def test_rotation_does_not_undo_concurrent_erasure(container: Container, make_container, table: str) -> None:
    def with_keys(*keys: str) -> Container:
        return make_container(settings_for(container.settings.database_url, SECRET_KEYS=",".join(keys)))

    before, address = with_keys(OLD), "a@news.example"
    pledge_id = create_paid_pledge(before, address)
    send_email(before, address)
    with before.database.transaction() as session:
        raw = RawEvent(reference="evt_1", kind="paid", occurred_at=before.clock(), payload=address)
        store_event(session, "sandbox", raw, source=WEBHOOK, now=before.clock())
        session.execute(update(GatewayEvent).values(pledge_id=pledge_id))
    rotating = with_keys(NEW, OLD)

    def erase(session: Session) -> None:
        erase_supporter(session, address, now=rotating.clock())

    waited: list[bool] = []
    with interleaving(rotating.database.engine) as between:
        fragments = (f"FROM {table}", "substr(")
        between.after_statement(*fragments, action=lambda: waited.append(must_wait(rotating, erase)))
        rotate(rotating)
    if waited[0]:
        with rotating.database.transaction() as session:
            erase(session)
    with rotating.database.read_only() as session:
        assert count_rows(session, Supporter) == count_rows(session, DevOutboxEmail) == 0
        assert session.scalars(select(GatewayEvent.payload)).all() == [None]


def test_rotated_values_and_hashes_use_the_first_key(with_keys) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    send_email(with_keys(OLD), "a@news.example")
    container = with_keys(NEW, OLD)
    rotate(container)
    first_key = Keyring((NEW,)).current_id
    with container.database.read_only() as session:
        for column in (Supporter.email, DevOutboxEmail.message):
            assert session.scalar(select(type_coerce(column, LargeBinary)))[:4] == first_key
        for column, address in (
            (Supporter.email_hash, "a@news.example"),
            (DevOutboxEmail.recipient_hash, "a@news.example"),
        ):
            assert session.scalar(select(column)) == Keyring((NEW,)).lookup_hash(address)


def test_outbox_hash_of_international_address_is_rotated(with_keys) -> None:
    send_email(with_keys(OLD), "jürgen@xn--bcher-kva.example")
    container = with_keys(NEW, OLD)
    assert rotate(container) == RotationResult(rotated=1)
    with container.database.read_only() as session:
        expected = Keyring((NEW,)).lookup_hash("jürgen@xn--bcher-kva.example")
        assert session.scalar(select(DevOutboxEmail.recipient_hash)) == expected


def test_rotate_command_reports_counts_and_fails_on_undecryptable_rows(
    with_keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_reminder(with_keys(OLD), "a@news.example")
    create_reminder(with_keys(OLDER), "lost@news.example")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    result = CliRunner().invoke(cli, ["keys", "rotate"])
    assert result.exit_code == 1
    assert "Encrypted 1 row again with the first key." in result.stdout
    assert "1 row opens with no key" in result.stderr
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD},{OLDER}")
    result = CliRunner().invoke(cli, ["keys", "rotate"])
    assert result.exit_code == 0, result.output
    container = with_keys(NEW)
    with container.database.read_only() as session:
        assert session.scalars(select(AuditEntry.details).order_by(AuditEntry.id)).all() == [
            {"rotated": 1, "merged": 0, "suppressions": 0, "left_behind": 0, "unreadable": 1},
            {"rotated": 1, "merged": 0, "suppressions": 0, "left_behind": 0, "unreadable": 0},
        ]
