"""Every kind of email under any events: no duplicate without a crash, none after a cancel, and none lost."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.faults.scale import IS_FULL, SCALE, print_report
from tests.faults.state_machine import START_TIME, EmailStateMachine


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_sequence_of_events_duplicates_loses_or_sends_a_cancelled_email(
    database: str, tmp_path: Path, migrated_database: str
) -> None:
    url = f"sqlite:///{tmp_path / 'mainstay.db'}" if database == "sqlite" else migrated_database
    clock = FakeClock(START_TIME)
    container = build_container(settings_for(url), clock=clock)
    migrate_and_seed(container)
    runs = SCALE.runs if database == "sqlite" else SCALE.runs // 5
    try:
        run_state_machine_as_test(
            lambda: EmailStateMachine(container, clock),
            settings=settings(
                max_examples=runs,
                stateful_step_count=SCALE.steps,
                deadline=None,
                # A run that loses an email takes long to fail, and shrinking repeats that for minutes. So only
                # the full scale shrinks.
                phases=tuple(Phase) if IS_FULL else (Phase.explicit, Phase.generate),
                # The short scale is deterministic; the full one explores new runs each time.
                derandomize=not IS_FULL,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        container.database.engine.dispose()
    print_report(
        f"{runs:,} runs of up to {SCALE.steps} steps on {database}: no duplicate, none after a cancel, none lost"
    )
