"""Mailers that do as a test says, and what happens around a run of the job."""

import dataclasses
import threading
from collections.abc import Callable

from sqlalchemy import func, select

from jobs.send_reminders import send_reminders
from service.db.reminder import Reminder, ReminderMove
from service.desk import Desk
from service.domain.ports import ReminderLetter

READER = "reader@news.example"


class Post:
    """A mailer that keeps the letters and calls `on_send` before it takes each."""

    def __init__(self, on_send: Callable[[ReminderLetter], None] = lambda _: None) -> None:
        self.letters: list[ReminderLetter] = []
        self.on_send = on_send
        self.closed = 0

    def send(self, letter: ReminderLetter) -> None:
        self.on_send(letter)
        self.letters.append(letter)

    def close(self) -> None:
        self.closed += 1

    @property
    def addresses(self) -> list[str]:
        return [letter.to for letter in self.letters]


def with_post(desk: Desk, post: Post) -> Desk:
    """Return the desk with another mailer."""
    return dataclasses.replace(desk, mailer=post)


def told_to_stop() -> threading.Event:
    """Return what a worker looks at that is told to stop."""
    stop = threading.Event()
    stop.set()
    return stop


def find(desk: Desk, reminder_id: object) -> Reminder:
    """Return a reminder as it stands."""
    with desk.database.reading() as session:
        return session.get_one(Reminder, reminder_id)


def history(desk: Desk, reminder_id: object) -> list[tuple[str, str]]:
    """Return every move of a reminder as (event, where it stood then)."""
    with desk.database.reading() as session:
        moves = session.scalars(
            select(ReminderMove).where(ReminderMove.reminder_id == reminder_id).order_by(ReminderMove.id)
        )
        return [(move.event, move.to_status.value) for move in moves]


def run(desk: Desk, post: Post | None = None) -> None:
    """Run the job once, with another mailer if one is given."""
    send_reminders(desk if post is None else with_post(desk, post), threading.Event())


def standing(desk: Desk) -> dict[str, int]:
    """Return how many reminders stand where."""
    with desk.database.reading() as session:
        rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status))
        return {status.value: count for status, count in rows}
