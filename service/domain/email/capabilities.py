"""Whether the mail server takes addresses that are not ASCII before the @ (SMTPUTF8, RFC 6531).

A worker records it whenever it connects, and sign-ups read it. An international domain needs nothing of the kind,
because addresses are stored with their domain in ASCII (IDNA).
"""

import datetime

from sqlalchemy import or_
from sqlalchemy.orm import Session

from service.db.models.email import MailServerCapability
from service.db.upsert import dialect_insert
from service.domain.errors import AddressNotSupported

# A worker that finds the same again confirms it only this often.
CONFIRM_AFTER = datetime.timedelta(days=1)


def record_smtputf8(session: Session, server: str, *, supported: bool, now: datetime.datetime) -> None:
    """Record whether a mail server (`host:port`) offers SMTPUTF8."""
    statement = dialect_insert(session, MailServerCapability).values(
        server=server, supports_smtputf8=supported, checked_at=now
    )
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[MailServerCapability.server],
            set_={"supports_smtputf8": new.supports_smtputf8, "checked_at": new.checked_at},
            where=or_(
                MailServerCapability.supports_smtputf8 != new.supports_smtputf8,
                MailServerCapability.checked_at < now - CONFIRM_AFTER,
            ),
        )
    )


def require_supported_address(session: Session, address: str, *, server: str | None) -> None:
    """Check that the mail server can send to a normalised address, as far as is known.

    `server` is None if no server is used. A server that no worker has reached yet counts as able.

    Raises:
        AddressNotSupported: the address is not ASCII, and the server is known not to offer SMTPUTF8.
    """
    if not is_supported_address(session, address, server=server):
        raise AddressNotSupported(
            "Our mail server can't send to addresses with letters such as é before the @. Use another address.",
            field="email",
        )


def is_supported_address(session: Session, address: str, *, server: str | None) -> bool:
    """Whether the mail server can send to a normalised address, as far as is known; arguments as above."""
    if server is None or address.isascii():
        return True
    known = session.get(MailServerCapability, server)
    return known is None or known.supports_smtputf8
