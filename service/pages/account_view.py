"""Build the view of a pledge and its payments for the account pages."""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from schemas.enums import PaymentStatus, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.money import Money, format_money
from service.domain.pledges.customers import shares_customer
from service.domain.pledges.open_invoices import needs_confirmation, owes_invoice
from service.domain.pledges.pauses import is_pausable
from service.domain.pledges.pledges import is_bounced, total_charge
from service.domain.pledges.queries import PaymentWithRefunds, is_newest_recurring_pledge, other_recurring_pledge
from service.domain.pledges.renewals import (
    is_paused_at,
    missed_payment_at,
    next_payment_at,
    pause_ends_at,
    scheduled_payment_at,
)
from service.domain.pledges.subscriptions import (
    OTHER_FREQUENCY,
    is_cancelling,
    is_recurring_active,
    may_change_amount,
    may_switch,
)
from service.pages.formatting import format_day, format_pledge
from service.pages.translations import Texts
from service.web import current_container

SHOWN_AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class PaymentRow:
    """One row of the payment table, as text. `receipt` is a path; it is None for a failed payment."""

    date: str
    amount: str
    state: str
    state_class: str
    receipt: str | None


@dataclass(frozen=True, kw_only=True)
class PledgeCard:
    """One pledge, as text. Its actions are under the path `base_url`; the first payments are shown at once.

    `pay_label` is that of the button that leads to an open invoice; None if nothing is owed. `renew_url` leads to
    the support page with the same choice; it is None while the pledge has not ended. `switch_label` offers the
    other frequency, where that is possible.
    """

    base_url: str
    id: str
    campaign: str
    summary: str
    state_class: str
    state: str
    when: str
    next_payment: str | None
    notes: list[str]
    is_running: bool
    can_change: bool
    can_change_amount: bool
    can_pause: bool
    is_paused: bool
    switch_label: str | None
    is_past_due: bool
    pay_label: str | None
    may_try_card: bool
    renew_url: str | None
    payments: list[PaymentRow]
    older_payments: list[PaymentRow]


def build_pledge_card(
    pledge: Pledge,
    payments: Iterable[PaymentWithRefunds],
    texts: Texts,
    *,
    base_url: str,
    receipts_url: str,
    supporter_pledges: Sequence[Pledge] = (),
    renew_token: str | None = None,
    is_in_list: bool = False,
) -> PledgeCard:
    """Return the card of a pledge. `payments` are in the order in which they are shown.

    `supporter_pledges` are all that its supporter has. `renew_token` tells the support page who gives again. In a
    list of all cards, one of them says that the reader gives twice.
    """
    cancelling = is_cancelling(pledge)
    can_change = is_recurring_active(pledge) and not cancelling
    now = current_container().clock()
    is_paused = can_change and pledge.status == PledgeStatus.ACTIVE and is_paused_at(pledge, now)
    state = _state(pledge, is_paused=is_paused)
    has_ended = pledge.status in (PledgeStatus.CANCELLED, PledgeStatus.EXPIRED)
    listed = list(payments)
    rows = [_payment_row(payment, pledge, texts, receipts_url) for payment in listed]
    return PledgeCard(
        base_url=base_url,
        id=str(pledge.id),
        campaign=pledge.campaign.name,
        summary=format_pledge_summary(pledge, texts),
        state_class=state,
        state=texts[f"me_pledge_{state}"],
        when=_when(pledge, texts),
        next_payment=_next_payment(pledge, texts),
        notes=[
            *_notes(pledge, [each.payment for each in listed], texts),
            *_card_note(pledge, supporter_pledges, texts),
            *_other_pledge_note(pledge, supporter_pledges, texts, is_in_list=is_in_list),
        ],
        is_running=is_recurring_active(pledge),
        can_change=can_change,
        can_change_amount=can_change and may_change_amount(pledge),
        can_pause=can_change and is_pausable(pledge, now=now),
        is_paused=is_paused,
        switch_label=texts[f"me_switch_{OTHER_FREQUENCY[pledge.frequency]}"]
        if can_change and may_switch(pledge, now=now)
        else None,
        is_past_due=can_change and pledge.status == PledgeStatus.PAST_DUE,
        pay_label=_pay_label(pledge, listed, texts) if can_change and owes_invoice(pledge) else None,
        may_try_card=not needs_confirmation(pledge),
        renew_url=current_container().urls.support_page_url(
            pledge.campaign, pledge.frequency, pledge.amount_minor, renew_token, currency=pledge.currency
        )
        if has_ended
        else None,
        payments=rows[:SHOWN_AT_ONCE],
        older_payments=rows[SHOWN_AT_ONCE:],
    )


def _pay_label(pledge: Pledge, payments: Iterable[PaymentWithRefunds], texts: Texts) -> str:
    """Return the label of the button that leads to the open invoice, with its amount if that is known."""
    if needs_confirmation(pledge):
        return texts.me_confirm_payment
    for listed in payments:
        invoice, _, _ = listed.payment.gateway_reference.rpartition("#")
        if invoice == pledge.open_invoice_reference:
            money = Money(listed.payment.amount_minor, listed.payment.currency)
            return texts.format("me_pay_amount_now", amount=format_money(money, texts.lang))
    return texts.me_pay_now


def _state(pledge: Pledge, *, is_paused: bool) -> str:
    if is_cancelling(pledge):
        return "ending"
    if is_bounced(pledge):
        return "bounced"
    return "paused" if is_paused else pledge.status.value


def format_pledge_summary(pledge: Pledge, texts: Texts) -> str:
    """Return a pledge's amount and frequency: "$2 a month"."""
    return format_pledge(texts, pledge.frequency, Money(pledge.amount_minor, pledge.currency))


def campaign_date(at: datetime.datetime, pledge: Pledge) -> datetime.date:
    """Return the day of an instant in the campaign's time zone."""
    return at.astimezone(ZoneInfo(pledge.campaign.timezone)).date()


def format_campaign_date(at: datetime.datetime, pledge: Pledge, texts: Texts) -> str:
    """Return the long date of an instant in the campaign's time zone."""
    return format_day(campaign_date(at, pledge), pledge.campaign, texts)


def _when(pledge: Pledge, texts: Texts) -> str:
    """Return when the pledge ended, else when it was created."""
    if pledge.ended_at is not None and not is_recurring_active(pledge):
        return texts.format("me_ended_on", date=format_campaign_date(pledge.ended_at, pledge, texts))
    created_on = format_campaign_date(pledge.created_at, pledge, texts)
    if not is_recurring_active(pledge):
        return texts.format("me_on", date=created_on)
    # Neither a payment that failed nor a cancellation or pause dates from the day on which the support began.
    is_paused = is_paused_at(pledge, current_container().clock())
    has_trouble = pledge.status == PledgeStatus.PAST_DUE or is_cancelling(pledge) or is_paused
    return texts.format("me_given_since" if has_trouble else "me_since", date=created_on)


def _next_payment(pledge: Pledge, texts: Texts) -> str | None:
    """Return the sentence about the next payment; None unless one is expected on a known day."""
    renews_at = next_payment_at(pledge, now=current_container().clock())
    if renews_at is None:
        return None
    total = format_money(total_charge(pledge), texts.lang)
    return texts.format("me_next_payment", amount=total, date=format_campaign_date(renews_at, pledge, texts))


def _notes(pledge: Pledge, payments: Sequence[Payment], texts: Texts) -> Iterator[str]:
    """Yield what a supporter should know: a payment on its way, an end, a pause, fees and pending changes."""
    if pledge.status == PledgeStatus.PROCESSING:
        yield texts.me_processing
    if is_bounced(pledge):
        yield texts.me_bounced
    if not is_recurring_active(pledge):
        if pledge.status == PledgeStatus.PROCESSING:
            yield texts.me_processing_once
        return
    if is_cancelling(pledge):
        yield texts.me_ending
        return

    def format_amount(amount_minor: int) -> str:
        return format_money(Money(amount_minor, pledge.currency), texts.lang)

    total = format_money(total_charge(pledge), texts.lang)
    if pledge.status == PledgeStatus.PAST_DUE:
        yield texts.me_confirm if needs_confirmation(pledge) else texts.me_past_due
    if pledge.cancel_at is not None:
        yield texts.format("me_ends_on", date=format_campaign_date(pledge.cancel_at, pledge, texts))
    yield from _pause_notes(pledge, payments, texts, now=current_container().clock())
    if pledge.fees_minor:
        yield texts.format("me_fees", fees=format_amount(pledge.fees_minor), total=total)
    if pledge.pending_amount_minor is not None:
        yield texts.format("me_changing", amount=format_amount(pledge.pending_amount_minor))


def _pause_notes(
    pledge: Pledge, payments: Sequence[Payment], texts: Texts, *, now: datetime.datetime
) -> Iterator[str]:
    """Yield until when the payments are paused, which is the day of the next one if the pause skips any."""
    paid_at = [payment.paid_at for payment in payments if payment.status != PaymentStatus.FAILED]
    missed_at = missed_payment_at(pledge, paid_at, now=now)
    if missed_at is not None:
        yield texts.format("me_pause_missed", date=format_campaign_date(missed_at, pledge, texts))
    elif is_paused_at(pledge, now):
        ends_at, scheduled_at = pause_ends_at(pledge), scheduled_payment_at(pledge, now=now)
        if ends_at is None:
            yield texts.me_paused
        else:
            skips = scheduled_at is not None and is_paused_at(pledge, scheduled_at)
            until = (next_payment_at(pledge, now=now) if skips else None) or ends_at
            yield texts.format("me_paused_until", date=format_campaign_date(until, pledge, texts))
    if pledge.pause_requested_at is not None:
        yield texts.me_change_saved


def _card_note(pledge: Pledge, supporter_pledges: Sequence[Pledge], texts: Texts) -> Iterator[str]:
    """Yield whether a new card is used for the supporter's other running pledges too."""
    is_shared = shares_customer(pledge, supporter_pledges)
    if is_shared is not None and is_recurring_active(pledge) and not is_cancelling(pledge):
        yield texts.me_card_shared if is_shared else texts.me_card_separate


def _other_pledge_note(
    pledge: Pledge, supporter_pledges: Sequence[Pledge], texts: Texts, *, is_in_list: bool
) -> Iterator[str]:
    """Yield whether the reader also gives otherwise; in a list, the newest pledge says so for all."""
    other = other_recurring_pledge(pledge, supporter_pledges)
    if other is not None and (not is_in_list or is_newest_recurring_pledge(pledge, supporter_pledges)):
        date = format_campaign_date(other.created_at, other, texts)
        yield texts.format("me_gives_twice", gift=format_pledge_summary(other, texts), date=date)


def _payment_row(
    payment_with_refunds: PaymentWithRefunds, pledge: Pledge, texts: Texts, receipts_url: str
) -> PaymentRow:
    payment = payment_with_refunds.payment
    refunded = format_money(Money(payment_with_refunds.refunded_minor, payment.currency), texts.lang)
    return PaymentRow(
        date=format_campaign_date(payment.paid_at, pledge, texts),
        amount=format_money(Money(payment.amount_minor, payment.currency), texts.lang),
        state=texts.format(f"me_payment_{payment.status}", refunded=refunded),
        state_class=payment.status.value,
        receipt=f"{receipts_url}/{payment.id}" if payment_with_refunds.has_receipt else None,
    )
