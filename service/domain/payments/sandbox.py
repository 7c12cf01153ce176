"""The sandbox's checkout: the signed link to it, and what its buttons report.

It reports through `service.domain.payments.event_handlers`, as the events of a real processor do. A charge is
named after
its pledge and the reader's try, so that a button pressed twice counts once.
"""

import datetime
import uuid

from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.domain.email.addresses import normalise_address
from service.domain.errors import PledgeNotFound
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_decline, record_sandbox_payment
from service.domain.pledges.pledges import get_pledge, total_charge
from service.domain.supporters import session_keyring
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "sandbox-checkout"  # noqa: S105 - the purpose of a token is no secret
CHECKOUT_TTL = datetime.timedelta(days=2)


def checkout_token(keyring: Keyring, pledge_id: uuid.UUID) -> str:
    """Return the token of a pledge's checkout; asking twice yields the same one."""
    # The pledge's own id says when it was made (UUIDv7), so the expiry needs no clock.
    made_at = datetime.datetime.fromtimestamp((pledge_id.int >> 80) / 1000, datetime.UTC)
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=pledge_id, expires_at=made_at + CHECKOUT_TTL)


def get_checkout(session: Session, token: str, *, now: datetime.datetime) -> Pledge:
    """Return the pledge that a checkout's link is for.

    Raises:
        PledgeNotFound: the link is altered or too old.
    """
    try:
        pledge_id = verify_token(session_keyring(session), purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken as error:
        raise PledgeNotFound("This checkout link is not valid any more.") from error
    return get_pledge(session, pledge_id)


def pay_checkout(session: Session, token: str, *, email: str | None, now: datetime.datetime) -> Pledge:
    """Report that the reader paid; a pledge that was paid already, or whose checkout closed, is left as it is.

    Raises:
        PledgeNotFound: the link is no good.
        InvalidAddress: mail cannot be sent to `email`; nothing is stored.
    """
    pledge = get_checkout(session, token, now=now)
    if pledge.status != PledgeStatus.PENDING:
        return pledge
    address = None if email is None else normalise_address(email)
    return record_sandbox_payment(session, pledge.id, _charge(pledge, "paid"), email=address, now=now)


def decline_checkout(session: Session, token: str, *, attempt: str, now: datetime.datetime) -> Pledge:
    """Report that the payment was declined, once for each of the reader's attempts; else as `pay_checkout`.

    Raises:
        PledgeNotFound: the link is no good.
    """
    pledge = get_checkout(session, token, now=now)
    if pledge.status != PledgeStatus.PENDING:
        return pledge
    return record_sandbox_decline(session, pledge.id, _charge(pledge, f"declined_{attempt}"), now=now)


def _charge(pledge: Pledge, outcome: str) -> SandboxCharge:
    return SandboxCharge(reference=f"sandbox_{pledge.id}_{outcome}", money=total_charge(pledge))
