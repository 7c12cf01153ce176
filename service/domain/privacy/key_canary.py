"""Whether this process has the keys of its database: they must decrypt a stored text, the canary.

With other keys, a process could read no address, and would encrypt new ones so that no other process reads them.
"""

import threading

import structlog
from sqlalchemy import LargeBinary, select, type_coerce, update
from sqlalchemy.orm import Session

from service.db.keyring import DecryptionError
from service.db.models.key_canary import CANARY_TYPE, KeyCanary
from service.db.models.supporter import Supporter
from service.db.session import session_keyring
from service.db.upsert import insert_on_conflict_do_nothing
from service.domain.ports import TransactionFactory

ONLY_ID = 1
TEXT = "mainstay"
SAMPLE_SIZE = 10
WRONG_KEYS = (
    "SECRET_KEYS does not decrypt what this database holds: the key that encrypted it is missing. "
    "Put that key back, with a comma behind a new one."
)

log = structlog.get_logger()


class KeyCheck:
    """Checks the canary for one process, stores it where there is none, and logs when the answer changes."""

    def __init__(self, transaction: TransactionFactory, read_only: TransactionFactory) -> None:
        self._transaction = transaction
        self._read_only = read_only
        self._last: bool | None = None
        self._lock = threading.Lock()

    def passes(self) -> bool:
        """Whether the keys of this process are those of its database."""
        with self._read_only() as session:
            has_canary, are_right = _has_canary(session), has_right_keys(session)
        if are_right and not has_canary:
            with self._transaction() as session:
                store_canary(session)
        # Several jobs check at once.
        with self._lock:
            last, self._last = self._last, are_right
        if not are_right and last is not False:
            log.error("keys_do_not_open", advice=WRONG_KEYS)
        elif are_right and last is False:
            log.info("keys_open")
        return are_right


def has_right_keys(session: Session) -> bool:
    """Whether the keys decrypt the canary, or without one what is stored."""
    stored = _canary(session)
    if stored is None:
        return _reads_supporters(session)
    try:
        CANARY_TYPE.decrypt(stored, session_keyring(session))
    except DecryptionError:
        return False
    return True


def store_canary(session: Session) -> None:
    """Store the canary if there is none, and these are the right keys."""
    if not _has_canary(session) and _reads_supporters(session):
        insert_on_conflict_do_nothing(session, KeyCanary, {"id": ONLY_ID, "canary": TEXT}, unique=("id",))


def rotate_canary(session: Session) -> None:
    """Encrypt the canary with the first key, if these are the right keys."""
    if not has_right_keys(session):
        return
    store_canary(session)
    session.execute(update(KeyCanary).where(KeyCanary.id == ONLY_ID).values(canary=TEXT))


def _has_canary(session: Session) -> bool:
    return _canary(session) is not None


def _canary(session: Session) -> bytes | None:
    return session.scalar(select(type_coerce(KeyCanary.canary, LargeBinary)).where(KeyCanary.id == ONLY_ID))


def _reads_supporters(session: Session) -> bool:
    """Whether most of the oldest and the newest addresses have a key; some may have lost theirs long ago."""
    keyring = session_keyring(session)
    address = type_coerce(Supporter.email, LargeBinary)
    sample = [
        value
        for order in (Supporter.id.asc(), Supporter.id.desc())
        for value in session.scalars(select(address).order_by(order).limit(SAMPLE_SIZE))
    ]
    foreign = sum(keyring.is_foreign(value) for value in sample)
    return foreign * 2 <= len(sample)
