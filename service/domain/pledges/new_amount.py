"""Another amount for a pledge that recurs, from its next payment on: nothing is charged or given back for now.

As with every order (see `changing`), it is written down, then asked of the gateway, then taken for done.
"""

import uuid

from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.charging import covered_fees, validate_amount
from service.domain.campaigns.offers import find_option
from service.domain.errors import PaymentRequestRejected
from service.domain.money.amounts import Money
from service.domain.pledges.changing import require_same_gateway, subscription_reference, translate_gateway_errors
from service.domain.pledges.making import get_pledge
from service.domain.pledges.status import PledgeEvent, next_status
from service.domain.ports import PaymentGateway, TransactionFactory


def amount_limits(
    campaign: Campaign, gateway: PaymentGateway, frequency: Frequency, currency: str
) -> tuple[int, int]:
    """Return the smallest and the largest amount in minor units that the campaign and the gateway both take.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign offers nothing like it any more.
    """
    choice, limits = find_option(campaign, frequency, currency), gateway.charge_limits(currency)
    least = max(choice.minimum_minor, limits.smallest_minor)
    return -(-least // limits.step_minor) * limits.step_minor, choice.maximum_minor


def total_charge_for(pledge: Pledge, amount_minor: int, gateway: PaymentGateway) -> Money:
    """Return what would be charged each time for another amount; who covers the fees goes on covering them."""
    chosen = Money(amount_minor, pledge.currency)
    if not pledge.fees_minor:
        return chosen
    fees = covered_fees(pledge.campaign, chosen, limits=gateway.charge_limits(pledge.currency))
    return Money(amount_minor + fees, pledge.currency)


def change_amount(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, amount_minor: int, *, lang: str
) -> Pledge:
    """Take this amount, in minor units of the pledge's own currency, from the next payment on.

    Raises:
        PledgeNotFound: there is none with this id.
        InvalidTransition: it takes no money again.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each says what would do.
        GatewayMismatch: the gateway in use knows nothing of it.
        PaymentsUnavailable: the wish is written down, and the reconciler will fulfil it.
        PaymentRequestRejected: the gateway says no; nothing has changed.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        next_status(pledge.status, PledgeEvent.CANCEL)
        require_same_gateway(pledge, gateway)
        limits = gateway.charge_limits(pledge.currency)
        wanted = Money(amount_minor, pledge.currency)
        validate_amount(pledge.campaign, pledge.frequency, wanted, limits=limits, lang=lang)
        subscription_reference(pledge)
        pledge.wanted_minor = amount_minor
    return complete_amount_change(transaction, gateway, pledge_id)


def complete_amount_change(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID
) -> Pledge:
    """Order the amount that is written down for a pledge; one for which none is stays as it is.

    Raises:
        PledgeNotFound, GatewayMismatch, PaymentsUnavailable, PaymentRequestRejected: as
        `update_subscription_amount`.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        wanted = pledge.wanted_minor
        if wanted is None:
            return pledge
        require_same_gateway(pledge, gateway)
        charge = total_charge_for(pledge, wanted, gateway)
        subscription = subscription_reference(pledge)
    try:
        with translate_gateway_errors():
            gateway.update_subscription_amount(subscription, charge, pledge_id=pledge_id)
    except PaymentRequestRejected:
        with transaction() as session:
            pledge = get_pledge(session, pledge_id, for_update=True)
            if pledge.wanted_minor == wanted:
                pledge.wanted_minor = None
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # Whoever wished for yet another amount meanwhile orders it themselves.
        if pledge.wanted_minor == wanted:
            pledge.amount_minor, pledge.fees_minor = wanted, charge.amount_minor - wanted
            pledge.wanted_minor = None
    return pledge
