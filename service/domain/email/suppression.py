"""What mail services report about our readers' addresses: such an address gets no more mail, at once."""

import datetime
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import and_, delete, distinct, func, or_, select
from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.db.keyring import KEY_ID_BYTES, DecryptionError
from service.db.models.email import ALL_CAMPAIGNS, Suppression
from service.db.models.supporter import Supporter
from service.db.types import get_keyring
from service.db.upsert import dialect_insert
from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress
from service.domain.ports import BounceReport

# A dead address does not come alive, and a complaint is not taken back, because somebody asks again.
PERMANENT_REASONS = (SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT)


class Recipient(NamedTuple):
    """Whom a mail is for: a name for it, the stored address, its campaign's slug, and when the reader asked."""

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
    """Let no more mail of one campaign (its slug), or of any, go to a normalised address.

    What holds for good is never weakened by what a reader may take back; of two of the same kind the later stays.
    """
    [current, *_] = lookup_hashes(session, address)
    upsert_suppression(session, {"email_hash": current, "scope": scope, "reason": reason, "at": now})


def upsert_suppression(session: Session, row: dict[str, object]) -> None:
    """Write a suppression by its hash, or strengthen the one that is there; two at once write it in turn."""
    statement = dialect_insert(session, Suppression).values(row)
    new = statement.excluded
    lasts, lasted = new.reason.in_(PERMANENT_REASONS), Suppression.reason.in_(PERMANENT_REASONS)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Suppression.email_hash, Suppression.scope],
            set_={"reason": new.reason, "at": new.at},
            where=or_(and_(lasts, ~lasted), and_(lasts == lasted, new.at > Suppression.at)),
        )
    )


def suppress_supporter(
    session: Session, supporter_id: uuid.UUID, *, reason: SuppressionReason, now: datetime.datetime, scope: str
) -> None:
    """Let no more mail go to this person; one whose stored address no key opens gets none anyway."""
    try:
        address = session.scalar(select(Supporter.email).where(Supporter.id == supporter_id))
    except DecryptionError:
        return
    if address is not None:
        suppress(session, address, reason=reason, now=now, scope=scope)


def find_suppressed(
    session: Session, wanted: Iterable[Recipient], *, ignoring: Collection[SuppressionReason] = ()
) -> dict[uuid.UUID, SuppressionReason]:
    """Return which of these mails must not leave, and why, in one query however many they are.

    A bounce or a complaint always counts. What the reader said counts only if they said it after they asked for
    this mail, since they take it back by asking again. The reasons in `ignoring` do not count at all.
    """
    mails = [(key, lookup_hashes(session, address), slug, asked_at) for key, address, slug, asked_at in wanted]
    if not mails:
        return {}
    query = select(Suppression.email_hash, Suppression.scope, Suppression.reason, Suppression.at).where(
        Suppression.email_hash.in_({email_hash for _, tried, _, _ in mails for email_hash in tried}),
        Suppression.scope.in_({ALL_CAMPAIGNS} | {slug for _, _, slug, _ in mails}),
    )
    known = {(email_hash, scope): (reason, at) for email_hash, scope, reason, at in session.execute(query)}
    found = {}
    for key, tried, slug, asked_at in mails:
        standing = [known.get((email_hash, scope)) for email_hash in tried for scope in (ALL_CAMPAIGNS, slug)]
        counting = [row for row in standing if row and row[0] not in ignoring]
        reasons = [reason for reason, at in counting if reason in PERMANENT_REASONS or at > asked_at]
        if reasons:
            # The words stand in the vocabulary with what holds for good first.
            found[key] = min(reasons, key=list(SuppressionReason).index)
    return found


def suppressions_for(session: Session, address: str) -> Sequence[Suppression]:
    """Return what stands against a normalised address, whichever key hashed it."""
    query = select(Suppression).where(Suppression.email_hash.in_(lookup_hashes(session, address)))
    return session.scalars(query.order_by(Suppression.scope, Suppression.at)).all()


def lift_suppression(session: Session, address: str, *, scope: str | None = None) -> int:
    """Let mail go to a normalised address again, in one scope or in all; return how many rows are gone."""
    statement = delete(Suppression).where(Suppression.email_hash.in_(lookup_hashes(session, address)))
    if scope is not None:
        statement = statement.where(Suppression.scope == scope)
    return len(session.scalars(statement.returning(Suppression.scope)).all())


def rehash_to_current_key(session: Session, addresses: Iterable[str]) -> int:
    """Put what stands against these addresses under older keys under the first key; return how many rows moved."""
    current: dict[bytes, bytes] = {}
    for address in addresses:
        first, *older = lookup_hashes(session, address)
        current |= dict.fromkeys(older, first)
    moved = session.execute(
        delete(Suppression)
        .where(Suppression.email_hash.in_(current))
        .returning(Suppression.email_hash, Suppression.scope, Suppression.reason, Suppression.at)
    ).all()
    for email_hash, scope, reason, at in moved:
        upsert_suppression(
            session, {"email_hash": current[email_hash], "scope": scope, "reason": reason, "at": at}
        )
    return len(moved)


def count_unrotatable(session: Session) -> int:
    """Return how many addresses only an older key knows to be dead or unwilling.

    What a reader may take back does not count: nobody whom we know by the first key is among them, and who asks
    anew takes it back.
    """
    mark = func.substr(Suppression.email_hash, 1, KEY_ID_BYTES)
    current_id = get_keyring(session.get_bind().dialect).current_id
    query = select(func.count(distinct(Suppression.email_hash)))
    return session.scalar(query.where(Suppression.reason.in_(PERMANENT_REASONS), mark != current_id)) or 0


def list_suppressions(session: Session, *, reason: SuppressionReason | None = None) -> Iterator[Suppression]:
    """Yield every suppression, the oldest first, without holding them all at once."""
    query = select(Suppression).order_by(Suppression.at, Suppression.email_hash, Suppression.scope)
    if reason is not None:
        query = query.where(Suppression.reason == reason)
    yield from session.scalars(query.execution_options(yield_per=500))


def count_suppressions(session: Session) -> dict[SuppressionReason, int]:
    """Return how many stand for each reason; a reason without any is there as well."""
    counted = dict(session.execute(select(Suppression.reason, func.count()).group_by(Suppression.reason)).all())
    return {reason: counted.get(reason, 0) for reason in SuppressionReason}


def lookup_hashes(session: Session, address: str) -> list[bytes]:
    """Return what an address may stand under, one for each key, the current one first."""
    return get_keyring(session.get_bind().dialect).prefixed_lookup_hashes(address.lower())


def apply_bounce_reports(session: Session, reports: Iterable[BounceReport], *, now: datetime.datetime) -> int:
    """Suppress every address that is reported, for all campaigns; return how many there are.

    The same report again changes nothing and is counted again. What is no address is passed over: no mail of ours
    can have gone there. Mails that wait need no touching, because the worker asks before each one.
    """
    suppressed = 0
    # In one order, so that two batches at once cannot wait for one another.
    for report in sorted(reports, key=lambda report: report.address):
        try:
            address = normalise_address(report.address)
        except InvalidAddress:
            continue
        # A report may come hours late. What a reader took back by asking again in between must stay taken back;
        # but nothing has happened in the future, whatever another machine's clock says.
        at = min(report.at or now, now)
        suppress(session, address, reason=report.reason, now=at)
        suppressed += 1
    return suppressed
