"""Supporters whom a release before split by the case of their address are folded and merged, completely."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select, update

from schemas.enums import SuppressionReason
from service.cli import cli
from service.container import Container
from service.db.base import new_id
from service.db.models.email import DevOutboxEmail, Suppression
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.email.suppression import suppress, suppressions_for
from service.domain.privacy.key_rotation import RotationResult, fold_supporters, rotate_keys
from service.domain.supporters import get_or_create_supporter, lock_supporter_by_email
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.db.factories import count_rows, create_paid_pledge, create_reminder, supporter_of
from tests.gateways.emails import send

TYPED, FOLDED = "Jane.Doe@news.example", "jane.doe@news.example"
OLD, NEW = (f"{name}-key-0123456789-0123456789-0123" for name in ("old", "new"))


def unfold(container: Container, *supporter_ids: uuid.UUID) -> None:
    """Give supporters the hash and the version that the release before gave them."""
    with container.database.transaction() as session:
        for supporter_id in supporter_ids:
            address = session.get_one(Supporter, supporter_id).email
            values = {"email_hash": container.database.keyring.lookup_hash(address), "hash_version": 1}
            session.execute(update(Supporter).where(Supporter.id == supporter_id).values(values))


def add_unfolded_supporter(container: Container, address: str) -> uuid.UUID:
    """Insert a supporter as a process of the release before does during a deployment."""
    supporter_id = new_id()
    with container.database.transaction() as session:
        row = {
            "id": supporter_id,
            "email": address,
            "email_hash": container.database.keyring.lookup_hash(address),
            "created_at": container.clock(),
        }
        session.execute(insert(Supporter).values(row))
    return supporter_id


def add_split_supporter(container: Container, address: str, clock: FakeClock) -> tuple[uuid.UUID, uuid.UUID]:
    """Create a reminder and a pledge of one supporter by the release before; return the ids of both."""
    supporter_id = add_unfolded_supporter(container, address)
    other = f"{supporter_id}@news.example"
    reminder_id, pledge_id = create_reminder(container, other), create_paid_pledge(container, other)
    clock.advance(days=1)
    with container.database.transaction() as session:
        for table, row_id in ((Reminder, reminder_id), (Pledge, pledge_id)):
            session.execute(update(table).where(table.id == row_id).values(supporter_id=supporter_id))
    return reminder_id, pledge_id


def fold(container: Container) -> RotationResult:
    return fold_supporters(container.database.transaction, clock=container.clock)


def supporters(container: Container) -> list[Supporter]:
    with container.database.read_only() as session:
        return list(session.scalars(select(Supporter).order_by(Supporter.id)))


@pytest.mark.parametrize(
    "addresses",
    [
        (TYPED, FOLDED),
        (FOLDED, TYPED),
        ("JANE.DOE@news.example", TYPED, FOLDED),
        (FOLDED, "jane.doE@news.example"),
    ],
)
def test_split_supporters_are_merged(
    any_database: Container, clock: FakeClock, addresses: tuple[str, ...]
) -> None:
    first_created_at = clock()
    rows = [add_split_supporter(any_database, address, clock) for address in addresses]
    result = fold(any_database)
    assert result.merged == len(addresses) - 1
    with any_database.database.read_only() as session:
        kept = session.scalars(select(Supporter).where(Supporter.email.is_not(None))).all()
        kept = [row for row in kept if row.email.lower() == FOLDED]
        [supporter] = kept
        # The address as typed last is the one to send to.
        assert (supporter.email, supporter.created_at) == (addresses[-1], first_created_at)
        assert supporter.hash_version == 2
        assert {supporter_of(session, pledge_id) for _, pledge_id in rows} == {supporter.id}
        reminders = session.scalars(select(Reminder).where(Reminder.supporter_id == supporter.id)).all()
        assert [reminder.id for reminder in reminders] == [rows[0][0]]
    assert fold(any_database) == RotationResult()
    with any_database.database.transaction() as session:
        assert lock_supporter_by_email(session, "JANE.doe@news.example") == supporter.id


def test_migrate_command_merges_split_supporters(
    any_database: Container, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_unfolded_supporter(any_database, TYPED)
    add_unfolded_supporter(any_database, FOLDED)
    add_unfolded_supporter(any_database, "jane.doe+paper@news.example")
    add_unfolded_supporter(any_database, "janedoe@news.example")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", ",".join(any_database.settings.secret_keys))
    for expected in ("Merged 1 supporter", ""):
        result = CliRunner().invoke(cli, ["migrate"])
        assert result.exit_code == 0, result.output
        assert expected in result.stdout
    emails = [FOLDED, "jane.doe+paper@news.example", "janedoe@news.example"]
    assert sorted(row.email for row in supporters(any_database)) == sorted(emails)


def test_row_of_the_release_before_is_found_until_it_is_folded(any_database: Container) -> None:
    supporter_id = add_unfolded_supporter(any_database, TYPED)
    with any_database.database.transaction() as session:
        assert get_or_create_supporter(session, TYPED, now=any_database.clock()) == supporter_id
    # Another spelling cannot be found by a hash of the address as typed. The job merges the two.
    with any_database.database.transaction() as session:
        assert get_or_create_supporter(session, FOLDED, now=any_database.clock()) != supporter_id
    assert fold(any_database).merged == 1
    assert len(supporters(any_database)) == 1


def test_supporters_under_two_keys_and_two_spellings_become_one(
    url: str, make_container, clock: FakeClock
) -> None:
    old, new = (make_container(settings_for(url, SECRET_KEYS=key)) for key in (OLD, NEW))
    both = make_container(settings_for(url, SECRET_KEYS=f"{NEW},{OLD}"))
    for container, address in ((old, TYPED), (old, FOLDED), (new, TYPED), (new, "JANE.DOE@news.example")):
        add_unfolded_supporter(container, address)
    rotate_keys(both.database.transaction, clock=clock)
    assert [row.email for row in supporters(new)] == ["JANE.DOE@news.example"]
    with new.database.transaction() as session:
        assert lock_supporter_by_email(session, FOLDED) is not None


def test_suppression_holds_if_either_spelling_had_it(any_database: Container) -> None:
    # The release before hashed the lower-case form, which is not the folded one for every letter.
    typed, folded = "Straße@news.example", "strasse@news.example"
    add_unfolded_supporter(any_database, typed)
    keyring = any_database.database.keyring
    with any_database.database.transaction() as session:
        row = {
            "email_hash": keyring.prefixed_lookup_hashes(typed.lower())[0],
            "scope": "*",
            "reason": SuppressionReason.COMPLAINT,
            "at": any_database.clock(),
        }
        session.execute(insert(Suppression).values(row))
        suppress(session, folded, reason=SuppressionReason.UNSUBSCRIBE, scope="default", now=any_database.clock())
    assert fold(any_database).suppressions == 1
    with any_database.database.read_only() as session:
        reasons = {row.scope: row.reason for row in suppressions_for(session, "STRASSE@news.example")}
    assert reasons == {"*": SuppressionReason.COMPLAINT, "default": SuppressionReason.UNSUBSCRIBE}


def test_stored_email_gets_the_folded_hash(any_database: Container) -> None:
    supporter_id = add_unfolded_supporter(any_database, TYPED)
    send(any_database.mailers[0], message_id="<1@desk.test>", to=TYPED)
    keyring = any_database.database.keyring
    with any_database.database.transaction() as session:
        assert session.scalar(select(DevOutboxEmail.recipient_hash)) == keyring.lookup_hash(FOLDED)
        session.execute(update(DevOutboxEmail).values(recipient_hash=keyring.lookup_hash(TYPED)))
    fold(any_database)
    with any_database.database.read_only() as session:
        assert session.scalar(select(DevOutboxEmail.recipient_hash)) == keyring.lookup_hash(FOLDED)
        assert session.scalars(select(Supporter.id)).all() == [supporter_id]


def test_undecryptable_supporter_stays_and_the_others_are_folded(url: str, make_container) -> None:
    lost, known = (make_container(settings_for(url, SECRET_KEYS=key)) for key in (OLD, NEW))
    lost_id = add_unfolded_supporter(lost, TYPED)
    add_unfolded_supporter(known, TYPED)
    add_unfolded_supporter(known, FOLDED)
    assert fold(known) == RotationResult(rotated=1, merged=1, undecryptable=(lost_id,))
    assert fold(known) == RotationResult(undecryptable=(lost_id,))


def test_folding_during_sign_ups_loses_and_doubles_nobody(any_database: Container) -> None:
    names = [f"Reader-{number}@news.example" for number in range(60)]
    for name in names:
        create_reminder(any_database, name)
    unfold(any_database, *(row.id for row in supporters(any_database)))
    barrier = threading.Barrier(4, timeout=60)

    def sign_up(turn: int) -> None:
        barrier.wait()
        for name in names[turn::2]:
            create_reminder(any_database, name.upper() if turn else name.lower())

    def fold_meanwhile(_turn: int) -> None:
        barrier.wait()
        fold(any_database)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, turn) for work in (sign_up, fold_meanwhile) for turn in range(2)]
        for future in futures:
            future.result()
    fold(any_database)
    with any_database.database.read_only() as session:
        assert count_rows(session, Supporter) == count_rows(session, Reminder) == 60
