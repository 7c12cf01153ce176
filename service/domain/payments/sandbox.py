"""The sandbox's checkout: its signed link, and paying or declining on it.

Both report through `service.domain.payments.event_handlers`, as the events of a real gateway do. A charge is named
after its pledge and the reader's attempt, so that pressing a button twice counts once.
"""

import datetime
import uuid

from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.session import session_keyring
from service.domain.email.addresses import normalise_address
from service.domain.email.capabilities import require_supported_address
from service.domain.errors import PledgeNotFound, SandboxCheckoutClosed
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_decline, record_sandbox_payment
from service.domain.pledges.pledges import get_pledge, total_charge
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.ports import PaymentGateway
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "sandbox-checkout"  # noqa: S105 - the purpose of a token is no secret
TOKEN_TTL = datetime.timedelta(days=2)


def checkout_token(keyring: Keyring, pledge_id: uuid.UUID) -> str:
    """Return the token of a pledge's checkout, the same one on every call."""
    # The id (UUIDv7) holds the instant of creation, so the expiry needs no clock.
    created_at = datetime.datetime.fromtimestamp((pledge_id.int >> 80) / 1000, datetime.UTC)
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=pledge_id, expires_at=created_at + TOKEN_TTL)


def get_checkout(session: Session, token: str, *, now: datetime.datetime) -> Pledge:
    """Return the pledge of a checkout link.

    Raises:
        PledgeNotFound: the token is invalid or expired.
    """
    try:
        pledge_id = verify_token(session_keyring(session), purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken as error:
        raise PledgeNotFound("This checkout link is not valid any more.") from error
    return get_pledge(session, pledge_id)


def is_sandbox(gateway: PaymentGateway) -> bool:
    """Whether the gateway in use is the sandbox; its checkouts are closed while it is not."""
    return gateway.name == SANDBOX_GATEWAY


def pay_checkout(
    session: Session,
    gateway: PaymentGateway,
    token: str,
    *,
    email: str | None,
    now: datetime.datetime,
    mail_server: str | None = None,
) -> Pledge:
    """Report a payment; a pledge that is not pending any more stays as it is.

    The `mail_server`, if given, must be able to send to the address.

    Raises:
        PledgeNotFound: the token is invalid or expired.
        SandboxCheckoutClosed: another gateway is in use.
        InvalidAddress, AddressNotSupported: `email` is no address, or none that we can send to; nothing is stored.
    """
    pledge = _get_open_checkout(session, gateway, token, now=now)
    if pledge.status != PledgeStatus.PENDING:
        return pledge
    address = None if email is None else normalise_address(email)
    if address is not None:
        require_supported_address(session, address, server=mail_server)
    return record_sandbox_payment(session, pledge.id, _charge(pledge, "paid"), email=address, now=now)


def decline_checkout(
    session: Session, gateway: PaymentGateway, token: str, *, attempt: str, now: datetime.datetime
) -> Pledge:
    """Report a declined payment, once for each of the reader's attempts; else as `pay_checkout`.

    Raises:
        PledgeNotFound: the token is invalid or expired.
        SandboxCheckoutClosed: another gateway is in use.
    """
    pledge = _get_open_checkout(session, gateway, token, now=now)
    if pledge.status != PledgeStatus.PENDING:
        return pledge
    return record_sandbox_decline(session, pledge.id, _charge(pledge, f"declined_{attempt}"), now=now)


def _get_open_checkout(session: Session, gateway: PaymentGateway, token: str, *, now: datetime.datetime) -> Pledge:
    pledge = get_checkout(session, token, now=now)
    if not is_sandbox(gateway):
        # Nothing was paid, so the pledge must not become one that counts.
        raise SandboxCheckoutClosed("This test checkout is closed, because donations are real now.")
    return pledge


def _charge(pledge: Pledge, outcome: str) -> SandboxCharge:
    return SandboxCharge(reference=f"sandbox_{pledge.id}_{outcome}", money=total_charge(pledge))
