"""What a campaign does not offer any more of an earlier choice, and the sentence that says so."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from schemas.enums import Frequency
from service.domain.money import Money, format_money


class Change(enum.StrEnum):
    """What of an earlier choice the campaign does not offer today."""

    CURRENCY = "currency"
    FREQUENCY = "frequency"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    AMOUNT = "amount"


@dataclass(frozen=True)
class OfferChange:
    """One part of a choice that is not offered today.

    `frequency` or `currency` is what is gone; `money` is the limit, or the amount that cannot be charged.
    """

    change: Change
    frequency: Frequency | None = None
    currency: str | None = None
    money: Money | None = None


def describe_changes(changes: tuple[OfferChange, ...], format_text: Callable[..., str], lang: str) -> list[str]:
    """Return a sentence for each change.

    `format_text(name, **values)` fills in one of the texts of the pages, in this language.
    """
    return [_describe(change, format_text, lang) for change in changes]


def _describe(change: OfferChange, format_text: Callable[..., str], lang: str) -> str:
    name = f"_{change.frequency}" if change.change == Change.FREQUENCY else ""
    amount = "" if change.money is None else format_money(change.money, lang)
    return format_text(f"offer_changed_{change.change}{name}", amount=amount, currency=change.currency or "")
