"""The suppression list: addresses that must not get email, stored as keyed hashes.

Bounces, complaints, unsubscribes and erasures add to it, and it is checked before each email is sent.
"""

import datetime
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ScalarSelect, and_, delete, distinct, func, or_, select
from sqlalchemy.orm import Session

from schemas.enums import ErasureStatus, SuppressionReason
from service.db.arrays import is_one_of
from service.db.keyring import KEY_ID_BYTES, DecryptionError
from service.db.models.email import ALL_CAMPAIGNS, Suppression
from service.db.models.erasure import Erasure
from service.db.models.supporter import Supporter
from service.db.session import session_keyring
from service.db.types import equals_literal
from service.db.upsert import dialect_insert
from service.domain.email.addresses import fold_address, normalise_address
from service.domain.errors import InvalidAddress
from service.domain.ports import BounceReport

# A new request for email does not lift these: it neither revives a dead address nor takes back a complaint.
PERMANENT_REASONS = (SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT)


class Recipient(NamedTuple):
    """The recipient of one email: its key, the normalised address, the campaign's slug, and when they asked."""

    key: uuid.UUID
    address: str
    campaign: str
    asked_at: datetime.datetime


def suppress(
    session: Session,
    address: str,
    *,
    reason: SuppressionReason,
    now: datetime.datetime,
    scope: str = ALL_CAMPAIGNS,
) -> None:
    """Suppress a normalised address for one campaign (`scope` is its slug) or for all.

    A permanent reason is never replaced by one that the reader can take back. Of two equal ones the later stays.
    """
    [current, *_] = lookup_hashes(session, address)
    upsert_suppression(session, {"email_hash": current, "scope": scope, "reason": reason, "at": now})


def upsert_suppression(session: Session, row: Mapping[str, object]) -> None:
    """Insert a suppression, or update the existing one if the new one is stronger; safe under concurrency."""
    upsert_suppressions(session, [row])


def upsert_suppressions(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Upsert each of these suppressions in turn."""
    if not rows:
        return
    statement = dialect_insert(session, Suppression)
    new = statement.excluded
    # Not IN, because a statement for many rows cannot have a list among its parameters.
    is_permanent, was_permanent = (
        or_(*(column == reason for reason in PERMANENT_REASONS)) for column in (new.reason, Suppression.reason)
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Suppression.email_hash, Suppression.scope],
            set_={"reason": new.reason, "at": new.at},
            where=or_(
                and_(is_permanent, ~was_permanent), and_(is_permanent == was_permanent, new.at > Suppression.at)
            ),
        ),
        rows,
    )


def suppress_supporter(
    session: Session, supporter_id: uuid.UUID, *, reason: SuppressionReason, now: datetime.datetime, scope: str
) -> None:
    """Suppress a supporter's address. An address that no key decrypts gets no email anyway, so it is ignored."""
    try:
        address = session.scalar(select(Supporter.email).where(Supporter.id == supporter_id))
    except DecryptionError:
        return
    if address is not None:
        suppress(session, address, reason=reason, now=now, scope=scope)


def find_suppressed(
    session: Session, recipients: Iterable[Recipient], *, ignoring: Collection[SuppressionReason] = ()
) -> dict[uuid.UUID, SuppressionReason]:
    """Return the reason for each recipient that is suppressed, by key, with two queries for all.

    A bounce or a complaint always counts, and so does an erasure that waits for the payment gateway. An
    unsubscribe counts only if it is later than the request for this email, because a new request takes it back.
    The reasons in `ignoring` do not count.
    """
    emails = [
        (key, lookup_hashes(session, address), slug, asked_at) for key, address, slug, asked_at in recipients
    ]
    if not emails:
        return {}
    all_hashes = {email_hash for _, hashes, _, _ in emails for email_hash in hashes}
    query = select(Suppression.email_hash, Suppression.scope, Suppression.reason, Suppression.at).where(
        is_one_of(session, Suppression.email_hash, all_hashes),
        Suppression.scope.in_({ALL_CAMPAIGNS} | {slug for _, _, slug, _ in emails}),
    )
    known = {(email_hash, scope): (reason, at) for email_hash, scope, reason, at in session.execute(query)}
    being_erased = set(
        session.scalars(
            select(Erasure.email_hash).where(
                equals_literal(Erasure.status, ErasureStatus.REQUESTED),
                is_one_of(session, Erasure.email_hash, all_hashes),
            )
        )
    )
    found = {}
    for key, hashes, slug, asked_at in emails:
        if not being_erased.isdisjoint(hashes):
            found[key] = SuppressionReason.ERASURE
            continue
        rows = [known.get((email_hash, scope)) for email_hash in hashes for scope in (ALL_CAMPAIGNS, slug)]
        relevant = [row for row in rows if row and row[0] not in ignoring]
        reasons = [reason for reason, at in relevant if reason in PERMANENT_REASONS or at > asked_at]
        if reasons:
            # The enum lists the permanent reasons first.
            found[key] = min(reasons, key=list(SuppressionReason).index)
    return found


def latest_unsubscribe(hashes: BindParameter[Any], campaign: BindParameter[str]) -> ScalarSelect[Any]:
    """Return the subquery for the latest instant at which one of some addresses said no to a campaign's email.

    `hashes` are their `lookup_hashes`, and `campaign` is a slug. It is NULL if none did. A bounce or a complaint
    is no such word: only staff lift those.
    """
    return (
        select(func.max(Suppression.at))
        .where(
            Suppression.email_hash.in_(hashes),
            Suppression.scope.in_((ALL_CAMPAIGNS, campaign)),
            Suppression.reason.not_in(PERMANENT_REASONS),
        )
        .scalar_subquery()
    )


def suppressions_for(session: Session, address: str) -> Sequence[Suppression]:
    """Return the suppressions of a normalised address, whichever key hashed it."""
    query = select(Suppression).where(Suppression.email_hash.in_(lookup_hashes(session, address)))
    return session.scalars(query.order_by(Suppression.scope, Suppression.at)).all()


def lift_suppression(session: Session, address: str, *, scope: str | None = None) -> int:
    """Delete the suppressions of a normalised address, in one scope or in all; return how many were deleted."""
    statement = delete(Suppression).where(Suppression.email_hash.in_(lookup_hashes(session, address)))
    if scope is not None:
        statement = statement.where(Suppression.scope == scope)
    return len(session.scalars(statement.returning(Suppression.scope)).all())


def copy_opt_outs(session: Session, old: str, new: str) -> None:
    """Copy a person's opt-outs to their new address, and leave out what is true of the old address alone.

    A complaint becomes an unsubscribe: the person wants no more reminders, but the new mailbox reported no spam.
    """
    [current, *_] = lookup_hashes(session, new)
    for row in suppressions_for(session, old):
        if row.reason in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT):
            opt_out = {"scope": row.scope, "reason": SuppressionReason.UNSUBSCRIBE, "at": row.at}
            upsert_suppression(session, {"email_hash": current} | opt_out)


def rehash_to_current_key(session: Session, addresses: Iterable[str]) -> int:
    """Rehash the suppressions of these addresses to the current key and form; return how many changed."""
    current: dict[bytes, bytes] = {}
    for address in addresses:
        first, *older = lookup_hashes(session, address)
        current |= dict.fromkeys(older, first)
    rows = session.execute(
        delete(Suppression)
        .where(Suppression.email_hash.in_(current))
        .returning(Suppression.email_hash, Suppression.scope, Suppression.reason, Suppression.at)
    ).all()
    for email_hash, scope, reason, at in rows:
        upsert_suppression(
            session, {"email_hash": current[email_hash], "scope": scope, "reason": reason, "at": at}
        )
    return len(rows)


def count_unrotatable(session: Session) -> int:
    """Return how many addresses have a permanent suppression that only an older key hashed.

    The others do not count: no current supporter is among them, and a new request takes them back.
    """
    key_id = func.substr(Suppression.email_hash, 1, KEY_ID_BYTES)
    current_id = session_keyring(session).current_id
    query = select(func.count(distinct(Suppression.email_hash)))
    return session.scalar(query.where(Suppression.reason.in_(PERMANENT_REASONS), key_id != current_id)) or 0


def list_suppressions(session: Session, *, reason: SuppressionReason | None = None) -> Iterator[Suppression]:
    """Yield every suppression, oldest first, in a stream."""
    query = select(Suppression).order_by(Suppression.at, Suppression.email_hash, Suppression.scope)
    if reason is not None:
        query = query.where(Suppression.reason == reason)
    yield from session.scalars(query.execution_options(yield_per=500))


def count_suppressions(session: Session) -> dict[SuppressionReason, int]:
    """Return the number of suppressions for each reason, with 0 for a reason without any."""
    counts = dict(session.execute(select(Suppression.reason, func.count()).group_by(Suppression.reason)).all())
    return {reason: counts.get(reason, 0) for reason in SuppressionReason}


def lookup_hashes(session: Session, address: str) -> list[bytes]:
    """Return the hashes under which an address may be listed, that of new rows first.

    The folded form comes first, under every key, and then the lower-case form, which the release before hashed.
    """
    keyring = session_keyring(session)
    forms = dict.fromkeys((fold_address(address), address.lower()))
    return [email_hash for form in forms for email_hash in keyring.prefixed_lookup_hashes(form)]


def apply_bounce_reports(session: Session, reports: Iterable[BounceReport], *, now: datetime.datetime) -> int:
    """Suppress every reported address for all campaigns; return how many there are.

    A repeated report changes nothing and is counted again. An invalid address is ignored, because we cannot have
    sent to it. Queued emails stay queued, because the worker checks the list before each one.
    """
    rows = []
    for report in reports:
        try:
            [email_hash, *_] = lookup_hashes(session, normalise_address(report.address))
        except InvalidAddress:
            continue
        # A report may arrive hours late, and a request that the reader made in between must win, so the time of
        # the event counts. It is capped at now, because another machine's clock may be ahead.
        at = min(report.at or now, now)
        rows.append({"email_hash": email_hash, "scope": ALL_CAMPAIGNS, "reason": report.reason, "at": at})
    # A fixed order, so that two concurrent batches cannot deadlock, however they spell the addresses.
    rows.sort(key=itemgetter("email_hash"))
    upsert_suppressions(session, rows)
    return len(rows)
