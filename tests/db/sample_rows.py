"""A valid row of each table as plain values, for tests of constraints."""

import datetime
import uuid
from typing import Any

from service.db.base import new_id

NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
SUPPORTER, PLEDGE, PAYMENT = new_id(), new_id(), new_id()


def supporter(**changes: Any) -> dict[str, Any]:
    return {"id": SUPPORTER, "email": "a@reader.example", "email_hash": b"a" * 32, "created_at": NOW} | changes


def pledge(campaign_id: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return {
        "id": PLEDGE,
        "campaign_id": campaign_id,
        "status": "pending",
        "frequency": "monthly",
        "amount_minor": 200,
        "currency": "USD",
        "gateway": "sandbox",
        "gateway_reference": "sandbox_1",
        "subscription_reference": "sub_1",
        "created_at": NOW,
    } | changes


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": PAYMENT,
        "pledge_id": PLEDGE,
        "status": "succeeded",
        "amount_minor": 200,
        "currency": "USD",
        "gateway": "sandbox",
        "gateway_reference": "payment_1",
        "paid_at": NOW,
    } | changes


def reminder(campaign_id: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "campaign_id": campaign_id,
        "supporter_id": SUPPORTER,
        "status": "scheduled",
        "occurrence": 1,
        "months": 1,
        "currency": "USD",
        "due_on": NOW.date(),
        "due_at": NOW,
        "timezone": "UTC",
        "lang": "en",
        "asked_at": NOW,
    } | changes


def outbox_email(**changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "message_id": "<1@desk.test>",
        "recipient_hash": b"a" * 32,
        "message": "Dear reader",
        "sent_at": NOW,
    } | changes


def staff_token(**changes: Any) -> dict[str, Any]:
    return {"id": new_id(), "name": "n", "scopes": ["read"], "token_hash": b"t" * 32, "created_at": NOW} | changes


def idempotency_key(**changes: Any) -> dict[str, Any]:
    return {
        "key_hash": b"k" * 32,
        "request_hash": b"r" * 32,
        "pledge_id": PLEDGE,
        "locked_until": NOW,
        "created_at": NOW,
    } | changes


def reminder_email(reminder_id: uuid.UUID, **changes: Any) -> dict[str, Any]:
    row = _email("reminder", f"{reminder_id}:1") | {"priority": 3, "reminder_id": reminder_id, "occurrence": 1}
    lease = {"leased_by": new_id(), "leased_until": NOW, "lease_number": 1}
    return row | lease | {"status": "sending", "attempts": 1, "outcome": "sending", "started_at": NOW} | changes


def receipt_email(**changes: Any) -> dict[str, Any]:
    row = _email("receipt", str(PAYMENT)) | {"priority": 2, "pledge_id": PLEDGE, "payment_id": PAYMENT}
    return row | {"supporter_id": SUPPORTER} | changes


def _email(kind: str, dedup_key: str) -> dict[str, Any]:
    row = {"id": new_id(), "kind": kind, "dedup_key": dedup_key, "lang": "en", "status": "scheduled"}
    return row | {"outcome": None, "due_at": NOW, "created_at": NOW, "lease_number": 0, "attempts": 0}


def suppression() -> dict[str, Any]:
    return {"email_hash": b"s" * 32, "scope": "*", "reason": "complaint", "at": NOW}


def job_run() -> dict[str, Any]:
    return {"job": "beat", "worker": new_id(), "started_at": NOW, "outcome": "running", "counts": {}}


def refund(**changes: Any) -> dict[str, Any]:
    row = {"id": new_id(), "payment_id": PAYMENT, "status": "requested", "amount_minor": 200, "currency": "USD"}
    return row | {"gateway_reference": "re_1", "request_hash": b"q" * 32, "created_at": NOW} | changes


def dispute() -> dict[str, Any]:
    row = {"id": new_id(), "payment_id": PAYMENT, "status": "open", "amount_minor": 200, "currency": "USD"}
    return row | {"gateway_reference": "du_1", "opened_at": NOW}


def fraud_warning() -> dict[str, Any]:
    row = {"id": new_id(), "payment_id": PAYMENT, "gateway_reference": "issfr_1"}
    return row | {"kind": "made_with_stolen_card", "warned_at": NOW}


def balance_transaction() -> dict[str, Any]:
    row = {"id": new_id(), "payment_id": PAYMENT, "gateway_reference": "txn_1", "currency": "USD"}
    return row | {"gross_minor": 200, "fee_minor": 36, "net_minor": 164, "kind": "charge", "occurred_at": NOW}


def gateway_event() -> dict[str, Any]:
    row = {"id": new_id(), "gateway": "stripe", "reference": "evt_1", "kind": "invoice.paid", "source": "webhook"}
    instants = dict.fromkeys(("occurred_at", "received_at", "next_attempt_at"), NOW)
    return row | {"status": "received", "attempts": 0} | instants


def customer_update(**changes: Any) -> dict[str, Any]:
    row = {"id": new_id(), "supporter_id": SUPPORTER, "gateway": "stripe", "customer_reference": "cus_1"}
    return row | {"requested_at": NOW} | changes


def sign_in(**changes: Any) -> dict[str, Any]:
    return {"id": new_id(), "asked_at": NOW, "link_hash": b"l" * 32, "session_hash": b"s" * 32} | changes


def erasure() -> dict[str, Any]:
    row = {"id": new_id(), "email_hash": b"s" * 32, "status": "requested", "requested_by": "command line"}
    return row | {"requested_at": NOW, "next_attempt_at": NOW}
