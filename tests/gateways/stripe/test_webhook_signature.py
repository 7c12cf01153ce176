"""Webhook signatures: valid ones, and everything that must be rejected."""

import datetime
import json

import pytest

from service.domain.ports import InvalidSignature
from service.gateways.stripe import StripeApiClient, StripeEvents
from service.settings import StripeSettings
from tests.clock import FakeClock
from tests.gateways.stripe.factories import SECRET
from tests.stripe_double.account import StripeJson
from tests.stripe_double.webhooks import payload_of, signed

NEW_SECRET = "whsec_the_one_that_comes_after"
EVENT: StripeJson = {
    "id": "evt_1Known",
    "object": "event",
    "type": "invoice.paid",
    "created": 1795426200,
    "livemode": False,
    "data": {"object": {"id": "in_1", "object": "invoice"}},
}


def header(event: StripeJson | bytes, clock: FakeClock, *, secret: str = SECRET, seconds: float = 0) -> str:
    payload = event if isinstance(event, bytes) else payload_of(event)
    return signed(payload, secret, clock().timestamp() + seconds)


def test_valid_signature_returns_the_event_unchanged(events: StripeEvents, clock: FakeClock) -> None:
    payload = payload_of(EVENT)
    raw = events.authenticate(payload, header(EVENT, clock), now=clock())
    assert (raw.reference, raw.kind, raw.payload) == ("evt_1Known", "invoice.paid", payload.decode())
    assert raw.occurred_at == datetime.datetime.fromtimestamp(1795426200, datetime.UTC)
    assert "in_1" not in repr(raw)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 299])
def test_timestamp_within_tolerance_is_accepted(events: StripeEvents, clock: FakeClock, seconds: int) -> None:
    assert events.authenticate(payload_of(EVENT), header(EVENT, clock, seconds=seconds), now=clock())


@pytest.mark.parametrize("seconds", [-301, -86400, 301, 86400, 10**10])
def test_timestamp_outside_tolerance_is_rejected(events: StripeEvents, clock: FakeClock, seconds: int) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock, seconds=seconds), now=clock())


def test_signature_with_another_secret_is_rejected(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock, secret=NEW_SECRET), now=clock())


def test_changed_payload_is_rejected(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT) + b" ", header(EVENT, clock), now=clock())


def test_both_secrets_are_accepted_during_rotation(
    api: StripeApiClient, account: StripeSettings, clock: FakeClock
) -> None:
    rotated = StripeSettings(
        secret_key=account.secret_key, webhook_secrets=(NEW_SECRET, SECRET), api_base=account.api_base
    )
    events = StripeEvents(api, rotated)
    for secret in (SECRET, NEW_SECRET):
        assert events.authenticate(payload_of(EVENT), header(EVENT, clock, secret=secret), now=clock())


def test_header_with_two_signatures_is_accepted(events: StripeEvents, clock: FakeClock) -> None:
    own, other = header(EVENT, clock), header(EVENT, clock, secret=NEW_SECRET)
    both = f"{other},{own.partition(',')[2]}"
    assert both.count("v1=") == 2
    assert events.authenticate(payload_of(EVENT), both, now=clock())


def test_v0_scheme_is_rejected(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock).replace("v1=", "v0="), now=clock())


def test_everything_is_rejected_without_a_secret(
    api: StripeApiClient, account: StripeSettings, clock: FakeClock
) -> None:
    without_secret = StripeEvents(
        api, StripeSettings(secret_key=account.secret_key, webhook_secrets=(), api_base=account.api_base)
    )
    for secret in (SECRET, ""):
        with pytest.raises(InvalidSignature):
            without_secret.authenticate(payload_of(EVENT), header(EVENT, clock, secret=secret), now=clock())


@pytest.mark.parametrize(
    "value",
    ["", "t=", "v1=abc", "t=now,v1=abc", "t=1,t=2,v1=abc", "t=-1,v1=abc", "t=١٢٣,v1=abc", "=,=,=", "t=1,v1=é"],
)
def test_malformed_header_is_rejected(events: StripeEvents, clock: FakeClock, value: str) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), value, now=clock())


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_event_of_other_mode_is_rejected(events: StripeEvents, clock: FakeClock, livemode: object) -> None:
    event = EVENT | {"livemode": livemode}
    with pytest.raises(InvalidSignature, match="mode"):
        events.authenticate(payload_of(event), header(event, clock), now=clock())


def test_live_key_accepts_only_live_events(
    api: StripeApiClient, account: StripeSettings, clock: FakeClock
) -> None:
    live = StripeEvents(
        api,
        StripeSettings(secret_key="sk_live_51", webhook_secrets=(SECRET,), api_base=account.api_base),
    )
    event = EVENT | {"livemode": True}
    assert live.authenticate(payload_of(event), header(event, clock), now=clock())
    with pytest.raises(InvalidSignature):
        live.authenticate(payload_of(EVENT), header(EVENT, clock), now=clock())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(EVENT | {"object": "v2.core.event"}).encode(),
        json.dumps(EVENT | {"id": None}).encode(),
        json.dumps(EVENT | {"type": 5}).encode(),
        json.dumps(EVENT | {"created": "today"}).encode(),
        json.dumps(EVENT | {"created": True}).encode(),
        json.dumps(EVENT | {"created": 10**18}).encode(),
        json.dumps(EVENT | {"data": {}}).encode(),
        json.dumps(EVENT | {"data": {"object": []}}).encode(),
    ],
)
def test_signed_payload_that_is_no_event_is_rejected(
    events: StripeEvents, clock: FakeClock, payload: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload, header(payload, clock), now=clock())


def test_payload_that_is_not_utf8_is_rejected(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(b"\xff", header(EVENT, clock), now=clock())


def test_second_timestamp_cannot_extend_tolerance(events: StripeEvents, clock: FakeClock) -> None:
    old = header(EVENT, clock, seconds=-86400)
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), f"{old},t={int(clock().timestamp())}", now=clock())
