"""Crashes while `mainstay campaign apply --waiting cancel` cancels reminders: the same command completes it."""

import datetime
import json
from pathlib import Path

from sqlalchemy import func, insert, select, text

from schemas.enums import ReminderStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.email import Suppression
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import HASH_VERSION, Supporter
from service.domain.reminders.waiting import BATCH_SIZE
from tests.api.client import campaign_definition, update_campaign
from tests.cli import run_cli
from tests.events.crash_injection import AFTER_COMMIT, crash_at

# Two batches, the second of them not full.
WAITING = BATCH_SIZE + 10


def set_reminders(container: Container) -> None:
    """Create the reminders, each of a supporter of its own."""
    now = container.clock()
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign.id)).one()
        supporters = [
            {
                "id": new_id(),
                "email": f"reader-{number}@example.org",
                "email_hash": number.to_bytes(32),
                "hash_version": HASH_VERSION,
                "created_at": now,
            }
            for number in range(WAITING)
        ]
        session.execute(insert(Supporter), supporters)
        common = {
            "campaign_id": campaign,
            "status": ReminderStatus.SCHEDULED,
            "occurrence": 1,
            "attempts": 0,
            "lease_number": 0,
            "months": 1,
            "due_on": now.date() + datetime.timedelta(days=30),
            "due_at": now + datetime.timedelta(days=30),
            "timezone": "UTC",
            "currency": "USD",
            "lang": "en",
            "asked_at": now,
            "awaits_confirmation": False,
        }
        rows = [common | {"id": new_id(), "supporter_id": supporter["id"]} for supporter in supporters]
        session.execute(insert(Reminder), rows)


def make_all_wait_again(container: Container) -> None:
    update_campaign(container, reminder={"enabled": True})
    with container.database.transaction() as session:
        session.execute(text("UPDATE reminders SET status = 'scheduled', reason = NULL"))
        session.execute(text("DELETE FROM reminder_status_changes"))


def counts(container: Container) -> tuple[bool, dict[str, int], int]:
    """Return whether reminders are offered, the reminders by status, and the number of cancellations."""
    with container.database.read_only() as session:
        by_status = select(Reminder.status, func.count()).group_by(Reminder.status)
        is_cancellation = ReminderStatusChange.event == "cancel", ReminderStatusChange.reason == "not_offered"
        return (
            session.scalars(select(Campaign.reminder_enabled)).one(),
            {status.value: number for status, number in session.execute(by_status).all()},
            session.scalar(
                select(func.count(func.distinct(ReminderStatusChange.reminder_id))).where(*is_cancellation)
            )
            or 0,
        )


def test_crash_at_any_point_of_cancelling_is_completed_by_the_same_command(
    container: Container, migrated_database: str, tmp_path: Path
) -> None:
    set_reminders(container)
    definition = campaign_definition(container)
    definition["reminder"] |= {"enabled": False}
    # JSON is YAML.
    file = tmp_path / "campaign.yaml"
    file.write_text(json.dumps(definition), encoding="utf-8")

    def apply(_: object = None) -> None:
        command = ("campaign", "apply", str(file), "--waiting", "cancel")
        result = run_cli(*command, DATABASE_URL=migrated_database)
        assert result.exit_code == 0, result.output

    crash_points: list[str] = []
    left: list[int] = []
    while True:
        make_all_wait_again(container)
        point = crash_at(len(crash_points) + 1, container, apply)
        is_offered, by_status, cancellations = counts(container)
        # The campaign changes first, and each reminder together with its history.
        assert not is_offered
        assert by_status.get("cancelled", 0) == cancellations
        assert sum(by_status.values()) == WAITING
        left.append(by_status.get("scheduled", 0))
        apply()
        assert counts(container) == (False, {"cancelled": WAITING}, WAITING)
        if point is None:
            break
        assert point == AFTER_COMMIT
        crash_points.append(point)
    # After the campaign is stored, after each batch, and after finding no other.
    assert left == [WAITING, WAITING - BATCH_SIZE, 0, 0, 0]
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 0
