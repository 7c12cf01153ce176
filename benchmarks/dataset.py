"""Made-up readers by number, as rows that COPY takes: the same number is the same reader in every table.

Everything is text that PostgreSQL reads (its COPY text format), written by hand because ten million rows are: a
driver that looks at each value takes three times as long.
"""

import datetime
import math
from dataclasses import dataclass
from functools import cache

from service.db.keyring import Keyring
from service.db.models.supporter import EMAIL_TYPE

YEAR_SECONDS = 365 * 86400
# Nothing that is promised for later becomes due while somebody measures.
SOON_SECONDS = 6 * 3600
SAMPLE_RATIO = 5
ZONES = ("Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Europe/Riga", "America/Sao_Paulo")
PRIME = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Dataset:
    """Who is to be made: `rows` readers, whose mails are spread over the year after the instant `now`.

    Those of some are due by then, in this order. First the first that asked, `idle` one another in the tables.
    Then `due_of` those who asked next one in five, as where readers choose between a month and a year and live in
    several zones. Then some `shuffle` over all the rest, no two on one page, which is the worst that can happen
    to whoever fetches them.
    """

    rows: int
    now: datetime.datetime
    idle: int = 0
    due_of: int = 0
    shuffle: int = 0

    @property
    def due(self) -> int:
        """How many are due."""
        return self.idle + self.due_of + self.shuffle

    def place(self, number: int) -> int:
        """Return where in the order of due dates a reader stands, from 0: each place is taken once."""
        if number < self.idle:
            return number
        rest, is_among = number - self.idle, number - self.idle < self.due_of * SAMPLE_RATIO
        if is_among and rest % SAMPLE_RATIO == 0:
            return self.idle + rest // SAMPLE_RATIO
        other = rest - (rest // SAMPLE_RATIO + 1 if is_among else self.due_of)
        others = self.rows - self.idle - self.due_of
        return self.idle + self.due_of + other * _stride(others) % others

    def due_at(self, number: int) -> datetime.datetime:
        """Return when the mail may leave."""
        place = self.place(number)
        if place < self.due:
            return self.now - datetime.timedelta(milliseconds=self.due - place)
        return self.now + datetime.timedelta(seconds=SOON_SECONDS + YEAR_SECONDS * place / self.rows)

    def asked_at(self, number: int) -> datetime.datetime:
        """Return when the reader asked: the numbers are in this order, over the year before."""
        return self.now - datetime.timedelta(seconds=YEAR_SECONDS * (1 - number / self.rows) + 1)


def address(number: int) -> str:
    """Return a reader's address."""
    return f"reader{number}@news.example"


@cache
def _stride(rows: int) -> int:
    """Return a step that visits every row once and neighbours far apart: near the golden section, and coprime."""
    stride = max(1, int(rows * 0.6180339887))
    while math.gcd(stride, rows) != 1:
        stride += 1
    return stride


def _id(number: int, at: datetime.datetime, table: int) -> str:
    """Return a UUIDv7 (RFC 9562) that follows from the number, in the order in which readers asked."""
    milliseconds = int(at.timestamp() * 1000)
    spread = number * PRIME
    value = milliseconds << 80 | 7 << 76 | table << 64 | 2 << 62 | spread & (1 << 62) - 1
    written = f"{value:032x}"
    return f"{written[:8]}-{written[8:12]}-{written[12:16]}-{written[16:20]}-{written[20:]}"


@dataclass(frozen=True)
class Writer:
    """Writes the rows of a crowd, whose addresses are closed and hashed under these keys."""

    crowd: Dataset
    campaign: str
    secrets: tuple[str, ...]

    def supporters(self, numbers: range) -> bytes:
        """Return the people; the columns of each table are in `fill.COLUMNS`."""
        keyring, context, lines = Keyring(self.secrets), EMAIL_TYPE.context.encode(), []
        for number in numbers:
            at, email = self.crowd.asked_at(number), address(number)
            closed, known_by = keyring.encrypt(email.encode(), context=context), keyring.lookup_hash(email)
            lines.append(f"{_id(number, at, 1)}\t\\\\x{closed.hex()}\t\\\\x{known_by.hex()}\t{at}\n")
        return "".join(lines).encode()

    def reminders(self, numbers: range) -> bytes:
        """Return the reminders, as a reader leaves them who was asked for nothing but an address."""
        lines = []
        for number in numbers:
            at, due_at = self.crowd.asked_at(number), self.crowd.due_at(number)
            page = f"https://paper.example/2026/11/{number % 500}"
            lines.append(
                f"{_id(number, at, 2)}\t{self.campaign}\t{_id(number, at, 1)}\tscheduled\t1\t12\t{due_at.date()}\t"
                f"{due_at}\t{ZONES[number % len(ZONES)]}\tmonthly\t500\tUSD\t{page}\ten\t5d41402a\t{at}\t0\t0\n"
            )
        return "".join(lines).encode()

    def reminder_status_changes(self, numbers: range) -> bytes:
        """Return the history of the reminders: each was made, and nothing has happened to it since."""
        lines = []
        for number in numbers:
            at = self.crowd.asked_at(number)
            made = f"{_id(number, at, 2)}\t{_id(number, at, 3)}\t1\tmade\t\\N\tscheduled\t\\N\t{at}\n"
            lines.append(made)
        return "".join(lines).encode()
