"""Read the fields of a Stripe event: a missing field is None, a malformed one raises `InvalidEvent`.

Older API versions of Stripe keep some fields elsewhere. An account may still send events in an older version, so
the parsers look in both places.
"""

import datetime
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from service.domain.money import Money
from service.domain.ports import InvalidEvent
from service.gateways.stripe.checkout import INSTALLATION_METADATA_KEY, PLEDGE_METADATA_KEY
from service.gateways.stripe.currencies import from_stripe_amount

StripeJson = dict[str, Any]
# Until version 0.1, the metadata held only the pledge's id, under a key that other software may use as well.
OLD_PLEDGE_METADATA_KEY: Final = "pledge_id"


@dataclass(frozen=True, kw_only=True)
class ParsedEvent:
    """A Stripe event: `object` is a snapshot from the time of the event, `previous_attributes` what it changed.

    `pledge_id` is None if only the ids in the object tell which pledge it is about. `idempotency_key` is that of
    the API request that caused it, if any.
    """

    kind: str
    occurred_at: datetime.datetime
    object: StripeJson = field(repr=False)
    previous_attributes: StripeJson = field(repr=False)
    pledge_id: uuid.UUID | None = None
    idempotency_key: str | None = None


def get_path(obj: Any, *path: str) -> Any:
    """Return the value at the end of a path of keys, or None."""
    for key in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def merge_previous_attributes(obj: StripeJson, previous: StripeJson) -> StripeJson:
    """Return the object as it was before the event, of which `previous` has the fields that changed."""
    merged = dict(obj)
    for name, value in previous.items():
        current = merged.get(name)
        if isinstance(value, dict) and isinstance(current, dict):
            merged[name] = merge_previous_attributes(current, value)
        else:
            merged[name] = value
    return merged


def list_data(obj: StripeJson, name: str) -> list[StripeJson]:
    """Return the objects of a Stripe list that is embedded in another object."""
    data = get_path(obj, name, "data")
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def object_id(value: Any) -> str | None:
    """Return the id of an object, which Stripe gives as a string or, if it is expanded, in full."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def find_pledge_id(*sources: Any) -> uuid.UUID | None:
    """Return the first pledge id in `sources`, each of which is a metadata object or an id.

    Another product on the same account may store values of its own under the same key; these are skipped.
    """
    for source in sources:
        keys = (PLEDGE_METADATA_KEY, OLD_PLEDGE_METADATA_KEY)
        values = [source.get(key) for key in keys] if isinstance(source, dict) else [source]
        for value in values:
            pledge_id = parse_uuid(value)
            if pledge_id is not None:
                return pledge_id
    return None


def find_installation_id(*metadata: Any) -> uuid.UUID | None:
    """Return the first id of an installation in metadata objects."""
    ids = (parse_uuid(get_path(source, INSTALLATION_METADATA_KEY)) for source in metadata)
    return next((installation_id for installation_id in ids if installation_id is not None), None)


def parse_uuid(value: Any) -> uuid.UUID | None:
    """Return the UUID in a string; anything else is None."""
    if not isinstance(value, str):
        return None
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def parse_timestamp(value: Any) -> datetime.datetime | None:
    """Convert seconds since 1970 to an instant in UTC; anything but an integer is None.

    Raises:
        InvalidEvent: the timestamp is out of range.
    """
    if type(value) is not int:
        return None
    try:
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidEvent("A timestamp is out of range.") from error


def require_id(obj: StripeJson) -> str:
    """Return the object's own id.

    Raises:
        InvalidEvent: it has none.
    """
    value = obj.get("id")
    if not isinstance(value, str) or not value:
        raise InvalidEvent("The object has no id.")
    return value


def require_int(obj: StripeJson, name: str) -> int:
    """Return an integer field.

    Raises:
        InvalidEvent: it is missing or no integer.
    """
    value = obj.get(name)
    if type(value) is not int:
        raise InvalidEvent(f"The object has no whole number {name}.")
    return value


def money_field(obj: StripeJson, name: str) -> Money:
    """Return the amount in this field, in the currency of the object.

    Raises:
        InvalidEvent: the amount or the currency is missing or malformed.
    """
    return to_money(require_int(obj, name), obj.get("currency"))


def to_money(amount: int, currency: Any) -> Money:
    """Convert an amount in Stripe's units to `Money`.

    Raises:
        InvalidEvent: the currency is missing or unknown.
    """
    if not isinstance(currency, str):
        raise InvalidEvent("The object has no currency.")
    try:
        return from_stripe_amount(amount, currency)
    except ValueError as error:
        raise InvalidEvent("The object's currency is not in ISO 4217.") from error
