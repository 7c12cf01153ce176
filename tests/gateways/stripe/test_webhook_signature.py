"""Whether a webhook is Stripe's own: real signatures, and everything that is not one."""

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


def test_what_stripe_signed_is_believed_and_kept_as_it_came(events: StripeEvents, clock: FakeClock) -> None:
    payload = payload_of(EVENT)
    raw = events.authenticate(payload, header(EVENT, clock), now=clock())
    assert (raw.reference, raw.kind, raw.payload) == ("evt_1Known", "invoice.paid", payload.decode())
    assert raw.occurred_at == datetime.datetime.fromtimestamp(1795426200, datetime.UTC)
    assert "in_1" not in repr(raw)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 299])
def test_five_minutes_of_age_or_of_a_wrong_clock_are_fine(
    events: StripeEvents, clock: FakeClock, seconds: int
) -> None:
    assert events.authenticate(payload_of(EVENT), header(EVENT, clock, seconds=seconds), now=clock())


@pytest.mark.parametrize("seconds", [-301, -86400, 301, 86400, 10**10])
def test_an_old_signature_is_refused_and_so_is_one_from_the_future(
    events: StripeEvents, clock: FakeClock, seconds: int
) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock, seconds=seconds), now=clock())


def test_another_secret_is_refused(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock, secret=NEW_SECRET), now=clock())


def test_one_byte_more_is_refused(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT) + b" ", header(EVENT, clock), now=clock())


def test_while_a_secret_is_rolled_both_are_believed(
    api: StripeApiClient, account: StripeSettings, clock: FakeClock
) -> None:
    rolled = StripeSettings(
        secret_key=account.secret_key, webhook_secrets=(NEW_SECRET, SECRET), api_base=account.api_base
    )
    events = StripeEvents(api, rolled)
    for secret in (SECRET, NEW_SECRET):
        assert events.authenticate(payload_of(EVENT), header(EVENT, clock, secret=secret), now=clock())


def test_stripe_signs_with_both_secrets_while_it_rolls_one(events: StripeEvents, clock: FakeClock) -> None:
    own, other = header(EVENT, clock), header(EVENT, clock, secret=NEW_SECRET)
    both = f"{other},{own.partition(',')[2]}"
    assert both.count("v1=") == 2
    assert events.authenticate(payload_of(EVENT), both, now=clock())


def test_the_scheme_of_tests_proves_nothing(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), header(EVENT, clock).replace("v1=", "v0="), now=clock())


def test_without_a_secret_nothing_is_believed(
    api: StripeApiClient, account: StripeSettings, clock: FakeClock
) -> None:
    deaf = StripeEvents(
        api, StripeSettings(secret_key=account.secret_key, webhook_secrets=(), api_base=account.api_base)
    )
    for secret in (SECRET, ""):
        with pytest.raises(InvalidSignature):
            deaf.authenticate(payload_of(EVENT), header(EVENT, clock, secret=secret), now=clock())


@pytest.mark.parametrize(
    "value",
    ["", "t=", "v1=abc", "t=now,v1=abc", "t=1,t=2,v1=abc", "t=-1,v1=abc", "t=١٢٣,v1=abc", "=,=,=", "t=1,v1=é"],
)
def test_a_header_that_says_nothing_is_refused(events: StripeEvents, clock: FakeClock, value: str) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), value, now=clock())


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_an_event_of_the_other_mode_is_refused(events: StripeEvents, clock: FakeClock, livemode: object) -> None:
    event = EVENT | {"livemode": livemode}
    with pytest.raises(InvalidSignature, match="mode"):
        events.authenticate(payload_of(event), header(event, clock), now=clock())


def test_a_live_key_believes_live_events_alone(
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
def test_what_is_signed_and_no_event_is_refused(events: StripeEvents, clock: FakeClock, payload: bytes) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(payload, header(payload, clock), now=clock())


def test_bytes_that_are_no_text_are_signed_by_nobody(events: StripeEvents, clock: FakeClock) -> None:
    with pytest.raises(InvalidSignature):
        events.authenticate(b"\xff", header(EVENT, clock), now=clock())


def test_a_second_timestamp_does_not_make_an_old_event_young(events: StripeEvents, clock: FakeClock) -> None:
    old = header(EVENT, clock, seconds=-86400)
    with pytest.raises(InvalidSignature):
        events.authenticate(payload_of(EVENT), f"{old},t={int(clock().timestamp())}", now=clock())
