"""Whatever happens to reminders, no mail comes twice without a crash, none after a cancel, and none is lost."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.faults.scale import IS_FULL, SCALE, print_report
from tests.faults.state_machine import START_TIME, ReminderStateMachine


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_walk_yields_two_mails_without_a_crash_or_one_after_a_cancel_or_loses_one(
    database: str, tmp_path: Path, migrated_database: str
) -> None:
    url = f"sqlite:///{tmp_path / 'mainstay.db'}" if database == "sqlite" else migrated_database
    clock = FakeClock(START_TIME)
    container = build_container(settings_for(url), clock=clock)
    migrate_and_seed(container)
    walks = SCALE.walks if database == "sqlite" else SCALE.walks // 5
    try:
        run_state_machine_as_test(
            lambda: ReminderStateMachine(container, clock),
            settings=settings(
                max_examples=walks,
                stateful_step_count=SCALE.steps,
                deadline=None,
                # A walk that loses a reminder looks long for an end before it fails, and to look for a shorter one
                # repeats that for minutes. Only the full form has the time.
                phases=tuple(Phase) if IS_FULL else (Phase.explicit, Phase.generate),
                # The short form is the same each time; the full one looks elsewhere each time.
                derandomize=not IS_FULL,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        container.database.engine.dispose()
    print_report(
        f"{walks:,} walks of up to {SCALE.steps} steps on {database}: none twice, none after a cancel, none lost"
    )
