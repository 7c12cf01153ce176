"""Email addresses in the payloads of gateway events: finding them by hash, and erasing them with their owner."""

import datetime
import itertools
import json
import re
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Select, delete, exists, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from schemas.enums import ErasureStatus, EventStatus
from service.db.keyring import DecryptionError
from service.db.models.erasure import Erasure
from service.db.models.payment import PAYLOAD_TYPE, GatewayEvent, GatewayEventAddress
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes, normalise_address
from service.domain.email.suppression import lookup_hashes
from service.domain.errors import InvalidAddress

# What cannot be in an address. Splitting takes linear time, and a payload may hold a megabyte of anything.
SEPARATORS = re.compile(r"[\s<>()\[\],;:\"]+")
MAX_ADDRESS_LENGTH = 320
# The fields in which Stripe's objects describe a person. Ids, amounts, times and metadata are not among them.
PERSONAL_FIELDS = frozenset(
    {
        "address",
        "billing_address",
        "billing_details",
        "business_name",
        "custom_fields",
        "customer_acceptance",
        "customer_address",
        "customer_details",
        "customer_email",
        "customer_name",
        "customer_phone",
        "customer_purchase_ip",
        "customer_shipping",
        "customer_tax_ids",
        # Staff write names into descriptions.
        "description",
        "email",
        "evidence",
        # These pages show the name and the address of the payer.
        "hosted_invoice_url",
        "individual_name",
        "invoice_pdf",
        "ip_address",
        "name",
        "owner",
        "payment_method_details",
        "phone",
        "receipt_email",
        "receipt_url",
        "shipping",
        "shipping_address",
        "shipping_details",
        "tax_ids",
        "user_agent",
        "verified_name",
        "verified_phone",
    }
)
FINISHED = (EventStatus.APPLIED, EventStatus.IGNORED)


def find_addresses(payload: str) -> set[str]:
    """Return every valid email address in a payload, normalised."""
    addresses = set()
    for text in _strings(_load(payload)):
        for candidate in set(_candidates(text)):
            try:
                addresses.add(normalise_address(candidate.strip(".")))
            except InvalidAddress:
                continue
    return addresses


def redact_payload(payload: str) -> str | None:
    """Return the payload without what describes a person; None if it is not JSON.

    What is left says which payment or subscription it is about, so that an event which waits can still be applied.
    """
    loaded = _load(payload)
    try:
        return json.dumps(_redact(loaded)) if isinstance(loaded, dict) else None
    except RecursionError:
        return None


def hash_addresses(session: Session, event_id: uuid.UUID, addresses: Iterable[str]) -> None:
    """Store the hashes of an event's addresses, in place of those stored before."""
    keyring = session_keyring(session)
    delete_hashes(session, [event_id])
    hashes = sorted({address_hashes(keyring, address)[0] for address in addresses})
    session.add_all(GatewayEventAddress(event_id=event_id, email_hash=email_hash) for email_hash in hashes)


def delete_hashes(session: Session, event_ids: Collection[uuid.UUID]) -> None:
    """Delete the hashes of events whose payload is deleted or redacted."""
    if event_ids:
        session.execute(
            delete(GatewayEventAddress)
            .where(GatewayEventAddress.event_id.in_(event_ids))
            .execution_options(synchronize_session=False)
        )


def hash_unhashed_events(session: Session, *, limit: int = 200) -> int:
    """Hash the addresses of a batch of events that a release before stored; return how many."""
    ciphertext = type_coerce(GatewayEvent.payload, LargeBinary)
    rows = session.execute(
        select(GatewayEvent.id, ciphertext)
        .where(GatewayEvent.addresses_hashed.is_(False), GatewayEvent.payload.is_not(None))
        .order_by(GatewayEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    keyring = session_keyring(session)
    for event_id, value in rows:
        try:
            hash_addresses(session, event_id, find_addresses(PAYLOAD_TYPE.decrypt(value, keyring)))
        except DecryptionError:
            # Without its key nobody reads the payload either.
            continue
    _mark_hashed(session, [event_id for event_id, _ in rows])
    return len(rows)


def erase_event_payloads(
    session: Session, address: str, pledge_ids: Select[uuid.UUID], *, now: datetime.datetime
) -> None:
    """Delete the personal data in the payloads of events that name an address or are about one of these pledges.

    The payload of a finished event is deleted. An event that still waits for its pledge, or for an operator, keeps
    what says which money it is about.
    """
    redact_events(session, _is_about(session, address, pledge_ids), now=now)


def lock_events(session: Session, address: str, pledge_ids: Select[uuid.UUID]) -> None:
    """Lock the events that `erase_event_payloads` will change, before their pledges are locked."""
    condition = _is_about(session, address, pledge_ids)
    query = select(GatewayEvent.id).where(condition, GatewayEvent.payload.is_not(None)).order_by(GatewayEvent.id)
    session.execute(query.with_for_update())


def redact_events(
    session: Session, condition: ColumnElement[bool], *, now: datetime.datetime, skip_locked: bool = False
) -> None:
    """Delete the payloads of finished events, and redact those of the others."""
    rows = session.execute(
        select(GatewayEvent.id, GatewayEvent.status, type_coerce(GatewayEvent.payload, LargeBinary))
        .where(condition, GatewayEvent.payload.is_not(None))
        .order_by(GatewayEvent.id)
        .with_for_update(skip_locked=skip_locked)
    ).all()
    keyring = session_keyring(session)
    finished = []
    for event_id, status, value in rows:
        redacted = None
        if status not in FINISHED:
            try:
                redacted = redact_payload(PAYLOAD_TYPE.decrypt(value, keyring))
            except DecryptionError:
                redacted = None
        if redacted is None:
            finished.append(event_id)
        else:
            _update_events(session, [event_id], payload=redacted, redacted_at=now)
    _update_events(session, finished, payload=None)
    delete_hashes(session, [event_id for event_id, _, _ in rows])


def was_erased_since(session: Session, addresses: Collection[str], at: datetime.datetime) -> bool:
    """Whether an erasure of one of these addresses was completed at this instant or later, or still is requested.

    The gateway's events about what the erasure itself does there are from before its end.
    """
    if not addresses:
        return False
    hashes = {email_hash for address in addresses for email_hash in lookup_hashes(session, address)}
    is_later = or_(Erasure.completed_at.is_(None), Erasure.completed_at >= at)
    return bool(session.scalar(select(exists().where(Erasure.email_hash.in_(hashes), is_later))))


def is_being_erased(session: Session, address: str) -> bool:
    """Whether an erasure of this address is requested and waits for the payment gateway."""
    requested = (
        Erasure.email_hash.in_(lookup_hashes(session, address)),
        Erasure.status == ErasureStatus.REQUESTED,
    )
    return bool(session.scalar(select(exists().where(*requested))))


def _is_about(session: Session, address: str, pledge_ids: Select[uuid.UUID]) -> ColumnElement[bool]:
    keyring = session_keyring(session)
    by_address = select(GatewayEventAddress.event_id).where(
        GatewayEventAddress.email_hash.in_(address_hashes(keyring, address))
    )
    return or_(GatewayEvent.pledge_id.in_(pledge_ids), GatewayEvent.id.in_(by_address))


def _mark_hashed(session: Session, event_ids: Collection[uuid.UUID]) -> None:
    _update_events(session, event_ids, addresses_hashed=True)


def _update_events(session: Session, event_ids: Collection[uuid.UUID], **values: Any) -> None:
    if event_ids:
        session.execute(
            update(GatewayEvent)
            .where(GatewayEvent.id.in_(event_ids))
            .values(values)
            .execution_options(synchronize_session=False)
        )


def _load(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload


def _strings(value: Any) -> Iterable[str]:
    remaining = [value]
    while remaining:
        item = remaining.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            remaining += item.values()
        elif isinstance(item, list):
            remaining += item


def _candidates(text: str) -> Iterable[str]:
    """Yield what may be an address: the text around each "@" up to a separator."""
    if "@" not in text:
        return
    for word in SEPARATORS.split(text):
        parts = word.split("@")
        for local, domain in itertools.pairwise(parts):
            if local and domain and len(local) + len(domain) < MAX_ADDRESS_LENGTH:
                yield f"{local}@{domain}"


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: None if name in PERSONAL_FIELDS else _redact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redact(item) for item in value]
    return None if isinstance(value, str) and any(_candidates(value)) else value
