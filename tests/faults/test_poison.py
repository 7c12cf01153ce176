"""Poisoned rows: each fails with a reason for staff, and all the others are sent."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from service.container import Container
from service.db.models.supporter import EMAIL_TYPE
from tests.api.client import auth_headers, get_json, update_campaign
from tests.faults.dataset import addresses, fill, is_idle, status_counts
from tests.faults.scale import SCALE, print_report
from tests.faults.smtp_sink import SmtpSinkProcess
from tests.faults.workers import WorkerPool

FORGED = "reader@news.example\r\nBcc: everybody@news.example"


def corrupt_address(container: Container, reminder_id: UUID) -> None:
    run(
        container,
        "UPDATE supporters SET email = set_byte(email, 20, get_byte(email, 20) # 255) WHERE id = "
        "(SELECT supporter_id FROM reminders WHERE id = :id)",
        reminder_id,
    )


def delete_campaign(container: Container, reminder_id: UUID) -> None:
    update_campaign(container, slug="gone")
    run(
        container,
        "UPDATE reminders SET campaign_id = (SELECT id FROM campaigns WHERE slug = 'gone') WHERE id = :id",
        reminder_id,
    )
    run(container, "DELETE FROM campaigns WHERE slug = 'gone'", unchecked=True)


def break_text(container: Container, reminder_id: UUID) -> None:
    update_campaign(container, slug="broken")
    run(
        container,
        """UPDATE campaigns SET texts = '{"en": {"mail_subject": 7}}' WHERE slug =
    'broken'""",
    )
    run(
        container,
        "UPDATE reminders SET campaign_id = (SELECT id FROM campaigns WHERE slug = 'broken') WHERE id = :id",
        reminder_id,
    )


def inject_header_by_address(container: Container, reminder_id: UUID) -> None:
    forged = container.database.keyring.encrypt(FORGED.encode(), context=EMAIL_TYPE.context.encode())
    run(
        container,
        "UPDATE supporters SET email = :forged WHERE id = (SELECT supporter_id FROM reminders WHERE id = :id)",
        reminder_id,
        forged=forged,
    )


def inject_header_by_page(container: Container, reminder_id: UUID) -> None:
    page = "https://news.example/\r\nBcc: everybody@news.example"
    run(container, "UPDATE reminders SET page_url = :page WHERE id = :id", reminder_id, page=page)


def break_time_zone(container: Container, reminder_id: UUID) -> None:
    run(container, "UPDATE reminders SET timezone = 'Mars/Olympus' WHERE id = :id", reminder_id)


POISONS: tuple[Callable[[Container, UUID], None], ...] = (
    corrupt_address,
    delete_campaign,
    break_text,
    inject_header_by_address,
    inject_header_by_page,
    break_time_zone,
)
# The name of an exception, such as `KeyError`, tells staff nothing.
EXCEPTION_NAME = re.compile(r"\b\w+(Error|Exception)\b")


def run(
    container: Container,
    statement: str,
    reminder_id: UUID | None = None,
    *,
    unchecked: bool = False,
    **values: object,
) -> None:
    """Execute a statement directly; `unchecked` skips foreign keys and triggers."""
    with container.database.transaction() as session:
        if unchecked:
            session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(statement), values if reminder_id is None else values | {"id": reminder_id})


def test_poisoned_rows_fail_with_a_reason_and_all_others_are_sent(
    container: Container, client, url: str, sink: SmtpSinkProcess, tmp_path: Path
) -> None:
    staff = auth_headers(container, "read")
    ids = fill(container, SCALE.poisoned)
    # Spread among the others, so that one that stopped its batch would be noticed.
    poisoned = ids[:: SCALE.poisoned // len(POISONS)][: len(POISONS)]
    for poison, reminder_id in zip(POISONS, poisoned, strict=True):
        poison(container, reminder_id)
    with WorkerPool(1, url, sink, tmp_path / "log") as workers:
        workers.until(lambda: is_idle(container), what="every reminder to be finished")
        log = workers.log
    report = sink.report()
    items = {item["id"]: item for item in get_json(client, staff, "/v1/admin/reminders", status="failed")["items"]}
    reasons = {poison.__name__: items[str(one)]["reason"] for poison, one in zip(POISONS, poisoned, strict=True)}
    print_report(
        f"{SCALE.poisoned:,} due, {len(POISONS)} poisoned: {len(report.copies):,} sent, failed: {reasons}"
    )
    healthy = addresses(SCALE.poisoned) - {f"reader-{ids.index(one)}@news.example" for one in poisoned}
    assert set(report.copies) == healthy
    assert report.duplicates == 0
    assert status_counts(container) == {"sent": len(healthy), "failed": len(POISONS)}
    assert "bcc" not in report.header_names
    for reason in reasons.values():
        assert reason.startswith("could not be written: ")
        assert not EXCEPTION_NAME.search(reason), reason
    assert "@news.example" not in log
