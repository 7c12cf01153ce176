"""What our database knows of the pledges that a gateway's events may belong to."""

import uuid
from collections.abc import Collection
from functools import cached_property

from sqlalchemy import literal, select, union_all
from sqlalchemy.orm import Session

from service.db.models.campaign import Campaign
from service.db.models.payment import BalanceTransaction, Dispute, Payment, Refund
from service.db.models.pledge import FormerSubscription, Pledge
from service.domain.pledges.installation import get_or_create_installation_id
from service.domain.ports import KnownOwner, TransactionFactory


class RecordedPledges:
    """Implements `service.domain.ports.KnownPledges` for one run of a job."""

    def __init__(self, transaction: TransactionFactory, gateway: str) -> None:
        self._transaction = transaction
        self._gateway = gateway

    @cached_property
    def installation_id(self) -> uuid.UUID:
        """The id of this installation."""
        with self._transaction() as session:
            return get_or_create_installation_id(session)

    def find_owner(
        self, references: Collection[str], *, pledge_id: uuid.UUID | None, customer: str | None
    ) -> KnownOwner:
        """Return the pledge that has one of the references, else the one with this id."""
        with self._transaction() as session:
            found = find_pledge_by_references(session, self._gateway, references)
            if found is None and pledge_id is not None:
                found = session.scalar(select(Pledge.id).where(Pledge.id == pledge_id))
            if found is not None or customer is None:
                return KnownOwner(pledge_id=found)
            is_ours = select(Pledge.id).where(
                Pledge.gateway == self._gateway, Pledge.customer_reference == customer
            )
            return KnownOwner(is_customer=session.scalar(is_ours.limit(1)) is not None)

    def has_campaign(self, campaign_id: uuid.UUID) -> bool:
        """Whether a campaign has this id."""
        with self._transaction() as session:
            return session.get(Campaign, campaign_id) is not None


def find_pledge_by_references(session: Session, gateway: str, references: Collection[str]) -> uuid.UUID | None:
    """Return the pledge one of whose subscription, checkout, payments, charges, refunds or disputes is named."""
    if not references:
        return None
    former = select(FormerSubscription.pledge_id, literal(3)).where(FormerSubscription.gateway == gateway)
    pledges = select(Pledge.id, literal(1).label("rank")).where(Pledge.gateway == gateway)
    payments = select(Payment.pledge_id, literal(2)).where(Payment.gateway == gateway)
    found = union_all(
        pledges.where(Pledge.subscription_reference.in_(references)),
        pledges.where(Pledge.gateway_reference.in_(references)),
        payments.where(Payment.gateway_reference.in_(references)),
        *(
            payments.join(table, table.payment_id == Payment.id).where(table.gateway_reference.in_(references))
            for table in (Refund, Dispute)
        ),
        payments.join(BalanceTransaction, BalanceTransaction.payment_id == Payment.id).where(
            BalanceTransaction.charge_reference.in_(references)
        ),
        former.where(FormerSubscription.reference.in_(references)),
    )
    row = session.execute(found.order_by("rank").limit(1)).first()
    return None if row is None else row[0]
