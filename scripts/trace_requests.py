"""Counts the files of this repository that three typical flows execute.

The flows are one `POST /v1/pledges`, one reminder from sign-up to sent email, and one `invoice.paid` from Stripe.
Each runs through the real application and the real jobs, on a temporary SQLite file, with an SMTP server and a
stand-in for Stripe's API on 127.0.0.1. A Python file counts if at least one of its functions runs; comprehensions,
lambdas, generated methods and code that runs at import do not count.

Run it with `make trace`, or `make trace TRACE_ARGS="--json trace.json"`.
"""

import argparse
import datetime
import hashlib
import hmac
import io
import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from flask.testing import FlaskClient

from jobs.emails import send_emails
from jobs.payments import process_gateway_events
from jobs.reminders import enqueue_reminders
from service.app import create_app
from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.domain.campaigns.cache import TTL_SECONDS
from service.logs import configure_logging
from service.settings import read_settings
from tests.clock import FakeClock
from tests.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("service", "schemas", "jobs")
WEBHOOK_SECRET = "whsec_only_for_this_script"  # noqa: S105 - it signs only the events of this script
# The functions of each file, both in the order in which they first ran.
Trace = dict[str, list[str]]


class StripeApi(BaseHTTPRequestHandler):
    """Answers every POST with a new Checkout Session, the only object that these flows ask Stripe for."""

    def do_POST(self) -> None:
        """Create a Checkout Session."""
        self.rfile.read(int(self.headers["Content-Length"]))
        reference = f"cs_test_{uuid.uuid4().hex}"
        session = {"id": reference, "object": "checkout.session", "url": f"https://checkout.example/{reference}"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(session).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@dataclass
class Deployment:
    """A service that takes payments by Stripe and sends email by SMTP, and a client of its web application."""

    container: Container
    client: FlaskClient
    clock: FakeClock
    log: io.StringIO

    def post(self, path: str, body: bytes, headers: dict[str, str], *, status: int) -> dict[str, Any]:
        """Send a request and return its JSON response, which must have this status."""
        response = self.client.post(path, data=body, headers=headers, content_type="application/json")
        self.expect(response.status_code == status, f"POST {path} returned {response.status}: {response.text}")
        return dict(response.json or {})

    def expect(self, is_met: bool, error: str) -> None:
        """Stop, with the log of the service, if a step of the flow did not have its expected result."""
        if not is_met:
            raise RuntimeError(f"{error}\n{self.log.getvalue()}")

    def create_pledge(self) -> str:
        """Create a monthly pledge and return its id."""
        pledge = {"campaign": "default", "frequency": "monthly", "amount": 500, "currency": "USD"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return str(self.post("/v1/pledges", json.dumps(pledge).encode(), headers, status=201)["id"])

    def send_reminder(self) -> None:
        """Sign up for a reminder, move the clock to the instant when it is due, and send it."""
        reminder = {"campaign": "default", "email": f"{uuid.uuid4().hex}@news.example", "months": 1}
        due_at = self.post("/v1/reminders", json.dumps(reminder).encode(), {}, status=201)["due_at"]
        self.clock.now = datetime.datetime.fromisoformat(due_at)
        enqueue_reminders(self.container, threading.Event())
        counts = send_emails(self.container, threading.Event()) or {}
        self.expect(counts.get("sent") == 1, f"Expected one sent reminder, but the job counted {counts}.")

    def complete_checkout(self, pledge_id: str) -> None:
        """Report that the reader completed the checkout of a pledge, with their email address."""
        session = {
            "id": f"cs_{pledge_id}",
            "mode": "subscription",
            "client_reference_id": pledge_id,
            "subscription": f"sub_{pledge_id}",
            "customer_details": {"email": f"{pledge_id}@news.example"},
        }
        self.apply_event("checkout.session.completed", session)

    def pay_invoice(self, pledge_id: str) -> None:
        """Report that an invoice of a pledge's subscription was paid."""
        paid_at = int(self.clock.now.timestamp())
        details = {"subscription": f"sub_{pledge_id}", "metadata": {"pledge_id": pledge_id}}
        invoice = {
            "id": f"in_{pledge_id}",
            "amount_paid": 500,
            "currency": "usd",
            "parent": {"subscription_details": details},
            "status_transitions": {"paid_at": paid_at},
            "lines": {"data": [{"period": {"start": paid_at, "end": paid_at + 30 * 24 * 3600}}]},
        }
        self.apply_event("invoice.paid", invoice)

    def apply_event(self, kind: str, stripe_object: dict[str, Any]) -> None:
        """Post an event, signed as Stripe signs it, and run the job that applies events."""
        created = int(self.clock.now.timestamp())
        event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": kind, "created": created}
        body = json.dumps(event | {"livemode": False, "data": {"object": stripe_object}}).encode()
        digest = hmac.new(WEBHOOK_SECRET.encode(), f"{created}.".encode() + body, hashlib.sha256).hexdigest()
        self.post("/v1/webhooks/stripe", body, {"Stripe-Signature": f"t={created},v1={digest}"}, status=200)
        counts = process_gateway_events(self.container, threading.Event()) or {}
        self.expect(counts == {"applied": 1}, f"Expected one applied event, but the job counted {dict(counts)}.")


@contextmanager
def run_deployment() -> Iterator[Deployment]:
    """Yield a deployment that exists until the block ends."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stripe_api = stack.enter_context(HTTPServer(("127.0.0.1", 0), StripeApi))
        threading.Thread(target=stripe_api.serve_forever, daemon=True).start()
        stack.callback(stripe_api.shutdown)
        # The server accepts and discards every email.
        smtp_server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
        smtp_server.start()
        stack.callback(smtp_server.stop)
        settings = read_settings(
            {
                "DATABASE_URL": f"sqlite:///{folder}/mainstay.db",
                "SECRET_KEYS": "a-key-that-only-this-script-uses-0123456789",
                "MAIL_URL": f"smtp://127.0.0.1:{smtp_server.port}?tls=none",
                "GATEWAY": "stripe",
                "STRIPE_SECRET_KEY": "sk_test_only_for_this_script",
                "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_api.server_port}",
            }
        )
        clock, log = FakeClock(datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)), io.StringIO()
        container = build_container(settings, clock=clock)
        stack.callback(container.database.engine.dispose)
        with redirect_stdout(log):
            configure_logging(settings)
            migrate_and_seed(container)
        yield Deployment(container, create_app(container).test_client(), clock, log)


def trace(flow: Callable[[], object]) -> Trace:
    """Run a flow and return the functions of this repository that it executes, in all its threads."""
    prefixes = tuple(f"{ROOT / package}/" for package in PACKAGES)
    files: Trace = {}

    def record_call(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        is_ours = code.co_filename.startswith(prefixes) and code.co_filename.endswith(".py")
        if event == "call" and is_ours and not code.co_name.startswith("<"):
            functions = files.setdefault(str(Path(code.co_filename).relative_to(ROOT)), [])
            if code.co_qualname not in functions:
                functions.append(code.co_qualname)

    # With a campaign in the cache, the files would depend on how fast the flow before was.
    time.sleep(2 * TTL_SECONDS)
    threading.setprofile(record_call)
    sys.setprofile(record_call)
    try:
        flow()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return files


def trace_flows() -> dict[str, Trace]:
    """Run each flow twice; return what the second run executes, when everything is imported and compiled."""
    with run_deployment() as deployment:
        deployment.create_pledge()
        deployment.send_reminder()
        pledge_id = deployment.create_pledge()
        deployment.complete_checkout(pledge_id)
        deployment.pay_invoice(pledge_id)

        pledge_id = deployment.create_pledge()
        deployment.complete_checkout(pledge_id)
        return {
            "POST /v1/pledges": trace(deployment.create_pledge),
            "a reminder from sign-up to sent email": trace(deployment.send_reminder),
            "invoice.paid from webhook to ledger": trace(lambda: deployment.pay_invoice(pledge_id)),
        }


def main() -> None:
    """Print how many files each flow executes, and which."""
    parser = argparse.ArgumentParser(description="Count the files that three typical flows execute.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    arguments = parser.parse_args()
    traces = trace_flows()
    for flow, files in traces.items():
        print(f"{len(files):3} files: {flow}")
    for flow, files in traces.items():
        print(f"\n{flow}")
        for number, (name, functions) in enumerate(files.items(), start=1):
            print(f"{number:3}. {name}: {', '.join(functions)}")
    if arguments.json is not None:
        figures = {flow: {"count": len(files), "files": files} for flow, files in traces.items()}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
