"""Whether the receipt of a pledge's latest payment reaches its reader."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, PaymentStatus
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.email.addresses import fold_address
from service.domain.email.suppression import Recipient, find_suppressed
from service.domain.notifications.emails import IGNORED_SUPPRESSIONS
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.supporters import get_address

ON_ITS_WAY: Final = (EmailStatus.SCHEDULED, EmailStatus.SENDING)


@dataclass(frozen=True)
class ReceiptDelivery:
    """Where the receipt goes, and whether the mail server has it already."""

    address: str = field(repr=False)
    is_sent: bool


def receipt_delivery(
    session: Session, pledge: Pledge, *, sandbox_recipients: Collection[str] | None
) -> ReceiptDelivery | None:
    """Return the delivery of the receipt; None if none is sent, such as to a suppressed address.

    `sandbox_recipients` is as in `build_notification_emails`.
    """
    address = None if pledge.supporter_id is None else get_address(session, pledge.supporter_id)
    payment_id = session.scalar(
        select(Payment.id)
        .where(Payment.pledge_id == pledge.id, Payment.status != PaymentStatus.FAILED)
        .order_by(Payment.paid_at.desc())
        .limit(1)
    )
    email = session.execute(
        select(OutgoingEmail.status, OutgoingEmail.created_at).where(
            OutgoingEmail.kind == EmailKind.RECEIPT, OutgoingEmail.dedup_key == str(payment_id)
        )
    ).first()
    if address is None or email is None:
        return None
    if email.status == EmailStatus.SENT:
        return ReceiptDelivery(address, is_sent=True)
    if email.status not in ON_ITS_WAY or not _is_recipient(pledge, address, sandbox_recipients):
        return None
    recipient = Recipient(pledge.id, address, pledge.campaign.slug, email.created_at)
    is_suppressed = find_suppressed(session, [recipient], ignoring=IGNORED_SUPPRESSIONS)
    return None if is_suppressed else ReceiptDelivery(address, is_sent=False)


def _is_recipient(pledge: Pledge, address: str, sandbox_recipients: Collection[str] | None) -> bool:
    """Whether emails about the pledge are sent to this address; in the sandbox only a few are."""
    if pledge.gateway != SANDBOX_GATEWAY or sandbox_recipients is None:
        return True
    return fold_address(address) in {fold_address(allowed) for allowed in sandbox_recipients}
