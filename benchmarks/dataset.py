"""Generates readers by number, as rows for COPY; a number means the same reader in every table.

The rows are written in PostgreSQL's COPY text format without a driver, which takes three times as long for ten
million rows.
"""

import datetime
import math
from dataclasses import dataclass
from functools import cache

from service.db.keyring import Keyring
from service.db.models.supporter import EMAIL_TYPE, HASH_VERSION

YEAR_SECONDS = 365 * 86400
# No further reminder becomes due during a measurement.
MIN_DELAY_SECONDS = 6 * 3600
INTERLEAVE_EVERY = 5
ZONES = ("Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Europe/Riga", "America/Sao_Paulo")
# An odd multiplier (2**64 divided by the golden ratio) spreads consecutive numbers over 64 bits.
HASH_MULTIPLIER = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Dataset:
    """`rows` readers, whose reminders are due within the year after the instant `now`, apart from three groups.

    The groups are due at `now`, in this order. The `clustered` reminders lie side by side, at the beginning of the
    tables. The `interleaved` ones are one in five of the next rows, as when readers choose between a month and a
    year and live in several time zones. The `scattered` ones are spread over all other rows, no two on one page,
    which is the worst case for a claim.
    """

    rows: int
    now: datetime.datetime
    clustered: int = 0
    interleaved: int = 0
    scattered: int = 0

    @property
    def due(self) -> int:
        """The number of reminders that are due at `now`."""
        return self.clustered + self.interleaved + self.scattered

    def position(self, number: int) -> int:
        """Return the reader's position in the order of due dates, from 0; each position is used once."""
        if number < self.clustered:
            return number
        rest, in_group = number - self.clustered, number - self.clustered < self.interleaved * INTERLEAVE_EVERY
        if in_group and rest % INTERLEAVE_EVERY == 0:
            return self.clustered + rest // INTERLEAVE_EVERY
        other = rest - (rest // INTERLEAVE_EVERY + 1 if in_group else self.interleaved)
        others = self.rows - self.clustered - self.interleaved
        return self.clustered + self.interleaved + other * _stride(others) % others

    def due_at(self, number: int) -> datetime.datetime:
        """Return when the reader's reminder is due."""
        position = self.position(number)
        if position < self.due:
            return self.now - datetime.timedelta(milliseconds=self.due - position)
        return self.now + datetime.timedelta(seconds=MIN_DELAY_SECONDS + YEAR_SECONDS * position / self.rows)

    def asked_at(self, number: int) -> datetime.datetime:
        """Return when the reader signed up: within the year before `now`, in the order of the numbers."""
        return self.now - datetime.timedelta(seconds=YEAR_SECONDS * (1 - number / self.rows) + 1)


def address(number: int) -> str:
    """Return a reader's email address."""
    return f"reader{number}@news.example"


@cache
def _stride(rows: int) -> int:
    """Return a step coprime with `rows`, near the golden ratio: it visits each row once, neighbours far apart."""
    stride = max(1, int(rows * 0.6180339887))
    while math.gcd(stride, rows) != 1:
        stride += 1
    return stride


def _id(number: int, at: datetime.datetime, table: int) -> str:
    """Return a UUIDv7 (RFC 9562) that is derived from the number; ids sort in the order of sign-ups."""
    milliseconds = int(at.timestamp() * 1000)
    mixed = number * HASH_MULTIPLIER
    value = milliseconds << 80 | 7 << 76 | table << 64 | 2 << 62 | mixed & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True)
class Writer:
    """Writes the rows of a dataset, with addresses that are encrypted and hashed under these secrets."""

    dataset: Dataset
    campaign: str
    secrets: tuple[str, ...]

    def supporters(self, numbers: range) -> bytes:
        """Return rows of `supporters`; `fill.COLUMNS` has the columns of each table."""
        keyring, context, lines = Keyring(self.secrets), EMAIL_TYPE.context.encode(), []
        for number in numbers:
            at, email = self.dataset.asked_at(number), address(number)
            encrypted, email_hash = keyring.encrypt(email.encode(), context=context), keyring.lookup_hash(email)
            # Otherwise the job that folds the addresses of before an upgrade would work beside what is measured.
            lines.append(
                f"{_id(number, at, 1)}\t\\\\x{encrypted.hex()}\t\\\\x{email_hash.hex()}\t{HASH_VERSION}\t{at}\n"
            )
        return "".join(lines).encode()

    def reminders(self, numbers: range) -> bytes:
        """Return rows of `reminders`, each for one email in twelve months."""
        lines = []
        for number in numbers:
            at, due_at = self.dataset.asked_at(number), self.dataset.due_at(number)
            page = f"https://paper.example/2026/11/{number % 500}"
            lines.append(
                f"{_id(number, at, 2)}\t{self.campaign}\t{_id(number, at, 1)}\tscheduled\t1\t12\t{due_at.date()}\t"
                f"{due_at}\t{ZONES[number % len(ZONES)]}\tmonthly\t500\tUSD\t{page}\ten\t5d41402a\t{at}\n"
            )
        return "".join(lines).encode()

    def reminder_status_changes(self, numbers: range) -> bytes:
        """Return rows of the reminders' history: each was created, and has not changed since."""
        lines = []
        for number in numbers:
            at = self.dataset.asked_at(number)
            lines.append(f"{_id(number, at, 2)}\t{_id(number, at, 3)}\t1\tmade\t\\N\tscheduled\t\\N\t{at}\n")
        return "".join(lines).encode()
