"""Starting a pledge's checkout: create the pledge, call the gateway, store the checkout's URL.

The gateway is called between two transactions and never inside one: a slow gateway holds no lock, and after a
crash the same request, sent again, completes the pledge.
"""

import datetime
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.db.session import constraint_name, session_keyring
from service.domain.errors import PaymentsUnavailable, RequestInProgress
from service.domain.pledges.idempotency import LOCK_TTL, find_key, scoped_key, store_key
from service.domain.pledges.installation import get_or_create_installation_id
from service.domain.pledges.links import return_token
from service.domain.pledges.pledges import CreatePledge, create_pledge, get_pledge, total_charge, validate_pledge
from service.domain.pledges.return_urls import cancel_url
from service.domain.ports import (
    CheckoutParams,
    Clock,
    GatewayRejected,
    GatewayUnavailable,
    PaymentGateway,
    TransactionFactory,
)
from service.domain.urls import UrlBuilder

RETRY_AFTER_SECONDS = 30
FIELDS_ADDED_LATER = ("reminder", "cover_fees")


@dataclass(frozen=True, kw_only=True)
class PledgeCheckout:
    """A pledge as it was created, and the URL to pay it at. Amounts are in minor units.

    `replayed` is true if an earlier request with the same key created it.
    """

    id: uuid.UUID
    status: PledgeStatus
    frequency: Frequency
    amount: int
    currency: str
    fees: int
    total: int
    checkout_url: str
    created_at: datetime.datetime
    replayed: bool


def create_pledge_checkout(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    campaign: Campaign,
    payload: CreatePledge,
    *,
    idempotency_key: str,
    clock: Clock,
    urls: UrlBuilder,
    client: str | None = None,
    supporter_id: uuid.UUID | None = None,
) -> PledgeCheckout:
    """Create a pledge and start its checkout, once per key, even for concurrent requests.

    `client` is the network that the request came from, and `supporter_id` the signed-in supporter, if any.

    Raises:
        what `validate_pledge` raises: nothing is stored.
        IdempotencyKeyReused: the key was sent before with another request.
        RequestInProgress: the first request with this key still runs.
        PaymentsUnavailable: the gateway is down or refuses; the request may be sent again with the same key.
    """
    idempotency_key = scoped_key(idempotency_key, campaign_id=campaign.id, client=client)
    pledge, replayed = _create_or_replay(
        transaction,
        gateway,
        campaign,
        payload,
        idempotency_key=idempotency_key,
        supporter_id=supporter_id,
        clock=clock,
    )
    if pledge.checkout_url is None:
        try:
            pledge = start_checkout(transaction, gateway, pledge, campaign, urls)
        except (GatewayUnavailable, GatewayRejected) as error:
            # The reader chose what the campaign offers, so a refusal is not an error of the request.
            with transaction() as session:
                _release_idempotency_key(session, idempotency_key, payload, now=clock())
            raise PaymentsUnavailable(
                "Payments cannot be taken right now; please try again soon.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error
    return _to_checkout(pledge, replayed=replayed)


def start_checkout(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge: Pledge, campaign: Campaign, urls: UrlBuilder
) -> Pledge:
    """Create the checkout of a stored pledge and record it. Idempotent. Call it without an open transaction.

    Raises:
        GatewayUnavailable: the same call may succeed later.
        GatewayRejected: the gateway refuses.
    """
    if campaign.product_name != campaign.name:
        gateway.save_product(campaign.id, campaign.name)
        with transaction() as session:
            session.execute(update(Campaign).where(Campaign.id == campaign.id).values(product_name=campaign.name))
    with transaction() as session:
        params = checkout_params(session, pledge, campaign, urls)
    checkout = gateway.create_checkout(params)
    with transaction() as session:
        pledge = get_pledge(session, pledge.id, for_update=True)
        pledge.gateway_reference = pledge.gateway_reference or checkout.reference
        pledge.checkout_url = pledge.checkout_url or checkout.url
        # An event may have reported the customer of the payment already.
        if pledge.customer_reference == params.customer:
            pledge.customer_reference = checkout.customer
    return pledge


def checkout_params(session: Session, pledge: Pledge, campaign: Campaign, urls: UrlBuilder) -> CheckoutParams:
    """Return the parameters of the pledge's checkout, the same ones on every call."""
    return CheckoutParams(
        pledge_id=pledge.id,
        campaign_id=campaign.id,
        installation_id=get_or_create_installation_id(session),
        campaign_name=campaign.name,
        frequency=pledge.frequency,
        money=total_charge(pledge),
        lang=pledge.lang or campaign.lang,
        success_url=urls.checkout_return_url(
            campaign, pledge.id, return_token(session_keyring(session), pledge.id)
        ),
        cancel_url=cancel_url(pledge, campaign, urls),
        customer=pledge.customer_reference,
    )


def _create_or_replay(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    campaign: Campaign,
    payload: CreatePledge,
    *,
    idempotency_key: str,
    supporter_id: uuid.UUID | None,
    clock: Clock,
) -> tuple[Pledge, bool]:
    """Return the key's pledge, and whether it existed already with its checkout."""

    def claim() -> tuple[Pledge, bool]:
        with transaction() as session:
            return _claim_idempotency_key(
                session,
                gateway,
                campaign,
                payload,
                idempotency_key=idempotency_key,
                supporter_id=supporter_id,
                now=clock(),
            )

    try:
        return claim()
    except IntegrityError as error:
        if constraint_name(error) != "pk_idempotency_keys":
            raise
        # A concurrent request with this key inserted its row first; this time it is found.
        return claim()


def _claim_idempotency_key(
    session: Session,
    gateway: PaymentGateway,
    campaign: Campaign,
    payload: CreatePledge,
    *,
    idempotency_key: str,
    supporter_id: uuid.UUID | None,
    now: datetime.datetime,
) -> tuple[Pledge, bool]:
    request = _request_fingerprint(payload)
    stored = find_key(session, idempotency_key, request)
    if stored is None:
        limits = gateway.charge_limits(payload.currency)
        validate_pledge(campaign, payload, limits=limits)
        pledge = create_pledge(
            session,
            campaign,
            payload,
            gateway=gateway.name,
            limits=limits,
            supporter_id=supporter_id,
            now=now,
        )
        store_key(session, idempotency_key, request, pledge.id, now=now)
        return pledge, False
    pledge = get_pledge(session, stored.pledge_id)
    if pledge.checkout_url is not None:
        return pledge, True
    if stored.locked_until > now:
        raise RequestInProgress(
            "The first request with this Idempotency-Key still runs; ask again in a moment.", retry_after_seconds=1
        )
    stored.locked_until = now + LOCK_TTL
    return pledge, False


def _release_idempotency_key(
    session: Session, idempotency_key: str, payload: CreatePledge, *, now: datetime.datetime
) -> None:
    stored = find_key(session, idempotency_key, _request_fingerprint(payload))
    if stored is not None:
        stored.locked_until = now


def _request_fingerprint(payload: CreatePledge) -> dict[str, Any]:
    request = asdict(payload)
    # A key that an older release stored was hashed without these fields, and its request may still be repeated.
    for name in FIELDS_ADDED_LATER:
        if not request[name]:
            del request[name]
    return request


def _to_checkout(pledge: Pledge, *, replayed: bool) -> PledgeCheckout:
    # A repeated request gets exactly the first response, even if the pledge has been paid since: always `pending`.
    return PledgeCheckout(
        id=pledge.id,
        status=PledgeStatus.PENDING,
        frequency=pledge.frequency,
        amount=pledge.amount_minor,
        currency=pledge.currency,
        fees=pledge.fees_minor,
        total=total_charge(pledge).amount_minor,
        checkout_url=pledge.checkout_url or "",
        created_at=pledge.created_at,
        replayed=replayed,
    )
