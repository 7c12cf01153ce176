"""Suppressions: scope, precedence between reasons, and lookup under several keys."""

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
OLD, NEW = (f"{name}-key-0123456789-0123456789-0123" for name in ("old", "new"))
PERMANENT = [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT]
REVOCABLE = [SuppressionReason.UNSUBSCRIBE, SuppressionReason.ERASURE]
MINUTE = datetime.timedelta(minutes=1)


def add_suppression(
    container: Container,
    reason: SuppressionReason,
    *,
    scope: str = ALL_CAMPAIGNS,
    address: str = READER,
    **later: float,
) -> None:
    with container.database.transaction() as session:
        suppress(session, address, reason=reason, now=container.clock() + datetime.timedelta(**later), scope=scope)


def suppression_reason(
    container: Container, *, asked: float = 0, campaign: str = "default", address: str = READER
) -> SuppressionReason | None:
    """Return the reason that suppresses an email requested `asked` minutes from now."""
    key, asked_at = uuid.uuid4(), container.clock() + asked * MINUTE
    with container.database.read_only() as session:
        return find_suppressed(session, [Recipient(key, address, campaign, asked_at)]).get(key)


@pytest.mark.parametrize("reason", PERMANENT)
def test_permanent_suppression_outlasts_later_requests(any_database: Container, reason: SuppressionReason) -> None:
    add_suppression(any_database, reason)
    assert [suppression_reason(any_database, asked=minutes) for minutes in (-1, 0, 1, 10**6)] == [reason] * 4


@pytest.mark.parametrize("reason", REVOCABLE)
def test_revocable_suppression_ends_with_a_later_request(
    any_database: Container, reason: SuppressionReason
) -> None:
    add_suppression(any_database, reason)
    assert [suppression_reason(any_database, asked=minutes) for minutes in (-1, 0, 1)] == [reason, None, None]
    assert suppression_reason(any_database, asked=-1, address="other@news.example") is None


def test_unsubscribing_from_one_campaign_does_not_suppress_others(any_database: Container) -> None:
    add_suppression(any_database, SuppressionReason.UNSUBSCRIBE, scope="climate")
    assert suppression_reason(any_database, asked=-1, campaign="climate") == SuppressionReason.UNSUBSCRIBE
    assert suppression_reason(any_database, asked=-1) is None
    add_suppression(any_database, SuppressionReason.COMPLAINT)
    assert (
        suppression_reason(any_database, campaign="climate")
        == suppression_reason(any_database)
        == SuppressionReason.COMPLAINT
    )


def test_batch_lookup_matches_each_recipient_with_its_campaign(any_database: Container) -> None:
    add_suppression(any_database, SuppressionReason.HARD_BOUNCE, scope="climate")
    keys, now = [uuid.uuid4() for _ in range(3)], any_database.clock()
    recipients = [
        Recipient(key, READER, slug, now) for key, slug in zip(keys, ("default", "climate", "*"), strict=True)
    ]
    with any_database.database.read_only() as session:
        assert find_suppressed(session, recipients) == {keys[1]: SuppressionReason.HARD_BOUNCE}


@pytest.mark.parametrize("strong", PERMANENT)
@pytest.mark.parametrize("weak", REVOCABLE)
def test_permanent_suppression_is_never_weakened(
    any_database: Container, strong: SuppressionReason, weak: SuppressionReason
) -> None:
    add_suppression(any_database, weak, minutes=5)
    add_suppression(any_database, strong)
    add_suppression(any_database, weak, minutes=10)
    assert suppression_reason(any_database, asked=100) == strong


@pytest.mark.parametrize("kind", [PERMANENT, REVOCABLE], ids=["permanent", "revocable"])
def test_later_of_two_equally_strong_suppressions_wins_in_any_order(
    any_database: Container, kind: list[SuppressionReason]
) -> None:
    first, second = kind
    add_suppression(any_database, first, minutes=5)
    add_suppression(any_database, second)
    with any_database.database.read_only() as session:
        assert [row.reason for row in suppressions_for(session, READER)] == [first]
    add_suppression(any_database, second, minutes=6)
    with any_database.database.read_only() as session:
        [row] = suppressions_for(session, READER)
        assert (row.reason, row.at) == (second, any_database.clock() + 6 * MINUTE)


def test_batch_lookup_is_one_query(any_database: Container) -> None:
    for number in range(0, 60, 3):
        add_suppression(any_database, SuppressionReason.HARD_BOUNCE, address=f"reader-{number}@news.example")
    keys = [uuid.uuid4() for _ in range(60)]
    recipients = [
        Recipient(key, f"reader-{number}@news.example", "default", any_database.clock())
        for number, key in enumerate(keys)
    ]
    statements: list[str] = []
    event.listen(any_database.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with any_database.database.read_only() as session:
        assert find_suppressed(session, recipients) == dict.fromkeys(keys[::3], SuppressionReason.HARD_BOUNCE)
        assert find_suppressed(session, []) == {}
    assert len([statement for statement in statements if "suppressions" in statement]) == 1


def test_lookup_ignores_case(any_database: Container) -> None:
    add_suppression(any_database, SuppressionReason.COMPLAINT, address="Reader@news.example")
    assert (
        suppression_reason(any_database, address="READER@news.example")
        == suppression_reason(any_database)
        == SuppressionReason.COMPLAINT
    )


def test_suppression_stores_no_address_and_names_its_key(any_database: Container) -> None:
    add_suppression(any_database, SuppressionReason.COMPLAINT)
    with any_database.database.read_only() as session:
        [row] = session.execute(select(Suppression.__table__)).all()
    assert READER.encode() not in str(tuple(row)).encode()
    assert len(row.email_hash) == 32
    assert row.email_hash[:4] == any_database.database.keyring.current_id


def test_prefixed_hashes_differ_by_key_and_by_address() -> None:
    keyring = Keyring((NEW, OLD))
    hashes = keyring.prefixed_lookup_hashes(READER) + keyring.prefixed_lookup_hashes("other@news.example")
    assert len({prefixed[:4] for prefixed in hashes}) == 2
    assert len({prefixed[4:] for prefixed in hashes}) == len(hashes) == 4
    assert Keyring((OLD,)).prefixed_lookup_hashes(READER) == hashes[1:2]


def test_suppression_is_found_under_older_key(url: str, make_container) -> None:
    add_suppression(make_container(settings_for(url, SECRET_KEYS=OLD)), SuppressionReason.COMPLAINT)
    both = make_container(settings_for(url, SECRET_KEYS=f"{NEW},{OLD}"))
    assert suppression_reason(both) == SuppressionReason.COMPLAINT
    add_suppression(both, SuppressionReason.UNSUBSCRIBE, minutes=5)
    assert suppression_reason(both, asked=10) == SuppressionReason.COMPLAINT
    assert suppression_reason(make_container(settings_for(url, SECRET_KEYS=NEW)), asked=10) is None
    with both.database.transaction() as session:
        assert lift_suppression(session, READER) == 2
    assert suppression_reason(both, asked=-1) is None


def test_lifting_removes_one_scope_or_all(any_database: Container) -> None:
    add_suppression(any_database, SuppressionReason.COMPLAINT)
    add_suppression(any_database, SuppressionReason.UNSUBSCRIBE, scope="default")
    add_suppression(any_database, SuppressionReason.HARD_BOUNCE, address="other@news.example")
    with any_database.database.transaction() as session:
        assert lift_suppression(session, READER, scope="climate") == 0
        assert lift_suppression(session, READER, scope=ALL_CAMPAIGNS) == 1
    assert suppression_reason(any_database, asked=-1) == SuppressionReason.UNSUBSCRIBE
    with any_database.database.transaction() as session:
        assert lift_suppression(session, READER) == 1
        assert lift_suppression(session, READER) == 0
    assert suppression_reason(any_database, asked=-1) is None
    assert suppression_reason(any_database, address="other@news.example") == SuppressionReason.HARD_BOUNCE


def test_suppressions_are_listed_in_order_and_counted_by_reason(any_database: Container, clock: FakeClock) -> None:
    for reason in (
        SuppressionReason.COMPLAINT,
        SuppressionReason.UNSUBSCRIBE,
        SuppressionReason.HARD_BOUNCE,
        SuppressionReason.UNSUBSCRIBE,
    ):
        add_suppression(any_database, reason, address=f"{uuid.uuid4().hex}@news.example")
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


def test_concurrent_suppressions_keep_the_strongest(any_database: Container) -> None:
    reasons = [*SuppressionReason] * 8
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(add_suppression, any_database, reason, minutes=minute)
            for minute, reason in enumerate(reasons)
        ]
        for future in futures:
            future.result()
    with any_database.database.read_only() as session:
        [row] = suppressions_for(session, READER)
    assert row.reason in PERMANENT
    assert suppression_reason(any_database, asked=1000) == row.reason
