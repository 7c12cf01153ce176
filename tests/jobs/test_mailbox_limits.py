"""The limits on emails to one mailbox, on SQLite."""

from service.app import create_app
from service.container import Container
from tests.api.client import post_reminder, reminder_token_for, update_campaign
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders


def test_limits_work_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    client = create_app(sqlite_container).test_client()
    update_campaign(sqlite_container, reminder={"confirm": True})
    mailer = FakeMailer()
    for number in range(10):
        assert post_reminder(client, email=f"jane.doe+{number}@example.org").status_code == 201
    run_send_reminders(sqlite_container, mailer)
    assert len(mailer.sent) == 1
    token = reminder_token_for(sqlite_container, "jane.doe+0@example.org")
    assert client.post(f"/v1/reminders/{token}/cancel").status_code == 204
    clock.advance(minutes=5)
    for _ in range(3):
        post_reminder(client, email="jane.doe+0@example.org")
    clock.advance(hours=2)
    run_send_reminders(sqlite_container, mailer)
    assert len(mailer.sent) == 2
