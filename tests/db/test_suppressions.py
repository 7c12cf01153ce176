"""The list of addresses that get no more mail: what counts, what is stronger, and under which key it is found."""

import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select

from schemas.enums import SuppressionReason
from service.container import Container
from service.db.keyring import Keyring
from service.db.models.email import ALL_CAMPAIGNS, Suppression
from service.domain.email.suppression import (
    Recipient,
    count_suppressions,
    find_suppressed,
    lift_suppression,
    list_suppressions,
    suppress,
    suppressions_for,
)
from tests.clock import FakeClock
from tests.conftest import settings_for

READER = "reader@news.example"
OLD, NEW = (f"{name}-key-0123456789-0123456789" for name in ("old", "new"))
FOR_GOOD = [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT]
TAKEN_BACK = [SuppressionReason.UNSUBSCRIBE, SuppressionReason.ERASURE]
MINUTE = datetime.timedelta(minutes=1)


def say(
    container: Container,
    reason: SuppressionReason,
    *,
    scope: str = ALL_CAMPAIGNS,
    address: str = READER,
    **later: float,
) -> None:
    with container.database.transaction() as session:
        suppress(session, address, reason=reason, now=container.clock() + datetime.timedelta(**later), scope=scope)


def why(
    container: Container, *, asked: float = 0, campaign: str = "default", address: str = READER
) -> SuppressionReason | None:
    """Return why a mail that was asked for so many minutes from now does not leave."""
    key, asked_at = uuid.uuid4(), container.clock() + asked * MINUTE
    with container.database.read_only() as session:
        return find_suppressed(session, [Recipient(key, address, campaign, asked_at)]).get(key)


@pytest.mark.parametrize("reason", FOR_GOOD)
def test_a_bounce_or_a_complaint_counts_whenever_the_reader_asks(
    any_database: Container, reason: SuppressionReason
) -> None:
    say(any_database, reason)
    assert [why(any_database, asked=minutes) for minutes in (-1, 0, 1, 10**6)] == [reason] * 4


@pytest.mark.parametrize("reason", TAKEN_BACK)
def test_what_the_reader_said_counts_until_they_ask_again(
    any_database: Container, reason: SuppressionReason
) -> None:
    say(any_database, reason)
    assert [why(any_database, asked=minutes) for minutes in (-1, 0, 1)] == [reason, None, None]
    assert why(any_database, asked=-1, address="other@news.example") is None


def test_a_campaign_that_was_left_keeps_no_other_from_writing(any_database: Container) -> None:
    say(any_database, SuppressionReason.UNSUBSCRIBE, scope="climate")
    assert why(any_database, asked=-1, campaign="climate") == SuppressionReason.UNSUBSCRIBE
    assert why(any_database, asked=-1) is None
    say(any_database, SuppressionReason.COMPLAINT)
    assert why(any_database, campaign="climate") == why(any_database) == SuppressionReason.COMPLAINT


def test_a_campaign_cannot_be_taken_for_another_of_the_same_question(any_database: Container) -> None:
    say(any_database, SuppressionReason.HARD_BOUNCE, scope="climate")
    keys, now = [uuid.uuid4() for _ in range(3)], any_database.clock()
    wanted = [
        Recipient(key, READER, slug, now) for key, slug in zip(keys, ("default", "climate", "*"), strict=True)
    ]
    with any_database.database.read_only() as session:
        assert find_suppressed(session, wanted) == {keys[1]: SuppressionReason.HARD_BOUNCE}


@pytest.mark.parametrize("strong", FOR_GOOD)
@pytest.mark.parametrize("weak", TAKEN_BACK)
def test_what_holds_for_good_is_never_weakened(
    any_database: Container, strong: SuppressionReason, weak: SuppressionReason
) -> None:
    say(any_database, weak, minutes=5)
    say(any_database, strong)
    say(any_database, weak, minutes=10)
    assert why(any_database, asked=100) == strong


@pytest.mark.parametrize("kind", [FOR_GOOD, TAKEN_BACK], ids=["for good", "taken back"])
def test_of_two_of_one_kind_the_later_stays_whichever_comes_first(
    any_database: Container, kind: list[SuppressionReason]
) -> None:
    first, second = kind
    say(any_database, first, minutes=5)
    say(any_database, second)
    with any_database.database.read_only() as session:
        assert [row.reason for row in suppressions_for(session, READER)] == [first]
    say(any_database, second, minutes=6)
    with any_database.database.read_only() as session:
        [row] = suppressions_for(session, READER)
        assert (row.reason, row.at) == (second, any_database.clock() + 6 * MINUTE)


def test_a_whole_batch_is_one_question(any_database: Container) -> None:
    for number in range(0, 60, 3):
        say(any_database, SuppressionReason.HARD_BOUNCE, address=f"reader-{number}@news.example")
    keys = [uuid.uuid4() for _ in range(60)]
    wanted = [
        Recipient(key, f"reader-{number}@news.example", "default", any_database.clock())
        for number, key in enumerate(keys)
    ]
    asked: list[str] = []
    event.listen(any_database.database.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    with any_database.database.read_only() as session:
        assert find_suppressed(session, wanted) == dict.fromkeys(keys[::3], SuppressionReason.HARD_BOUNCE)
        assert find_suppressed(session, []) == {}
    assert len([statement for statement in asked if "suppressions" in statement]) == 1


def test_capitals_make_no_difference(any_database: Container) -> None:
    say(any_database, SuppressionReason.COMPLAINT, address="Reader@news.example")
    assert why(any_database, address="READER@news.example") == why(any_database) == SuppressionReason.COMPLAINT


def test_no_address_lies_in_the_table_and_each_row_says_which_key_it_needs(any_database: Container) -> None:
    say(any_database, SuppressionReason.COMPLAINT)
    with any_database.database.read_only() as session:
        [row] = session.execute(select(Suppression.__table__)).all()
    assert READER.encode() not in str(tuple(row)).encode()
    assert len(row.email_hash) == 32
    assert row.email_hash[:4] == any_database.database.keyring.current_id


def test_marked_hashes_differ_by_key_and_by_address() -> None:
    ring = Keyring((NEW, OLD))
    hashes = ring.prefixed_lookup_hashes(READER) + ring.prefixed_lookup_hashes("other@news.example")
    assert len({one[:4] for one in hashes}) == 2
    assert len({one[4:] for one in hashes}) == len(hashes) == 4
    assert Keyring((OLD,)).prefixed_lookup_hashes(READER) == hashes[1:2]


def test_an_older_key_still_finds_what_it_hashed(url: str, make_container) -> None:
    say(make_container(settings_for(url, SECRET_KEYS=OLD)), SuppressionReason.COMPLAINT)
    both = make_container(settings_for(url, SECRET_KEYS=f"{NEW},{OLD}"))
    assert why(both) == SuppressionReason.COMPLAINT
    say(both, SuppressionReason.UNSUBSCRIBE, minutes=5)
    assert why(both, asked=10) == SuppressionReason.COMPLAINT
    assert why(make_container(settings_for(url, SECRET_KEYS=NEW)), asked=10) is None
    with both.database.transaction() as session:
        assert lift_suppression(session, READER) == 2
    assert why(both, asked=-1) is None


def test_lifting_takes_away_one_scope_or_all(any_database: Container) -> None:
    say(any_database, SuppressionReason.COMPLAINT)
    say(any_database, SuppressionReason.UNSUBSCRIBE, scope="default")
    say(any_database, SuppressionReason.HARD_BOUNCE, address="other@news.example")
    with any_database.database.transaction() as session:
        assert lift_suppression(session, READER, scope="climate") == 0
        assert lift_suppression(session, READER, scope=ALL_CAMPAIGNS) == 1
    assert why(any_database, asked=-1) == SuppressionReason.UNSUBSCRIBE
    with any_database.database.transaction() as session:
        assert lift_suppression(session, READER) == 1
        assert lift_suppression(session, READER) == 0
    assert why(any_database, asked=-1) is None
    assert why(any_database, address="other@news.example") == SuppressionReason.HARD_BOUNCE


def test_the_list_is_told_in_order_and_counted_by_reason(any_database: Container, clock: FakeClock) -> None:
    for reason in (
        SuppressionReason.COMPLAINT,
        SuppressionReason.UNSUBSCRIBE,
        SuppressionReason.HARD_BOUNCE,
        SuppressionReason.UNSUBSCRIBE,
    ):
        say(any_database, reason, address=f"{uuid.uuid4().hex}@news.example")
        clock.advance(minutes=1)
    with any_database.database.read_only() as session:
        assert [row.reason for row in list_suppressions(session)] == [
            SuppressionReason.COMPLAINT,
            SuppressionReason.UNSUBSCRIBE,
            SuppressionReason.HARD_BOUNCE,
            SuppressionReason.UNSUBSCRIBE,
        ]
        assert len(list(list_suppressions(session, reason=SuppressionReason.UNSUBSCRIBE))) == 2
        assert count_suppressions(session) == {
            SuppressionReason.HARD_BOUNCE: 1,
            SuppressionReason.COMPLAINT: 1,
            SuppressionReason.UNSUBSCRIBE: 2,
            SuppressionReason.ERASURE: 0,
        }


def test_many_voices_at_once_leave_the_strongest(any_database: Container) -> None:
    voices = [*SuppressionReason] * 8
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(say, any_database, reason, minutes=turn) for turn, reason in enumerate(voices)]:
            done.result()
    with any_database.database.read_only() as session:
        [row] = suppressions_for(session, READER)
    assert row.reason in FOR_GOOD
    assert why(any_database, asked=1000) == row.reason
