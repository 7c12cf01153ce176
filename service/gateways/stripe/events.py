"""Events of the Stripe account, as webhooks deliver them and as Stripe's API lists them."""

import dataclasses
import datetime
import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from stripe.params import EventListParams

from service.domain.ports import InvalidEvent, InvalidSignature, KnownPledges, RawEvent
from service.domain.ports.payment_events import PaymentEvent, SubscriptionUpdated
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import StripeJson
from service.gateways.stripe.event_owners import EventOwner, EventOwners, NothingKnown
from service.gateways.stripe.event_parsers import EVENT_PARSERS, parse_event
from service.gateways.stripe.pledge_event_parsers import subscription_update
from service.gateways.stripe.subscriptions import ENDED_STATUSES
from service.gateways.stripe.webhook_signature import verify_signature
from service.settings import StripeSettings

PAGE_SIZE: Final = 100
NOTHING_KNOWN: Final = NothingKnown()
# Stripe lists the events of at most this many types in one call.
MAX_TYPES: Final = 20
# Ids and types of Stripe are visible ASCII, and documented to have at most 255 characters.
IDENTIFIER: Final = re.compile("[!-~]{1,255}")
# JSON may escape what neither database stores and UTF-8 cannot encode: NUL, and one half of a surrogate pair.
UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
UNSTORABLE_ESCAPE: Final = re.compile(r"\\u(0000|[dD][89a-fA-F])")


class StripeEvents:
    """Implements `service.domain.ports.EventSource`."""

    name = "stripe"

    def __init__(self, api: StripeApiClient, settings: StripeSettings) -> None:
        self._api = api
        self._owners = EventOwners(api)
        self._secrets = settings.webhook_secrets
        self._is_live = settings.is_live

    def authenticate(self, payload: bytes, signature: str, *, now: datetime.datetime) -> RawEvent:
        """Return the event of a webhook, which must be signed with one of our secrets and match our key's mode."""
        verify_signature(payload, signature, self._secrets, now=now)
        try:
            event = json.loads(payload)
            raw = _to_raw_event(event, _storable_payload(payload.decode()))
        except (ValueError, InvalidEvent, RecursionError) as error:
            raise InvalidSignature("The payload is signed, but is not a Stripe event.") from error
        if event.get("livemode") is not self._is_live:
            raise InvalidSignature("The event belongs to the other mode, test or live, than our key.")
        return raw

    def parse_event(
        self, payload: str, known: KnownPledges = NOTHING_KNOWN, *, may_wait: bool = False
    ) -> list[PaymentEvent]:
        """Translate an event."""

        def find_owner(kind: str, obj: StripeJson) -> EventOwner | None:
            return self._owners.find(kind, obj, known, may_wait=may_wait)

        return parse_event(self._api, payload, find_owner)

    def get_subscription(self, subscription: str, *, occurred_at: datetime.datetime) -> SubscriptionUpdated | None:
        """Return the present state of a subscription, dated `occurred_at`; None if Stripe does not know it."""
        retrieved = self._api.retrieve("retrieve_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
        if retrieved is None:
            return None
        ended = retrieved.get("status") in ENDED_STATUSES
        update = subscription_update(retrieved, occurred_at=occurred_at, ended=ended)
        return dataclasses.replace(update, is_current=True)

    def list_events_since(self, since: datetime.datetime) -> Iterator[RawEvent]:
        """Yield the events that have a parser; Stripe keeps events for 30 days."""
        kinds = sorted(EVENT_PARSERS)
        for start in range(0, len(kinds), MAX_TYPES):
            yield from self._list_events(since, kinds[start : start + MAX_TYPES])

    def _list_events(self, since: datetime.datetime, kinds: list[str]) -> Iterator[RawEvent]:
        params: EventListParams = {
            "created": {"gte": int(since.timestamp())},
            "types": kinds,
            "limit": PAGE_SIZE,
        }
        while True:
            page = self._api.call("list_events", lambda v1, params=params: v1.events.list(params))  # type: ignore[misc]
            for event in page.data:
                data = event.to_dict(for_json=True)
                try:
                    yield _to_raw_event(data, _storable_payload(json.dumps(data)))
                except InvalidEvent:
                    continue
            if not page.has_more or not page.data:
                return
            params = {**params, "starting_after": page.data[-1].id}


def _to_raw_event(event: Any, payload: str) -> RawEvent:
    """Check the fields that every Stripe event has: id, type, timestamp and object."""
    if not isinstance(event, dict) or event.get("object") != "event":
        raise InvalidEvent("This is not an event.")
    reference, kind, created = event.get("id"), event.get("type"), event.get("created")
    if not _is_identifier(reference) or not _is_identifier(kind) or type(created) is not int:
        raise InvalidEvent("An event needs an id, a type and a timestamp.")
    data = event.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        raise InvalidEvent("An event needs an object.")
    try:
        occurred_at = datetime.datetime.fromtimestamp(created, datetime.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidEvent("The timestamp of an event is out of range.") from error
    return RawEvent(reference=reference, kind=kind, occurred_at=occurred_at, payload=payload)


def _is_identifier(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None


def _storable_payload(payload: str) -> str:
    """Return the payload with U+FFFD in place of every character that cannot be stored."""
    if not UNSTORABLE_ESCAPE.search(payload):
        return payload
    return json.dumps(_storable(json.loads(payload)))


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value
