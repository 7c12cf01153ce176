"""The part of Stripe that tells what happened there: by webhooks, and by its list of events."""

import datetime
import json
from collections.abc import Iterator
from typing import Any, Final

from stripe.params import EventListParams

from service.domain.ports import InvalidEvent, InvalidSignature, RawEvent
from service.domain.ports.payment_events import PaymentEvent
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_parsers import EVENT_PARSERS, parse_event
from service.gateways.stripe.webhook_signature import verify_signature
from service.settings import StripeSettings

PAGE_SIZE: Final = 100


class StripeEvents:
    """Tells of Stripe's events in the domain's words; see `service.domain.ports.EventSource`."""

    name = "stripe"

    def __init__(self, api: StripeApiClient, settings: StripeSettings) -> None:
        self._api = api
        self._secrets = settings.webhook_secrets
        self._is_live = settings.is_live

    def authenticate(self, payload: bytes, signature: str, *, now: datetime.datetime) -> RawEvent:
        """Return what a webhook brought, signed within five minutes by one of our secrets, in our key's mode."""
        verify_signature(payload, signature, self._secrets, now=now)
        try:
            event = json.loads(payload)
            raw = _to_raw_event(event, payload.decode())
        except (ValueError, InvalidEvent, RecursionError) as error:
            raise InvalidSignature("This is signed, but no event of Stripe's.") from error
        if event.get("livemode") is not self._is_live:
            raise InvalidSignature("The event belongs to the other mode, test or live, than our key.")
        return raw

    def parse_event(self, payload: str) -> list[PaymentEvent]:
        """Return what an event says; what it leaves out is looked up at Stripe."""
        return parse_event(self._api, payload)

    def list_events_since(self, since: datetime.datetime) -> Iterator[RawEvent]:
        """Yield events of the kinds that we handle, newest first; Stripe keeps them for 30 days."""
        asked: EventListParams = {
            "created": {"gte": int(since.timestamp())},
            "types": sorted(EVENT_PARSERS),
            "limit": PAGE_SIZE,
        }
        while True:
            page = self._api.call("list_events", lambda v1, asked=asked: v1.events.list(asked))  # type: ignore[misc]
            for event in page.data:
                data = event.to_dict(for_json=True)
                try:
                    yield _to_raw_event(data, json.dumps(data))
                except InvalidEvent:
                    continue
            if not page.has_more or not page.data:
                return
            asked = {**asked, "starting_after": page.data[-1].id}


def _to_raw_event(event: Any, payload: str) -> RawEvent:
    """Return an event with what every one of Stripe's has: a name, a kind, a moment and an object."""
    if not isinstance(event, dict) or event.get("object") != "event":
        raise InvalidEvent("It is no event.")
    reference, kind, created = event.get("id"), event.get("type"), event.get("created")
    if not isinstance(reference, str) or not isinstance(kind, str) or type(created) is not int:
        raise InvalidEvent("An event needs an id, a type and a moment.")
    data = event.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        raise InvalidEvent("An event needs an object.")
    try:
        occurred_at = datetime.datetime.fromtimestamp(created, datetime.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidEvent("An event's moment is out of reach.") from error
    return RawEvent(reference=reference, kind=kind, occurred_at=occurred_at, payload=payload)
