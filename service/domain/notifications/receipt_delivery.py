"""Whether the receipt of a pledge's latest payment reaches its reader, and sending a receipt again."""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, PaymentStatus
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.email.addresses import fold_address
from service.domain.email.outbox import enqueue_email
from service.domain.email.suppression import Recipient, find_suppressed
from service.domain.errors import PaymentNotFound, ReceiptNotDeliverable
from service.domain.notifications.context import AGAIN_MARK
from service.domain.notifications.emails import IGNORED_SUPPRESSIONS
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.supporters import get_address

ON_ITS_WAY: Final = (EmailStatus.SCHEDULED, EmailStatus.SENDING)
# Two presses of the button ask for one email.
RESEND_PAUSE: Final = datetime.timedelta(minutes=5)


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


def send_receipt_again(
    session: Session,
    payment_id: uuid.UUID,
    *,
    sandbox_recipients: Collection[str] | None,
    now: datetime.datetime,
    lang: str | None = None,
) -> bool:
    """Enqueue the receipt of a payment once more, in this language or that of the pledge.

    Return False if one is in the outbox or left within the last minutes. `sandbox_recipients` is as in
    `build_notification_emails`.

    Raises:
        PaymentNotFound: no successful payment has this id.
        ReceiptNotDeliverable: nobody would get it; the message says why.
    """
    payment = session.get(Payment, payment_id)
    if payment is None or payment.status == PaymentStatus.FAILED:
        raise PaymentNotFound("There is no successful payment with this id.")
    # The lock keeps two requests from sending one each.
    pledge = get_pledge(session, payment.pledge_id, for_update=True)
    address = None if pledge.supporter_id is None else get_address(session, pledge.supporter_id)
    if address is None:
        raise ReceiptNotDeliverable("The pledge of this payment has no supporter, so no address is known.")
    if not _is_recipient(pledge, address, sandbox_recipients):
        raise ReceiptNotDeliverable("Emails about payments of the sandbox go to SANDBOX_RECIPIENTS only.")
    recipient = Recipient(pledge.id, address, pledge.campaign.slug, now)
    if found := find_suppressed(session, [recipient], ignoring=IGNORED_SUPPRESSIONS):
        raise ReceiptNotDeliverable(f"The supporter's address gets no email: {found[pledge.id]}.")
    recent = select(OutgoingEmail.id).where(
        OutgoingEmail.kind == EmailKind.RECEIPT,
        OutgoingEmail.payment_id == payment.id,
        or_(
            OutgoingEmail.status.in_(ON_ITS_WAY),
            and_(OutgoingEmail.status == EmailStatus.SENT, OutgoingEmail.created_at > now - RESEND_PAUSE),
        ),
    )
    if session.scalar(recent.limit(1)) is not None:
        return False
    return enqueue_email(
        session,
        EmailKind.RECEIPT,
        # The first receipt has the payment's id alone.
        f"{payment.id}{AGAIN_MARK}{int(now.timestamp())}",
        lang=lang or pledge.lang or pledge.campaign.lang,
        now=now,
        supporter_id=pledge.supporter_id,
        pledge_id=pledge.id,
        payment_id=payment.id,
    )


def _is_recipient(pledge: Pledge, address: str, sandbox_recipients: Collection[str] | None) -> bool:
    """Whether emails about the pledge are sent to this address; in the sandbox only a few are."""
    if pledge.gateway != SANDBOX_GATEWAY or sandbox_recipients is None:
        return True
    return fold_address(address) in {fold_address(allowed) for allowed in sandbox_recipients}
