"""How large the faults are: small in `make test`, to keep the promises watched; large in `make faults`."""

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of the runs; `outage_seconds` is how long the mail server stays away.

    After `oldest_due_age` seconds in vain for one thing, a test fails.
    """

    reminders: int
    kills: int
    receipts: int
    restarts: int
    held: int
    away: int
    outage_seconds: float
    mail_rate: int
    poisoned: int
    walks: int
    steps: int
    longest_wait: float


SHORT = Scale(
    reminders=150,
    kills=2,
    receipts=60,
    restarts=1,
    held=100,
    away=120,
    outage_seconds=3,
    mail_rate=25,
    poisoned=200,
    walks=10,
    steps=40,
    longest_wait=120,
)
FULL = Scale(
    reminders=20_000,
    kills=20,
    receipts=2_000,
    restarts=3,
    held=1_000,
    away=10_000,
    outage_seconds=60,
    mail_rate=100,
    poisoned=1_000,
    walks=300,
    steps=60,
    longest_wait=600,
)
IS_FULL = os.environ.get("FAULTS") == "full"
SCALE = FULL if IS_FULL else SHORT


def print_report(figures: str) -> None:
    """Print figures on a line of their own, for whoever runs `make faults`."""
    sys.stdout.write(f"\n{figures}\n")
