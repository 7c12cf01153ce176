"""Decide whether a Stripe event belongs to a pledge of this installation, and to which.

Other products and other installations of Mainstay may share the Stripe account. The payload and our own database
decide. Stripe is asked only if neither does, which is never the case for an event that names a pledge.
"""

import uuid
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from service.domain.ports import KnownOwner, KnownPledges, OwnerUnknown
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import (
    StripeJson,
    find_installation_id,
    find_pledge_id,
    get_path,
    list_data,
    object_id,
    require_id,
)
from service.gateways.stripe.payments import invoice_for_payment_intent, invoice_subscription
from service.gateways.stripe.products import campaign_id_of

INVOICE, CUSTOMER, SUBSCRIPTION = "invoice.", "customer.", "customer.subscription."
# Objects whose metadata Checkout copies from the session, so that one without a pledge's id is never ours.
CHECKOUT_PREFIXES: Final = ("checkout.", "payment_intent.")
PAYMENT_PREFIXES: Final = ("charge.", "refund.", "radar.")
# These are about a charge, and hold neither its customer nor its metadata.
ABOUT_CHARGE_PREFIXES: Final = ("charge.dispute.", "charge.refund.", "refund.", "radar.")
REFERENCES: Final = ("id", "subscription", "payment_intent", "invoice", "charge")
MAX_REMEMBERED: Final = 1000


class NothingKnown:
    """Implements `service.domain.ports.KnownPledges` without a database: every pledge id that is named counts."""

    installation_id: uuid.UUID | None = None

    def find_owner(
        self,
        references: Collection[str],  # noqa: ARG002 - the port's signature
        *,
        pledge_id: uuid.UUID | None,
        customer: str | None,  # noqa: ARG002 - the port's signature
    ) -> KnownOwner:
        """Return the pledge that is named."""
        return KnownOwner(pledge_id=pledge_id)

    def has_campaign(self, campaign_id: uuid.UUID) -> bool:  # noqa: ARG002 - the port's signature
        """Return False."""
        return False


@dataclass(frozen=True)
class EventOwner:
    """The owner of an event that is ours; without `pledge_id`, the ids in the event identify the pledge."""

    pledge_id: uuid.UUID | None


class EventOwners:
    """Finds the owners of events. It remembers the payments that turned out not to be ours."""

    def __init__(self, api: StripeApiClient) -> None:
        self._api = api
        self._foreign_payments: OrderedDict[str, None] = OrderedDict()

    def find(self, kind: str, obj: StripeJson, known: KnownPledges, *, may_wait: bool) -> EventOwner | None:
        """Return the owner of an event about `obj`, or None if the event is not ours.

        Raises:
            OwnerUnknown: only with `may_wait`: the event names nothing that is known here yet.
            GatewayUnavailable: try again later.
        """
        if kind.startswith(CUSTOMER) and not kind.startswith(SUBSCRIPTION):
            return self._of_customer(obj, known, may_wait)
        # A supporter may pay for another product too, so the customer of a payment decides nothing.
        customer = None if kind.startswith(PAYMENT_PREFIXES) else object_id(obj.get("customer"))
        owner, is_decided = self._by_names(_metadata(obj), _references(obj), customer, known)
        if is_decided:
            return owner
        if kind.startswith(CHECKOUT_PREFIXES):
            return None
        if kind.startswith((INVOICE, SUBSCRIPTION)):
            subscription = invoice_subscription(obj) if kind.startswith(INVOICE) else object_id(obj)
            return None if subscription is None else self._of_subscription(subscription, obj, known, may_wait)
        if kind.startswith(PAYMENT_PREFIXES):
            return self._of_payment(kind, obj, known, may_wait)
        return EventOwner(None)

    def _by_names(
        self, metadata: list[Any], references: set[str], customer: str | None, known: KnownPledges
    ) -> tuple[EventOwner | None, bool]:
        """Return the owner by what metadata and ids name, and whether that decides.

        Our own ids come before the metadata, which anyone may edit at Stripe. The id of an installation comes
        before both, because a copy of our database knows the same ids.
        """
        installation = find_installation_id(*metadata)
        if None not in (installation, known.installation_id) and installation != known.installation_id:
            return None, True
        named = find_pledge_id(*metadata)
        found = known.find_owner(references, pledge_id=named, customer=customer)
        if found.pledge_id is not None:
            return EventOwner(found.pledge_id), True
        if named is not None:
            # A pledge of ours whose row is gone is for an operator. Without an installation's id, it is another's.
            return (EventOwner(named) if installation is not None else None), True
        return (EventOwner(None), True) if found.is_customer else (None, False)

    def _of_subscription(
        self, subscription: str, obj: StripeJson, known: KnownPledges, may_wait: bool
    ) -> EventOwner | None:
        if may_wait:
            # The metadata of ours may have been removed. Then another event tells which pledge it belongs to.
            raise OwnerUnknown("Its subscription is not known here.")
        if _sells_product_of_ours(obj, known):
            # The metadata are gone, and the event of the checkout is late or lost.
            return self._by_checkout(subscription, known)
        snapshots = (
            get_path(obj, "parent", "subscription_details", "metadata"),
            get_path(obj, "subscription_details", "metadata"),
            obj.get("metadata") if obj.get("id") == subscription else None,
        )
        if any(isinstance(snapshot, dict) for snapshot in snapshots):
            return None
        # Old invoices hold no copy of the subscription's metadata.
        found = self._api.retrieve("retrieve_subscription", lambda v1: v1.subscriptions.retrieve(subscription))
        if found is None:
            # The domain knows its own subscriptions.
            return EventOwner(None)
        return self._by_names([found.get("metadata")], set(), object_id(found.get("customer")), known)[0]

    def _by_checkout(self, subscription: str, known: KnownPledges) -> EventOwner | None:
        """Return the owner of the checkout that created a subscription, which Stripe lists by the subscription.

        Without one that names its owner, the subscription is ours: its product is. A copy of our database knows
        the same product, so that the checkout may name another installation.
        """
        page = self._api.retrieve(
            "list_checkout_sessions",
            lambda v1: v1.checkout.sessions.list({"subscription": subscription, "limit": 1}),
        )
        for session in (page or {}).get("data", []):
            owner, is_decided = self._by_names(_metadata(session), _references(session), None, known)
            return owner if is_decided else EventOwner(None)
        return EventOwner(None)

    def _of_customer(self, obj: StripeJson, known: KnownPledges, may_wait: bool) -> EventOwner | None:
        """Return the owner of an event about a customer. Only our database knows which customers are ours."""
        if known.find_owner((), pledge_id=None, customer=require_id(obj)).is_customer:
            return EventOwner(None)
        if may_wait:
            # The checkout that created the customer may not be applied yet.
            raise OwnerUnknown("Its customer is not known here.")
        return None

    def _of_payment(self, kind: str, obj: StripeJson, known: KnownPledges, may_wait: bool) -> EventOwner | None:
        require_id(obj)
        if obj.get("metadata") and not obj.get("invoice") and not kind.startswith(ABOUT_CHARGE_PREFIXES):
            # A charge of ours names its pledge, or names nothing because a subscription brought it.
            return None
        intent = object_id(obj.get("payment_intent"))
        key = intent or object_id(obj.get("charge")) or object_id(obj)
        if key in self._foreign_payments:
            return None
        if may_wait:
            raise OwnerUnknown("Its payment is not known here.")
        owner = self._look_up_payment(obj, intent, known)
        if owner is None and key is not None:
            self._foreign_payments[key] = None
            while len(self._foreign_payments) > MAX_REMEMBERED:
                self._foreign_payments.popitem(last=False)
        return owner

    def _look_up_payment(self, obj: StripeJson, intent: str | None, known: KnownPledges) -> EventOwner | None:
        """Ask Stripe. A payment that Stripe no longer knows counts as ours: the domain knows its own."""
        invoice, charge_id = object_id(obj.get("invoice")), object_id(obj.get("charge"))
        if intent is None and invoice is None and charge_id is not None:
            charge = self._api.retrieve("retrieve_charge", lambda v1: v1.charges.retrieve(charge_id))
            if charge is None:
                return EventOwner(None)
            intent, invoice = object_id(charge.get("payment_intent")), object_id(charge.get("invoice"))
        if invoice is None and intent is not None:
            found = self._api.retrieve("retrieve_payment_intent", lambda v1: v1.payment_intents.retrieve(intent))
            if found is None:
                return EventOwner(None)
            metadata = found.get("metadata")
            owner, is_decided = self._by_names([metadata], {intent}, None, known)
            if is_decided or metadata or not found.get("customer"):
                return owner
            invoice = object_id(found.get("invoice")) or invoice_for_payment_intent(self._api, intent)
        if invoice is None:
            return None
        retrieved = self._api.retrieve("retrieve_invoice", lambda v1: v1.invoices.retrieve(invoice))
        return EventOwner(None) if retrieved is None else self.find(INVOICE, retrieved, known, may_wait=False)


def _metadata(obj: StripeJson) -> list[Any]:
    """Return what may name the pledge of an event about `obj`: metadata, and the field of a checkout."""
    own = obj.get("metadata")
    lines = [line.get("metadata") for line in list_data(obj, "lines")]
    details = get_path(obj, "subscription_details", "metadata")
    # The metadata of a session take precedence: another product may put UUIDs in client_reference_id.
    client_reference = obj.get("client_reference_id") if own is None else None
    return [get_path(obj, "parent", "subscription_details", "metadata"), details, *lines, own, client_reference]


def _sells_product_of_ours(obj: StripeJson, known: KnownPledges) -> bool:
    """Whether a line of an invoice or an item of a subscription is for the product of one of our campaigns."""
    campaign_ids = {
        campaign_id_of(object_id(product))
        for entry in (*list_data(obj, "lines"), *list_data(obj, "items"))
        for product in (
            get_path(entry, "pricing", "price_details", "product"),
            get_path(entry, "price", "product"),
            get_path(entry, "plan", "product"),
        )
    }
    return any(found is not None and known.has_campaign(found) for found in campaign_ids)


def _references(obj: StripeJson) -> set[str]:
    """Return the ids by which our database may know what an event is about."""
    found = {object_id(obj.get(name)) for name in REFERENCES} | {invoice_subscription(obj)}
    return {reference for reference in found if reference is not None}
