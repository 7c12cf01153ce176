"""The scale of the fault tests: small in `make test`, large in `make faults`."""

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of the tests. A wait for one condition times out after `max_wait_seconds`."""

    reminders: int
    kills: int
    receipts: int
    events: int
    restarts: int
    due_with_hold: int
    due_in_outage: int
    outage_seconds: float
    mail_rate: int
    poisoned: int
    pooled: int
    runs: int
    steps: int
    max_wait_seconds: float


SHORT = Scale(
    reminders=300,
    kills=2,
    receipts=60,
    events=80,
    restarts=1,
    due_with_hold=100,
    due_in_outage=120,
    outage_seconds=3,
    mail_rate=25,
    poisoned=200,
    pooled=300,
    runs=10,
    steps=40,
    max_wait_seconds=120,
)
FULL = Scale(
    reminders=20_000,
    kills=20,
    receipts=2_000,
    events=600,
    restarts=3,
    due_with_hold=1_000,
    due_in_outage=10_000,
    outage_seconds=60,
    mail_rate=100,
    poisoned=1_000,
    pooled=1_500,
    runs=300,
    steps=60,
    max_wait_seconds=600,
)
IS_FULL = os.environ.get("FAULTS") == "full"
SCALE = FULL if IS_FULL else SHORT


def print_report(figures: str) -> None:
    """Print figures on their own line, for `make faults`."""
    sys.stdout.write(f"\n{figures}\n")
