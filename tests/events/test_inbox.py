"""The inbox on real PostgreSQL: workers share what is due, and none waits for another."""

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


def keep(
    container: Container, *references: str, gateway: str = "stripe", before: datetime.timedelta = 0 * SECOND
) -> None:
    """Keep events that happened one second after another."""
    now = container.clock()
    with container.database.transaction() as session:
        for number, reference in enumerate(references):
            raw = RawEvent(
                reference=reference, kind="paid", occurred_at=now - before + number * SECOND, payload="{}"
            )
            assert store_event(session, gateway, raw, source=WEBHOOK, now=now)


def ids(container: Container) -> dict[str, uuid.UUID]:
    with container.database.read_only() as session:
        return dict(session.execute(select(GatewayEvent.reference, GatewayEvent.id)).all())


def take(container: Container, limit: int = 10) -> list[str]:
    """Take what is due, without waiting for anybody for long; return the references."""
    names = {event_id: reference for reference, event_id in ids(container).items()}
    with container.database.transaction() as session:
        session.execute(text("SET LOCAL lock_timeout = '2s'"))
        return [names[taken] for taken in claim_events(session, "stripe", now=container.clock(), limit=limit)]


def test_an_event_that_another_worker_holds_is_skipped_and_not_waited_for(container: Container) -> None:
    keep(container, "evt_held", "evt_free")
    with container.database.transaction() as session:
        assert lock_event(session, ids(container)["evt_held"]) is not None
        assert take(container) == ["evt_free"]
    assert take(container) == ["evt_held"]


def test_old_payloads_that_another_worker_holds_are_skipped_and_not_waited_for(container: Container) -> None:
    keep(container, "evt_held", "evt_free")
    container.clock.now += PAYLOAD_RETENTION
    with container.database.transaction() as session:
        lock_event(session, ids(container)["evt_held"])
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert purge_payloads(other, now=container.clock()) == 1
    with container.database.read_only() as session:
        left = select(GatewayEvent.reference).where(GatewayEvent.payload.is_not(None))
        assert session.scalars(left).all() == ["evt_held"]


def test_payloads_are_forgotten_oldest_first_in_batches(container: Container) -> None:
    for reference in ("evt_1", "evt_2", "evt_3"):
        keep(container, reference)
        container.clock.now += SECOND
    container.clock.now += PAYLOAD_RETENTION - 2 * SECOND
    with container.database.transaction() as session:
        assert purge_payloads(session, now=container.clock(), limit=1) == 1
        left = select(GatewayEvent.reference).where(GatewayEvent.payload.is_not(None)).order_by("reference")
        assert session.scalars(left).all() == ["evt_2", "evt_3"]
        # The last one is a second too young.
        assert purge_payloads(session, now=container.clock()) == 1
        assert session.scalars(left).all() == ["evt_3"]


def test_abandoned_pledges_that_another_worker_holds_are_skipped_and_not_waited_for(container: Container) -> None:
    insert_pledges(container, 2)
    container.clock.now += CHECKOUT_TTL
    with container.database.transaction() as session:
        held = session.scalars(select(Pledge).limit(1).with_for_update()).one()
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert expire_abandoned_pledges(other, now=container.clock()) == 1
    with container.database.read_only() as session:
        pending = session.scalars(select(Pledge.id).where(Pledge.status == PledgeStatus.PENDING)).all()
    assert pending == [held.id]


def test_concurrent_workers_take_every_event_once(container: Container) -> None:
    references = [f"evt_{number:02}" for number in range(40)]
    keep(container, *references)
    start = threading.Barrier(4)

    def work(_: int) -> list[str]:
        start.wait(timeout=20)
        taken: list[str] = []
        while some := take(container, limit=3):
            taken += some
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [reference for some in pool.map(work, range(4), timeout=60) for reference in some]
    assert sorted(taken) == references


def test_events_are_taken_in_the_order_in_which_they_happened(container: Container) -> None:
    keep(container, "evt_2", "evt_3", before=5 * SECOND)
    keep(container, "evt_1", before=10 * SECOND)
    assert take(container) == ["evt_1", "evt_2", "evt_3"]


def test_the_longest_due_are_taken_first_and_only_what_is_due(container: Container) -> None:
    keep(container, "evt_late", "evt_early", "evt_not_yet")
    with container.database.transaction() as session:
        for reference, due in (("evt_late", 0), ("evt_early", -5), ("evt_not_yet", 1)):
            at = container.clock() + due * SECOND
            session.execute(
                update(GatewayEvent).where(GatewayEvent.reference == reference).values(next_attempt_at=at)
            )
    with container.database.transaction() as session:
        # No index may bring them in order by chance.
        session.execute(text("SET LOCAL enable_indexscan = off"))
        session.execute(text("SET LOCAL enable_bitmapscan = off"))
        [taken] = claim_events(session, "stripe", now=container.clock(), limit=1)
    assert taken == ids(container)["evt_early"]
    assert take(container) == ["evt_late"]
    assert take(container) == []
    container.clock.now += SECOND
    assert take(container) == ["evt_not_yet"]


def test_a_taken_event_is_left_to_its_worker_for_a_minute(container: Container) -> None:
    keep(container, "evt_1")
    assert take(container) == ["evt_1"]
    container.clock.now += VISIBILITY_TIMEOUT - SECOND
    assert take(container) == []
    container.clock.now += SECOND
    assert take(container) == ["evt_1"]


def test_a_worker_has_an_event_for_longer_than_the_calls_that_it_may_need() -> None:
    # A charge may lead to its intent, that to its bill, and that to its subscription.
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
def test_only_an_open_event_of_the_gateway_is_taken_and_held(
    container: Container, status: EventStatus, *, is_open: bool
) -> None:
    keep(container, "evt_1")
    keep(container, "evt_1", gateway="another")
    with container.database.transaction() as session:
        session.execute(update(GatewayEvent).values(status=status))
        ours = session.scalars(select(GatewayEvent.id).where(GatewayEvent.gateway == "stripe")).one()
        assert (lock_event(session, ours) is not None) == is_open
        assert claim_events(session, "stripe", now=container.clock(), limit=10) == ([ours] if is_open else [])


def test_an_event_is_held_until_the_transaction_ends(container: Container) -> None:
    keep(container, "evt_1")
    event_id = ids(container)["evt_1"]
    with container.database.transaction() as session:
        lock_event(session, event_id)
        assert must_wait(container, lambda other: lock_event(other, event_id))
        assert must_wait(container, lambda other: reset_event(other, event_id, now=container.clock()))
    assert not must_wait(container, lambda other: lock_event(other, event_id))


def test_an_event_that_is_applied_before_it_is_held_is_not_reopened(container: Container) -> None:
    keep(container, "evt_1")

    def apply() -> None:
        with container.database.transaction() as session:
            session.execute(update(GatewayEvent).values(status=EventStatus.APPLIED))

    with interleaving(container.database.engine) as between:
        between.before_lock("gateway_events", apply)
        with (
            container.database.transaction() as session,
            pytest.raises(InvalidTransition, match="applied already"),
        ):
            reset_event(session, ids(container)["evt_1"], now=container.clock())


def test_an_event_is_kept_once_for_each_gateway(container: Container) -> None:
    keep(container, "evt_1")
    raw = RawEvent(reference="evt_1", kind="paid", occurred_at=container.clock(), payload="{}")
    with container.database.transaction() as session:
        assert not store_event(session, "stripe", raw, source=WEBHOOK, now=container.clock())
        assert store_event(session, "another", raw, source=WEBHOOK, now=container.clock())


def test_reopening_gives_all_attempts_again_but_only_while_something_is_left_to_apply(
    container: Container,
) -> None:
    keep(container, "evt_1")
    event_id = ids(container)["evt_1"]
    with container.database.transaction() as session:
        spent = {"status": EventStatus.PARKED, "attempts": 12, "reason": "It was parked."}
        session.execute(update(GatewayEvent).values(**spent))
    with container.database.transaction() as session:
        event = reset_event(session, event_id, now=container.clock())
        assert (event.status, event.attempts, event.reason) == (EventStatus.RECEIVED, 0, None)
    # Whoever reopened it has it to begin with.
    assert take(container) == []
    for lost in ({"payload": None}, {"status": EventStatus.APPLIED}):
        with container.database.transaction() as session:
            session.execute(update(GatewayEvent).values(**lost))
            with pytest.raises(InvalidTransition):
                reset_event(session, event_id, now=container.clock())
