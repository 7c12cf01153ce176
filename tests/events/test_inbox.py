"""The event inbox on PostgreSQL: concurrent workers share the due events, and none waits for another."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text, update

from schemas.enums import EventStatus, PledgeStatus
from service.container import Container
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.domain.errors import InvalidTransition
from service.domain.payments.inbox import (
    PAYLOAD_RETENTION,
    VISIBILITY_TIMEOUT,
    WEBHOOK,
    claim_events,
    lock_event,
    purge_payloads,
    reset_event,
    store_event,
)
from service.domain.pledges.pledges import CHECKOUT_TTL, expire_abandoned_pledges
from service.domain.ports import RawEvent
from service.gateways.stripe.client import PROBE_TIMEOUT
from tests.api.client import insert_pledges
from tests.interleaving import interleaving, must_wait

SECOND = datetime.timedelta(seconds=1)


def store_events(
    container: Container, *references: str, gateway: str = "stripe", before: datetime.timedelta = 0 * SECOND
) -> None:
    """Store events that occurred one second apart."""
    now = container.clock()
    with container.database.transaction() as session:
        for number, reference in enumerate(references):
            raw = RawEvent(
                reference=reference, kind="paid", occurred_at=now - before + number * SECOND, payload="{}"
            )
            assert store_event(session, gateway, raw, source=WEBHOOK, now=now)


def ids_by_reference(container: Container) -> dict[str, uuid.UUID]:
    with container.database.read_only() as session:
        return dict(session.execute(select(GatewayEvent.reference, GatewayEvent.id)).all())


def claim(container: Container, limit: int = 10) -> list[str]:
    """Claim due events, with a short lock timeout; return their references."""
    references = {event_id: reference for reference, event_id in ids_by_reference(container).items()}
    with container.database.transaction() as session:
        session.execute(text("SET LOCAL lock_timeout = '2s'"))
        return [
            references[claimed] for claimed in claim_events(session, "stripe", now=container.clock(), limit=limit)
        ]


def test_claim_skips_events_locked_by_another_worker(container: Container) -> None:
    store_events(container, "evt_locked", "evt_free")
    with container.database.transaction() as session:
        assert lock_event(session, ids_by_reference(container)["evt_locked"]) is not None
        assert claim(container) == ["evt_free"]
    assert claim(container) == ["evt_locked"]


def test_purge_skips_payloads_locked_by_another_worker(container: Container) -> None:
    store_events(container, "evt_locked", "evt_free")
    container.clock.now += PAYLOAD_RETENTION
    with container.database.transaction() as session:
        lock_event(session, ids_by_reference(container)["evt_locked"])
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert purge_payloads(other, now=container.clock()) == 1
    with container.database.read_only() as session:
        with_payload = select(GatewayEvent.reference).where(GatewayEvent.payload.is_not(None))
        assert session.scalars(with_payload).all() == ["evt_locked"]


def test_payloads_are_purged_oldest_first_in_batches(container: Container) -> None:
    for reference in ("evt_1", "evt_2", "evt_3"):
        store_events(container, reference)
        container.clock.now += SECOND
    container.clock.now += PAYLOAD_RETENTION - 2 * SECOND
    with container.database.transaction() as session:
        assert purge_payloads(session, now=container.clock(), limit=1) == 1
        with_payload = (
            select(GatewayEvent.reference).where(GatewayEvent.payload.is_not(None)).order_by("reference")
        )
        assert session.scalars(with_payload).all() == ["evt_2", "evt_3"]
        # The last event is one second short of the retention period.
        assert purge_payloads(session, now=container.clock()) == 1
        assert session.scalars(with_payload).all() == ["evt_3"]


def test_expiry_skips_pledges_locked_by_another_worker(container: Container) -> None:
    insert_pledges(container, 2)
    container.clock.now += CHECKOUT_TTL
    with container.database.transaction() as session:
        locked = session.scalars(select(Pledge).limit(1).with_for_update()).one()
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert expire_abandoned_pledges(other, now=container.clock()) == 1
    with container.database.read_only() as session:
        pending = session.scalars(select(Pledge.id).where(Pledge.status == PledgeStatus.PENDING)).all()
    assert pending == [locked.id]


def test_concurrent_workers_claim_every_event_once(container: Container) -> None:
    references = [f"evt_{number:02}" for number in range(40)]
    store_events(container, *references)
    start = threading.Barrier(4)

    def claim_all(_: int) -> list[str]:
        start.wait(timeout=20)
        claimed: list[str] = []
        while batch := claim(container, limit=3):
            claimed += batch
        return claimed

    with ThreadPoolExecutor(4) as pool:
        claimed = [reference for batch in pool.map(claim_all, range(4), timeout=60) for reference in batch]
    assert sorted(claimed) == references


def test_events_are_claimed_in_order_of_occurrence(container: Container) -> None:
    store_events(container, "evt_2", "evt_3", before=5 * SECOND)
    store_events(container, "evt_1", before=10 * SECOND)
    assert claim(container) == ["evt_1", "evt_2", "evt_3"]


def test_only_due_events_are_claimed_longest_due_first(container: Container) -> None:
    store_events(container, "evt_late", "evt_early", "evt_future")
    with container.database.transaction() as session:
        for reference, due in (("evt_late", 0), ("evt_early", -5), ("evt_future", 1)):
            at = container.clock() + due * SECOND
            session.execute(
                update(GatewayEvent).where(GatewayEvent.reference == reference).values(next_attempt_at=at)
            )
    with container.database.transaction() as session:
        # Without an index scan, the rows come in no particular order.
        session.execute(text("SET LOCAL enable_indexscan = off"))
        session.execute(text("SET LOCAL enable_bitmapscan = off"))
        [claimed] = claim_events(session, "stripe", now=container.clock(), limit=1)
    assert claimed == ids_by_reference(container)["evt_early"]
    assert claim(container) == ["evt_late"]
    assert claim(container) == []
    container.clock.now += SECOND
    assert claim(container) == ["evt_future"]


def test_claimed_event_is_invisible_until_the_timeout(container: Container) -> None:
    store_events(container, "evt_1")
    assert claim(container) == ["evt_1"]
    container.clock.now += VISIBILITY_TIMEOUT - SECOND
    assert claim(container) == []
    container.clock.now += SECOND
    assert claim(container) == ["evt_1"]


def test_visibility_timeout_exceeds_the_gateway_calls_of_an_event() -> None:
    # A charge may need lookups of its intent, its invoice and its subscription.
    assert VISIBILITY_TIMEOUT > 4 * PROBE_TIMEOUT


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        (EventStatus.RECEIVED, True),
        (EventStatus.WAITING, True),
        (EventStatus.APPLIED, False),
        (EventStatus.IGNORED, False),
        (EventStatus.PARKED, False),
    ],
)
def test_only_open_events_of_the_gateway_are_claimed_and_locked(
    container: Container, status: EventStatus, *, is_open: bool
) -> None:
    store_events(container, "evt_1")
    store_events(container, "evt_1", gateway="another")
    with container.database.transaction() as session:
        session.execute(update(GatewayEvent).values(status=status))
        event_id = session.scalars(select(GatewayEvent.id).where(GatewayEvent.gateway == "stripe")).one()
        assert (lock_event(session, event_id) is not None) == is_open
        assert claim_events(session, "stripe", now=container.clock(), limit=10) == ([event_id] if is_open else [])


def test_event_is_locked_until_the_transaction_ends(container: Container) -> None:
    store_events(container, "evt_1")
    event_id = ids_by_reference(container)["evt_1"]
    with container.database.transaction() as session:
        lock_event(session, event_id)
        assert must_wait(container, lambda other: lock_event(other, event_id))
        assert must_wait(container, lambda other: reset_event(other, event_id, now=container.clock()))
    assert not must_wait(container, lambda other: lock_event(other, event_id))


def test_event_applied_before_the_lock_is_not_reset(container: Container) -> None:
    store_events(container, "evt_1")

    def apply() -> None:
        with container.database.transaction() as session:
            session.execute(update(GatewayEvent).values(status=EventStatus.APPLIED))

    with interleaving(container.database.engine) as between:
        between.before_lock("gateway_events", apply)
        with (
            container.database.transaction() as session,
            pytest.raises(InvalidTransition, match="applied already"),
        ):
            reset_event(session, ids_by_reference(container)["evt_1"], now=container.clock())


def test_event_is_stored_once_per_gateway(container: Container) -> None:
    store_events(container, "evt_1")
    raw = RawEvent(reference="evt_1", kind="paid", occurred_at=container.clock(), payload="{}")
    with container.database.transaction() as session:
        assert not store_event(session, "stripe", raw, source=WEBHOOK, now=container.clock())
        assert store_event(session, "another", raw, source=WEBHOOK, now=container.clock())


def test_reset_restores_all_attempts_unless_payload_is_purged_or_event_applied(
    container: Container,
) -> None:
    store_events(container, "evt_1")
    event_id = ids_by_reference(container)["evt_1"]
    with container.database.transaction() as session:
        values = {"status": EventStatus.PARKED, "attempts": 12, "reason": "It was parked."}
        session.execute(update(GatewayEvent).values(**values))
    with container.database.transaction() as session:
        event = reset_event(session, event_id, now=container.clock())
        assert (event.status, event.attempts, event.reason) == (EventStatus.RECEIVED, 0, None)
    # The caller of the reset has claimed the event.
    assert claim(container) == []
    for values in ({"payload": None}, {"status": EventStatus.APPLIED}):
        with container.database.transaction() as session:
            session.execute(update(GatewayEvent).values(**values))
            with pytest.raises(InvalidTransition):
                reset_event(session, event_id, now=container.clock())
