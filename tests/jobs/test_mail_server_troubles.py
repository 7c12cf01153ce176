"""What a mail server can do to us, and what that costs a reminder."""

import dataclasses
import threading

import pytest

from jobs.reminders import send_reminders
from schemas.enums import ReminderStatus
from service.container import Container
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import (
    PermanentFailure,
    ReminderEmail,
    ServerMisconfigured,
    ServerUnavailable,
    UncertainDelivery,
)
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    find,
    run_send_reminders,
    status_changes,
    with_mailer,
    without_sending_hours,
)


def test_a_server_that_is_away_costs_no_reminder_an_attempt(container: Container, clock: FakeClock) -> None:
    asked = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)

    def nobody_there() -> None:
        raise ServerUnavailable("connection refused")

    mailer = FakeMailer(on_connect=nobody_there)
    container = with_mailer(container, mailer)
    with pytest.raises(ServerUnavailable):
        send_reminders(container, threading.Event())
    assert mailer.connects == 1
    assert [(find(container, each).status, find(container, each).attempts) for each in asked] == [
        (ReminderStatus.SCHEDULED, 0)
    ] * 3
    for _ in range(3):
        assert send_reminders(container, threading.Event()) is None
    assert mailer.connects == 1
    clock.advance(minutes=1)
    with pytest.raises(ServerUnavailable):
        send_reminders(container, threading.Event())
    # Nothing is claimed for a server that was away before it is seen to be back.
    assert [event for event, _ in status_changes(container, asked[0])] == ["made", "claim", "lose_lease"]
    clock.advance(minutes=1)
    mailer.on_connect = lambda: None
    assert send_reminders(container, threading.Event())["sent"] == 3
    assert len(mailer.sent) == 3


def test_a_server_that_says_goodbye_in_the_middle_costs_the_mail_in_hand_one_attempt(
    container: Container, clock: FakeClock
) -> None:
    first, second = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.advance(days=32)

    def goodbye(_: ReminderEmail) -> None:
        raise ServerUnavailable("goodbye (421)")

    with pytest.raises(ServerUnavailable):
        run_send_reminders(container, FakeMailer(goodbye))
    assert (find(container, first).attempts, find(container, second).attempts) == (1, 0)
    assert find(container, first).due_at > clock()
    assert find(container, second).due_at <= clock()


def test_a_server_that_refuses_us_stops_the_run_and_costs_nothing(container: Container, clock: FakeClock) -> None:
    asked = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)

    def refuse(_: ReminderEmail) -> None:
        raise ServerMisconfigured("sender refused (550)")

    tries: list[str] = []
    mailer = FakeMailer(lambda email: (tries.append(email.to), refuse(email)))
    container = with_mailer(container, mailer)
    with pytest.raises(ServerMisconfigured):
        send_reminders(container, threading.Event())
    clock.advance(minutes=2)
    assert send_reminders(container, threading.Event()) is None
    assert tries == ["reader-0@news.example"]
    assert {(find(container, each).status, find(container, each).attempts) for each in asked} == {
        (ReminderStatus.SCHEDULED, 0)
    }
    assert find(container, asked[0]).reason == "sender refused (550)"
    clock.advance(minutes=5)
    mailer.on_send = lambda _: None
    assert send_reminders(container, threading.Event())["sent"] == 3


def test_the_breaker_waits_longer_each_time_and_forgets_when_a_mail_is_taken(clock: FakeClock) -> None:
    breaker, pauses = CircuitBreaker(), []
    for _ in range(8):
        breaker.record_failure(clock(), needs_operator=False)
        breaker.record_failure(clock(), needs_operator=False)
        waited = 0
        while not breaker.allows_request(clock()):
            clock.advance(seconds=1)
            waited += 1
        pauses.append(waited)
    for number, waited in enumerate(pauses):
        most = min(5 * 2**number, 60)
        assert most / 2 <= waited <= most + 1
    breaker.record_failure(clock(), needs_operator=False)
    breaker.record_success()
    assert breaker.allows_request(clock())


def pause_after_an_outage(container: Container, clock: FakeClock) -> float:
    """Let the server be away once; return for how many seconds it is then left alone."""
    container.smtp_breaker.record_failure(clock(), needs_operator=False)
    began = clock()
    while not container.smtp_breaker.allows_request(clock()):
        clock.advance(seconds=0.5)
    return (clock() - began).total_seconds()


def test_after_a_mail_was_taken_an_outage_is_a_first_one_again(container: Container, clock: FakeClock) -> None:
    container = with_mailer(without_sending_hours(container), FakeMailer())
    for _ in range(5):
        pause_after_an_outage(container, clock)
    assert container.smtp_breaker.has_failed_recently
    create_reminder(container, READER)
    clock.advance(days=32)
    assert send_reminders(container, threading.Event())["sent"] == 1
    assert not container.smtp_breaker.has_failed_recently
    # A first pause lasts for five seconds at most, a sixth for half a minute at least.
    assert pause_after_an_outage(container, clock) <= 5.5


def test_who_finds_nothing_due_does_not_try_a_server_that_was_away(container: Container, clock: FakeClock) -> None:
    mailer = FakeMailer()
    container = with_mailer(container, mailer)
    pause_after_an_outage(container, clock)
    assert send_reminders(container, threading.Event()) == {}
    assert mailer.connects == 0
    assert container.smtp_breaker.has_failed_recently


@pytest.mark.parametrize("held", [False, True])
def test_a_mail_that_may_have_left_is_sent_again_or_held_as_the_setting_says(
    container: Container, clock: FakeClock, held: bool
) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=held, respect_sending_hours=False)
    container = dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))

    def vanish(_: ReminderEmail) -> None:
        raise UncertainDelivery("connection lost before the reply")

    run_send_reminders(container, FakeMailer(vanish))
    reminder = find(container, reminder_id)
    assert reminder.status == (ReminderStatus.FAILED if held else ReminderStatus.SCHEDULED)
    assert reminder.reason is not None
    assert "may have arrived" in reminder.reason or reminder.reason == "connection lost before the reply"
    clock.advance(days=3)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == ([] if held else [READER])


def test_a_dead_address_gets_no_more_mail_of_any_campaign(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def unknown(_: ReminderEmail) -> None:
        raise PermanentFailure("recipient refused (550)", dead_address=True)

    run_send_reminders(container, FakeMailer(unknown))
    assert find(container, reminder_id).status == ReminderStatus.FAILED
    create_reminder(container, READER)
    clock.advance(days=32)
    mailer = FakeMailer()
    assert run_send_reminders(container, mailer)["suppressed"] == 1
    assert mailer.sent == []
    assert (find(container, reminder_id).status, find(container, reminder_id).reason) == (
        ReminderStatus.SKIPPED,
        "suppressed: hard_bounce",
    )
