"""Attaching a parked event to a pledge that staff choose: a subscription that they made, or a second payment."""

import datetime
import uuid
from collections.abc import Collection

from sqlalchemy.orm import Session

from schemas.enums import EventStatus
from service.db.models.payment import GatewayEvent
from service.domain.errors import EventNotFound, InvalidTransition, PaymentMismatch
from service.domain.payments.event_handlers import handle_event
from service.domain.payments.event_processing import (
    look_up_subscriptions,
    make_resolvable_events_due,
    record_applied,
)
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.subscription_reports import SubscriptionOrderUnknown, replace_subscription
from service.domain.pledges.subscriptions import translate_gateway_errors
from service.domain.ports import (
    Clock,
    EventSource,
    InvalidEvent,
    KnownOwner,
    TransactionFactory,
)
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    PaymentEvent,
    PaymentSucceeded,
    SubscriptionUpdated,
)


class ChosenPledge:
    """Implements `service.domain.ports.KnownPledges`: whatever an event names, it belongs to one pledge."""

    installation_id: uuid.UUID | None = None

    def __init__(self, pledge_id: uuid.UUID) -> None:
        self._pledge_id = pledge_id

    def find_owner(
        self,
        references: Collection[str],  # noqa: ARG002 - the port's signature
        *,
        pledge_id: uuid.UUID | None,  # noqa: ARG002 - the port's signature
        customer: str | None,  # noqa: ARG002 - the port's signature
    ) -> KnownOwner:
        """Return the chosen pledge."""
        return KnownOwner(pledge_id=self._pledge_id)

    def has_campaign(self, campaign_id: uuid.UUID) -> bool:  # noqa: ARG002 - the port's signature
        """Return False: the pledge is chosen already."""
        return False


def attach_event(
    transaction: TransactionFactory,
    source: EventSource,
    event_id: uuid.UUID,
    pledge_id: uuid.UUID,
    *,
    clock: Clock,
) -> GatewayEvent:
    """Apply an event to a pledge, which then owns its subscription; attaching it again changes nothing.

    Parked events that this may resolve become due again. Attaching cannot be undone: the payment has a receipt.

    Raises:
        EventNotFound, PledgeNotFound: no row has this id.
        InvalidTransition: the event was applied to another pledge, its payload is deleted, or the pledge's own
            subscription still runs.
        PaymentMismatch: the event brings neither a payment nor a subscription, or it does not fit the pledge.
        PaymentsUnavailable: the gateway is needed and unavailable.
    """
    with transaction() as session:
        event = _get_attachable(session, event_id, pledge_id)
        get_pledge(session, pledge_id)
        if event.status == EventStatus.APPLIED:
            return event
        payload, redacted_at = event.payload or "", event.redacted_at
    try:
        with translate_gateway_errors():
            parsed = source.parse_event(payload, ChosenPledge(pledge_id))
    except InvalidEvent as error:
        raise PaymentMismatch(str(error)) from error
    try:
        return _apply_to_pledge(
            transaction, source.name, event_id, parsed, pledge_id, redacted_at=redacted_at, clock=clock
        )
    except SubscriptionOrderUnknown:
        # No transaction is open during the look-up.
        with translate_gateway_errors():
            parsed = look_up_subscriptions(source, parsed)
        return _apply_to_pledge(
            transaction, source.name, event_id, parsed, pledge_id, redacted_at=redacted_at, clock=clock
        )


def _get_attachable(session: Session, event_id: uuid.UUID, pledge_id: uuid.UUID) -> GatewayEvent:
    event = session.get(GatewayEvent, event_id, with_for_update=True)
    if event is None:
        raise EventNotFound("There is no event with this id.")
    if event.status == EventStatus.APPLIED and event.pledge_id != pledge_id:
        raise InvalidTransition("This event was applied already.")
    if event.status != EventStatus.APPLIED and event.payload is None:
        raise InvalidTransition("The payload of this event is deleted.")
    return event


def _apply_to_pledge(
    transaction: TransactionFactory,
    gateway: str,
    event_id: uuid.UUID,
    parsed: list[PaymentEvent],
    pledge_id: uuid.UUID,
    *,
    redacted_at: datetime.datetime | None,
    clock: Clock,
) -> GatewayEvent:
    kinds = PaymentSucceeded | SubscriptionUpdated | CheckoutCompleted
    subscriptions = {item.subscription for item in parsed if isinstance(item, kinds)}
    if not subscriptions:
        raise PaymentMismatch(
            "This event brings neither a payment nor a subscription; attach the one that does, and this follows."
        )
    now = clock()
    with transaction() as session:
        event = _get_attachable(session, event_id, pledge_id)
        if event.status == EventStatus.APPLIED:
            return event
        if event.redacted_at != redacted_at:
            raise InvalidTransition("An erasure has just changed this event; try again.")
        pledge = get_pledge(session, pledge_id, for_update=True)
        for subscription in subscriptions:
            if subscription is not None:
                replace_subscription(session, pledge, subscription, now=now)
        for item in parsed:
            handle_event(session, gateway, item, now=now, attached=True)
        record_applied(session, event, [pledge_id], now=now)
        make_resolvable_events_due(session, gateway, now=now)
    return event
