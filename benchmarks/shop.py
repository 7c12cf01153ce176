"""Replays the invoices of a shop on the same Stripe account, whose API answers in 150 ms, and counts the calls."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import func, select, update

from benchmarks.database import BenchmarkDatabase, container_for
from benchmarks.events import AMOUNT, STRIPE
from schemas.enums import EventStatus
from service.container import Container
from service.db.clock import utc_now
from service.db.models.payment import GatewayEvent
from service.domain.payments.event_processing import process_pending_events
from service.domain.payments.inbox import WEBHOOK, store_event
from service.domain.ports import RawEvent
from service.gateways.stripe import StripeApiClient

ANSWER_SECONDS = 0.15
LOOK_UPS = 20


class SlowApi(ThreadingHTTPServer):
    """Answers every request after 150 ms with a subscription that names no pledge, and counts them."""

    def __init__(self) -> None:
        self.calls = 0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SlowApi
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def do_GET(self) -> None:
        self.server.calls += 1
        time.sleep(ANSWER_SECONDS)
        body = json.dumps({"id": "sub_shop", "object": "subscription", "metadata": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run(databases: BenchmarkDatabase, *, events: int) -> tuple[str, list[str]]:
    """Replay `events` invoices of a shop; return the figures, and an error if one of them is not ignored."""
    with SlowApi() as api:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        container = container_for(databases.database("shop"), **STRIPE, STRIPE_API_BASE=api.url)
        _store_invoices(container, events)
        began = time.monotonic()
        _process_until_idle(container)
        seconds = time.monotonic() - began
        calls = api.calls
        with container.database.read_only() as session:
            ignored = session.scalar(
                select(func.count()).where(
                    GatewayEvent.status == EventStatus.IGNORED, GatewayEvent.payload.is_(None)
                )
            )
        baseline = _baseline(container)
        container.database.engine.dispose()
        api.shutdown()
    lines = [
        f"{f'replaying {events:,} invoices of a shop':50}{'events/s':>10}",
        f"{'ours, ignored after all their waits':50}{events / seconds:>10,.0f}",
        f"{'baseline, one look-up for each':50}{LOOK_UPS / baseline:>10,.1f}",
        f"{calls} calls to Stripe",
    ]
    return "\n".join(lines), [] if ignored == events else [f"{ignored} of {events} events of a shop are ignored"]


def _store_invoices(container: Container, number: int) -> None:
    for _ in range(number):
        name = uuid.uuid4().hex
        invoice = {
            "id": f"in_{name}",
            "object": "invoice",
            "customer": f"cus_{name}",
            "amount_paid": AMOUNT,
            "currency": "usd",
            "metadata": {},
            "parent": {"subscription_details": {"subscription": f"sub_{name}", "metadata": {"order": "77"}}},
            "lines": {"data": []},
        }
        event = {"id": f"evt_{name}", "object": "event", "type": "invoice.paid", "data": {"object": invoice}}
        payload = json.dumps(event | {"created": int(utc_now().timestamp()), "livemode": False})
        raw = RawEvent(reference=f"evt_{name}", kind="invoice.paid", occurred_at=utc_now(), payload=payload)
        with container.database.transaction() as session:
            store_event(session, "stripe", raw, source=WEBHOOK, now=utc_now())


def _process_until_idle(container: Container) -> None:
    """Process the events as often as they wait, without the time between."""
    source = container.event_source
    assert source is not None
    while process_pending_events(container.database.transaction, source, clock=container.clock):
        with container.database.transaction() as session:
            session.execute(
                update(GatewayEvent)
                .where(GatewayEvent.status == EventStatus.WAITING)
                .values(next_attempt_at=utc_now())
            )


def _baseline(container: Container) -> float:
    """Return the seconds that `LOOK_UPS` look-ups take, one after the other."""
    stripe = container.settings.stripe
    assert stripe is not None
    api = StripeApiClient(stripe, container.clock)
    began = time.monotonic()
    for number in range(LOOK_UPS):
        api.retrieve("retrieve_subscription", lambda v1, number=number: v1.subscriptions.retrieve(f"sub_{number}"))
    return time.monotonic() - began
