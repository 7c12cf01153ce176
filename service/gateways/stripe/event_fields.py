"""An event as it was told, and how its fields are read: what is missing is None, what is wrong raises.

Stripe's older API versions kept some of this elsewhere. An account may still tell in an older one, so the readers
look in both places.
"""

import datetime
import uuid
from dataclasses import dataclass, field
from typing import Any

from service.domain.money import Money
from service.domain.ports import InvalidEvent
from service.gateways.stripe.checkout import PLEDGE_METADATA_KEY
from service.gateways.stripe.currencies import from_stripe_amount

StripeJson = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ParsedEvent:
    """What happened, when, the object that it happened to as it was then, and what was otherwise before."""

    kind: str
    occurred_at: datetime.datetime
    object: StripeJson = field(repr=False)
    previous_attributes: StripeJson = field(repr=False)


def get_path(obj: Any, *path: str) -> Any:
    """Return what stands at the end of a path of keys, or None."""
    for name in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def list_data(obj: StripeJson, name: str) -> list[StripeJson]:
    """Return the objects of a list that Stripe gives within another object."""
    found = get_path(obj, name, "data")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def require_id(obj: StripeJson) -> str:
    """Return the object's own id."""
    found = obj.get("id")
    if not isinstance(found, str) or not found:
        raise InvalidEvent("The object has no id.")
    return found


def find_pledge_id(*places: Any) -> uuid.UUID | None:
    """Return the first pledge that any of these names, each a metadata or an id itself; another's are not ours."""
    for place in places:
        said = place.get(PLEDGE_METADATA_KEY) if isinstance(place, dict) else place
        if isinstance(said, str):
            try:
                return uuid.UUID(said)
            except ValueError:
                continue
    return None


def parse_timestamp(value: Any) -> datetime.datetime | None:
    """Return a moment that Stripe gives in seconds since 1970."""
    if type(value) is not int:
        return None
    try:
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidEvent("A moment is out of reach.") from error


def require_int(obj: StripeJson, name: str) -> int:
    """Return a whole number that must be there."""
    found = obj.get(name)
    if type(found) is not int:
        raise InvalidEvent(f"The object has no whole number {name}.")
    return found


def money_field(obj: StripeJson, name: str) -> Money:
    """Return the amount of this name, in the currency of the object."""
    return to_money(require_int(obj, name), obj.get("currency"))


def to_money(amount: int, currency: Any) -> Money:
    """Return an amount of Stripe's as ours."""
    if not isinstance(currency, str):
        raise InvalidEvent("The object has no currency.")
    try:
        return from_stripe_amount(amount, currency)
    except ValueError as error:
        raise InvalidEvent("The object's currency is not one of ISO 4217.") from error


def object_id(value: Any) -> str | None:
    """Return the id of an object that is named or, if Stripe was asked for it, given in full."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
