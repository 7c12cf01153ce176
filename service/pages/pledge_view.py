"""A pledge and its payments in the words of its reader's page."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from schemas.vocabulary import PledgeStatus
from service.db.pledge import Pledge
from service.domain.money.amounts import Money, format_money
from service.domain.pledges.changing import is_cancelling, is_recurring_active
from service.domain.pledges.making import total_charge
from service.domain.pledges.own_gifts import PaymentWithRefunds
from service.pages.gifts import say_date, say_gift
from service.pages.language import Words
from service.web import current_container

SHOWN_AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class PaymentLine:
    """One payment as a line of the table; a try that failed has no receipt."""

    date: str
    amount: str
    state: str
    receipt: str | None


@dataclass(frozen=True, kw_only=True)
class PledgeCard:
    """All that is said of one pledge; `base` is the address under which it is changed."""

    base: str
    id: str
    campaign: str
    gift: str
    mood: str
    state: str
    when: str
    notes: list[str]
    can_change: bool
    is_owed: bool
    again: str | None
    lines: list[PaymentLine]
    older: list[PaymentLine]


def pledge_card(
    pledge: Pledge, paid: Iterable[PaymentWithRefunds], words: Words, *, base: str, receipts: str
) -> PledgeCard:
    """Return what is said of a pledge; its receipts are under `receipts`."""
    ending = is_cancelling(pledge)
    lines = [_line(one, pledge, words, receipts) for one in paid]
    live = is_recurring_active(pledge) and not ending
    mood = "ending" if ending else pledge.status.value
    ended = pledge.status in (PledgeStatus.CANCELLED, PledgeStatus.EXPIRED)
    return PledgeCard(
        base=base,
        id=str(pledge.id),
        campaign=pledge.campaign.name,
        gift=say_pledge(pledge, words),
        mood=mood,
        state=words[f"me_pledge_{mood}"],
        when=_when(pledge, words),
        notes=list(_notes(pledge, words)),
        can_change=live,
        is_owed=live and pledge.status == PledgeStatus.PAST_DUE,
        again=current_container().urls.support_page_url(
            pledge.campaign, pledge.frequency, pledge.amount_minor, currency=pledge.currency
        )
        if ended
        else None,
        lines=lines[:SHOWN_AT_ONCE],
        older=lines[SHOWN_AT_ONCE:],
    )


def say_pledge(pledge: Pledge, words: Words) -> str:
    """Return a pledge in words: "$2 a month"."""
    return say_gift(words, pledge.frequency, Money(pledge.amount_minor, pledge.currency))


def say_day(at: datetime.datetime, pledge: Pledge, words: Words) -> str:
    """Return the date of an instant by the newsroom's calendar, in words."""
    return say_date(at.astimezone(ZoneInfo(pledge.campaign.timezone)).date(), words.lang)


def _when(pledge: Pledge, words: Words) -> str:
    if pledge.ended_at is not None and not is_recurring_active(pledge):
        return words.fill("me_ended_on", date=say_day(pledge.ended_at, pledge, words))
    begun = say_day(pledge.created_at, pledge, words)
    return words.fill("me_since" if is_recurring_active(pledge) else "me_on", date=begun)


def _notes(pledge: Pledge, words: Words) -> Iterable[str]:
    if not is_recurring_active(pledge):
        return
    if is_cancelling(pledge):
        yield words.me_ending
        return

    def say(minor: int) -> str:
        return format_money(Money(minor, pledge.currency), words.lang)

    total = format_money(total_charge(pledge), words.lang)
    if pledge.status == PledgeStatus.PAST_DUE:
        yield words.me_past_due
    elif pledge.renews_at is not None:
        yield words.fill("me_next_payment", amount=total, date=say_day(pledge.renews_at, pledge, words))
    if pledge.fees_minor:
        yield words.fill("me_fees", fees=say(pledge.fees_minor), total=total)
    if pledge.wanted_minor is not None:
        yield words.fill("me_changing", amount=say(pledge.wanted_minor))


def _line(paid: PaymentWithRefunds, pledge: Pledge, words: Words, receipts: str) -> PaymentLine:
    payment = paid.payment
    refunded = format_money(Money(paid.refunded_minor, payment.currency), words.lang)
    return PaymentLine(
        date=say_day(payment.paid_at, pledge, words),
        amount=format_money(Money(payment.amount_minor, payment.currency), words.lang),
        state=words.fill(f"me_payment_{payment.status}", refunded=refunded),
        receipt=f"{receipts}/{payment.id}" if paid.has_receipt else None,
    )
