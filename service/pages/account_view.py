"""A pledge and its payments in the words of its reader's page."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.money import Money, format_money
from service.domain.pledges.pledges import total_charge
from service.domain.pledges.queries import PaymentWithRefunds
from service.domain.pledges.subscriptions import is_cancelling, is_recurring_active
from service.pages.formatting import format_long_date, format_pledge
from service.pages.translations import Texts
from service.web import current_container

SHOWN_AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class PaymentRow:
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
    summary: str
    state_class: str
    state: str
    when: str
    notes: list[str]
    can_change: bool
    is_past_due: bool
    renew_url: str | None
    lines: list[PaymentRow]
    older: list[PaymentRow]


def build_pledge_card(
    pledge: Pledge, paid: Iterable[PaymentWithRefunds], texts: Texts, *, base: str, receipts: str
) -> PledgeCard:
    """Return what is said of a pledge; its receipts are under `receipts`."""
    ending = is_cancelling(pledge)
    lines = [_line(one, pledge, texts, receipts) for one in paid]
    live = is_recurring_active(pledge) and not ending
    mood = "ending" if ending else pledge.status.value
    ended = pledge.status in (PledgeStatus.CANCELLED, PledgeStatus.EXPIRED)
    return PledgeCard(
        base=base,
        id=str(pledge.id),
        campaign=pledge.campaign.name,
        summary=format_pledge_summary(pledge, texts),
        state_class=mood,
        state=texts[f"me_pledge_{mood}"],
        when=_when(pledge, texts),
        notes=list(_notes(pledge, texts)),
        can_change=live,
        is_past_due=live and pledge.status == PledgeStatus.PAST_DUE,
        renew_url=current_container().urls.support_page_url(
            pledge.campaign, pledge.frequency, pledge.amount_minor, currency=pledge.currency
        )
        if ended
        else None,
        lines=lines[:SHOWN_AT_ONCE],
        older=lines[SHOWN_AT_ONCE:],
    )


def format_pledge_summary(pledge: Pledge, texts: Texts) -> str:
    """Return a pledge in words: "$2 a month"."""
    return format_pledge(texts, pledge.frequency, Money(pledge.amount_minor, pledge.currency))


def format_campaign_date(at: datetime.datetime, pledge: Pledge, texts: Texts) -> str:
    """Return the date of an instant by the newsroom's calendar, in words."""
    return format_long_date(at.astimezone(ZoneInfo(pledge.campaign.timezone)).date(), texts.lang)


def _when(pledge: Pledge, texts: Texts) -> str:
    if pledge.ended_at is not None and not is_recurring_active(pledge):
        return texts.format("me_ended_on", date=format_campaign_date(pledge.ended_at, pledge, texts))
    begun = format_campaign_date(pledge.created_at, pledge, texts)
    return texts.format("me_since" if is_recurring_active(pledge) else "me_on", date=begun)


def _notes(pledge: Pledge, texts: Texts) -> Iterable[str]:
    if not is_recurring_active(pledge):
        return
    if is_cancelling(pledge):
        yield texts.me_ending
        return

    def say(minor: int) -> str:
        return format_money(Money(minor, pledge.currency), texts.lang)

    total = format_money(total_charge(pledge), texts.lang)
    if pledge.status == PledgeStatus.PAST_DUE:
        yield texts.me_past_due
    elif pledge.renews_at is not None:
        yield texts.format(
            "me_next_payment", amount=total, date=format_campaign_date(pledge.renews_at, pledge, texts)
        )
    if pledge.fees_minor:
        yield texts.format("me_fees", fees=say(pledge.fees_minor), total=total)
    if pledge.pending_amount_minor is not None:
        yield texts.format("me_changing", amount=say(pledge.pending_amount_minor))


def _line(paid: PaymentWithRefunds, pledge: Pledge, texts: Texts, receipts: str) -> PaymentRow:
    payment = paid.payment
    refunded = format_money(Money(paid.refunded_minor, payment.currency), texts.lang)
    return PaymentRow(
        date=format_campaign_date(payment.paid_at, pledge, texts),
        amount=format_money(Money(payment.amount_minor, payment.currency), texts.lang),
        state=texts.format(f"me_payment_{payment.status}", refunded=refunded),
        receipt=f"{receipts}/{payment.id}" if paid.has_receipt else None,
    )
