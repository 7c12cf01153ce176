"""Replays Stripe events: stored, parsed and applied, compared with one row that is inserted and updated."""

import json
import time
import uuid
from typing import Any

import psycopg
from sqlalchemy import insert, select

from benchmarks.database import BenchmarkDatabase, container_for
from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.base import new_id
from service.db.clock import utc_now
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.ledger.totals import totals_by_currency
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.ports import RawEvent

STRIPE = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": "sk_test_1Bench", "STRIPE_WEBHOOK_SECRET": "whsec_bench"}
AMOUNT = 500


def run(databases: BenchmarkDatabase, *, events: int) -> tuple[str, list[str]]:
    """Replay `events` events, two for each payment; return the figures, and an error if the ledger is wrong."""
    container = container_for(databases.database("events"), **STRIPE)
    pledges = _store_pledges(container, events // 2)
    raw_events = [_build_event(pledge, number) for number in range(2) for pledge in pledges]
    began = time.monotonic()
    for raw in raw_events:
        with container.database.transaction() as session:
            store_event(session, "stripe", raw, source=WEBHOOK, now=utc_now())
    stored = time.monotonic()
    source = container.event_source
    assert source is not None
    counts = process_pending_events(container.database.transaction, source, clock=container.clock)
    applied = time.monotonic()
    with container.database.read_only() as session:
        sums = [(total.payments, total.received) for total in totals_by_currency(session)]
    container.database.engine.dispose()
    baseline = _baseline(databases, raw_events)
    errors = []
    if sums != [(len(pledges), len(pledges) * AMOUNT)] or counts["applied"] != len(raw_events):
        errors.append(f"the ledger holds {sums} after {counts} of {len(raw_events)} events")
    lines = [
        f"{f'replaying {len(raw_events):,} events':50}{'events/s':>10}",
        f"{'ours, stored as a webhook stores them':50}{len(raw_events) / (stored - began):>10,.0f}",
        f"{'ours, parsed and applied by one worker':50}{len(raw_events) / (applied - stored):>10,.0f}",
        f"{'baseline, an INSERT and an UPDATE for each':50}{len(raw_events) / baseline:>10,.0f}",
        f"the ledger holds {sums[0][0]:,} payments, {sums[0][1]:,} minor units: the sum of the events"
        if not errors
        else "the ledger is not the sum of the events",
    ]
    return "\n".join(lines), errors


def _store_pledges(container: Container, number: int) -> list[uuid.UUID]:
    ids = [new_id() for _ in range(number)]
    with container.database.transaction() as session:
        row: dict[str, Any] = {
            "campaign_id": session.scalars(select(Campaign.id)).first(),
            "status": PledgeStatus.PENDING,
            "frequency": Frequency.ONCE,
            "amount_minor": AMOUNT,
            "currency": "USD",
            "gateway": "stripe",
            "created_at": utc_now(),
        }
        session.execute(insert(Pledge), [row | {"id": pledge_id} for pledge_id in ids])
    return ids


def _build_event(pledge: uuid.UUID, number: int) -> RawEvent:
    kind = ("checkout.session.completed", "checkout.session.async_payment_succeeded")[number]
    session = {
        "id": f"cs_{pledge.hex}",
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "payment_intent": f"pi_{pledge.hex}",
        "amount_total": AMOUNT,
        "currency": "usd",
        "client_reference_id": str(pledge),
        "metadata": {"pledge_id": str(pledge)},
        "customer_details": {"email": f"{pledge.hex}@paper.example"},
    }
    occurred_at = utc_now()
    reference = f"evt_{number}_{pledge.hex}"
    event = {
        "id": reference,
        "object": "event",
        "type": kind,
        "created": int(occurred_at.timestamp()),
        "livemode": False,
        "data": {"object": session},
    }
    return RawEvent(reference=reference, kind=kind, occurred_at=occurred_at, payload=json.dumps(event))


def _baseline(databases: BenchmarkDatabase, raw_events: list[RawEvent]) -> float:
    """Return the seconds that a committed INSERT and a committed UPDATE for each event take in total."""
    with psycopg.connect(databases.empty_database("baseline_events"), autocommit=True) as connection:
        connection.execute("CREATE TABLE events (reference text PRIMARY KEY, payload text, status text)")
        began = time.monotonic()
        for raw in raw_events:
            connection.execute("INSERT INTO events VALUES (%s, %s, 'received')", (raw.reference, raw.payload))
            connection.execute("UPDATE events SET status = 'applied' WHERE reference = %s", (raw.reference,))
        return time.monotonic() - began
