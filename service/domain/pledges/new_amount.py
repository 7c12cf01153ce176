"""Another amount for a pledge that recurs, from its next payment on: nothing is charged or given back for now.

As with every order (see `changing`), it is written down, then asked of the gateway, then taken for done.
"""

import uuid

from schemas.vocabulary import Frequency
from service.db.campaign import Campaign
from service.db.pledge import Pledge
from service.domain.campaigns.offers import choice_for, fee_rate
from service.domain.errors import AmountAboveMaximum, AmountBelowMinimum, OrderRefused
from service.domain.money.amounts import Money, format_money
from service.domain.pledges.changing import check_gateway, ordering, subscription_of
from service.domain.pledges.making import find_pledge
from service.domain.pledges.status import PledgeEvent, move
from service.domain.ports import Door, Gateway

__all__ = ["amount_limits", "change_amount", "charge_for", "finish_amount"]


def amount_limits(campaign: Campaign, gateway: Gateway, frequency: Frequency, currency: str) -> tuple[int, int]:
    """Return the smallest and the largest amount in minor units that the campaign and the gateway both take.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign offers nothing like it any more.
    """
    choice, limits = choice_for(campaign, frequency, currency), gateway.limits(currency)
    least = max(choice.minimum_minor, limits.smallest_minor)
    return -(-least // limits.step_minor) * limits.step_minor, choice.maximum_minor


def charge_for(pledge: Pledge, amount_minor: int, gateway: Gateway) -> Money:
    """Return what would be charged each time for another amount; who covers the fees goes on covering them."""
    rate = fee_rate(pledge.campaign, pledge.currency) if pledge.fees_minor else None
    step = gateway.limits(pledge.currency).step_minor
    added = 0 if rate is None else rate.added_to(amount_minor, step_minor=step)
    return Money(amount_minor + added, pledge.currency)


def change_amount(door: Door, gateway: Gateway, pledge_id: uuid.UUID, amount_minor: int, *, lang: str) -> Pledge:
    """Take this amount, in minor units of the pledge's own currency, from the next payment on.

    Raises:
        PledgeNotFound: there is none with this id.
        IllegalMove: it takes no money again.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum: each says what would do.
        OtherGateway: the gateway in use knows nothing of it.
        PaymentsUnavailable: the wish is written down, and the reconciler will fulfil it.
        OrderRefused: the gateway says no; nothing has changed.
    """
    with door() as session:
        pledge = find_pledge(session, pledge_id, to_change=True)
        move(pledge.status, PledgeEvent.CANCEL)
        check_gateway(pledge, gateway)
        _check(pledge, gateway, amount_minor, lang=lang)
        subscription_of(pledge)
        pledge.wanted_minor = amount_minor
    return finish_amount(door, gateway, pledge_id)


def finish_amount(door: Door, gateway: Gateway, pledge_id: uuid.UUID) -> Pledge:
    """Order the amount that is written down for a pledge; one for which none is stays as it is.

    Raises:
        PledgeNotFound, OtherGateway, PaymentsUnavailable, OrderRefused: as `change_amount`.
    """
    with door() as session:
        pledge = find_pledge(session, pledge_id)
        wanted = pledge.wanted_minor
        if wanted is None:
            return pledge
        check_gateway(pledge, gateway)
        charge = charge_for(pledge, wanted, gateway)
        subscription = subscription_of(pledge)
    try:
        with ordering():
            gateway.change_amount(subscription, charge, pledge_id=pledge_id)
    except OrderRefused:
        with door() as session:
            pledge = find_pledge(session, pledge_id, to_change=True)
            if pledge.wanted_minor == wanted:
                pledge.wanted_minor = None
        raise
    with door() as session:
        pledge = find_pledge(session, pledge_id, to_change=True)
        # Whoever wished for yet another amount meanwhile orders it themselves.
        if pledge.wanted_minor == wanted:
            pledge.amount_minor, pledge.fees_minor = wanted, charge.amount_minor - wanted
            pledge.wanted_minor = None
    return pledge


def _check(pledge: Pledge, gateway: Gateway, amount_minor: int, *, lang: str) -> None:
    least, most = amount_limits(pledge.campaign, gateway, pledge.frequency, pledge.currency)
    step = gateway.limits(pledge.currency).step_minor
    if amount_minor < least or amount_minor % step:
        nearest = max(least, -(-amount_minor // step) * step)
        raise AmountBelowMinimum(
            f"The smallest amount like this is {format_money(Money(nearest, pledge.currency), lang)}.",
            field="amount",
        )
    if amount_minor > most:
        raise AmountAboveMaximum(
            f"The largest amount is {format_money(Money(most, pledge.currency), lang)}.", field="amount"
        )
