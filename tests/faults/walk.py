"""Any sequence of what readers, staff, workers, crashes and time do to reminders, and what must hold in all."""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, ReminderStatus
from service.commands.campaigns import read_campaign_file
from service.commands.migrate import DEMO_CAMPAIGN
from service.db.campaign import Campaign
from service.db.reminder import Reminder, ReminderMove
from service.db.tables import Base
from service.desk import Desk
from service.domain.campaigns import apply_campaign, find_campaign, read_terms
from service.domain.failed_reminders import retry_reminder
from service.domain.mail.claims import Claim
from service.domain.mail.settling import Rules, return_lost_reminders
from service.domain.ports import ReminderLetter
from service.domain.reminder_links import cancel_reminder, confirm_reminder, reminder_token, snooze_reminder
from service.domain.reminders import ReminderWish, set_reminder
from service.domain.retention import forget_unconfirmed_reminders
from service.domain.supporters import meet_supporter
from tests.api.wire import change_campaign
from tests.clock import Clock
from tests.faults.hand import LEASE, Hand, Post

BEGINNING = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
CAREFUL = "careful"
ZONES = {"ada@news.example": "Pacific/Auckland", "bo@news.example": "America/New_York"}
# Few, so that much happens to each.
READERS = (("ada@news.example", "default"), ("bo@news.example", CAREFUL))
WISHES = st.sampled_from(READERS)
FAILED, SCHEDULED, SENDING = ReminderStatus.FAILED, ReminderStatus.SCHEDULED, ReminderStatus.SENDING
WORKERS = st.sampled_from((0, 1))
PASSED = st.sampled_from([datetime.timedelta(minutes=minutes) for minutes in (0.5, 2, 60, 60 * 12, 60 * 24 * 8)])
ANSWERS = st.sampled_from(
    [
        *[(DeliveryOutcome.ACCEPTED, True)] * 3,
        (DeliveryOutcome.DEFERRED, False),
        (DeliveryOutcome.DEFERRED, True),
        (DeliveryOutcome.REJECTED, False),
        (DeliveryOutcome.WITHDRAWN, False),
    ]
)
LONGEST_WAY_TO_QUIET = 40


@dataclass
class Wish:
    """What one reader wants of one campaign, as the reader knows it; `since` is the occurrence they asked for."""

    reminder_id: uuid.UUID
    is_wanted: bool = True
    is_confirmed: bool = False
    since: int = 1


class Walk(RuleBasedStateMachine):
    """One walk. It ends with the workers doing all that is left to do, so that nothing can be lost on the way."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        super().__init__()
        self.desk, self.clock = desk, clock
        self.post = Post()
        self.wishes: dict[tuple[str, str], Wish] = {}

    @initialize(holds_doubtful=st.booleans())
    def set_up(self, holds_doubtful: bool) -> None:
        self.clock.now = BEGINNING
        with self.desk.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            apply_campaign(session, read_terms(read_campaign_file(DEMO_CAMPAIGN)), now=BEGINNING)
        offer = {"enabled": True, "choices": [1, 3], "repeats": [1]}
        change_campaign(self.desk, reminder=offer)
        change_campaign(self.desk, slug=CAREFUL, reminder=offer | {"confirm": True})
        self.rules = Rules(holds_doubtful=holds_doubtful)
        self.workers = [Hand(self.desk, self.post, self.rules, self.check_that_it_may_leave) for _ in range(2)]
        self.standing: Counter[ReminderStatus] = Counter()
        for who in READERS:
            self.sign_up(who, months=1, repeat=False)

    @rule(who=WISHES, months=st.sampled_from((1, 3)), repeat=st.booleans())
    def sign_up(self, who: tuple[str, str], months: int, repeat: bool) -> None:
        address, slug = who
        asked = ReminderWish(
            campaign=slug, email=address, months=1 if repeat else months, repeat=repeat, timezone=ZONES[address]
        )
        with self.desk.database.transaction() as session:
            set_reminder(session, find_campaign(session, slug), asked, now=self.clock())
            person = meet_supporter(session, address, now=self.clock())
            reminder = session.scalars(
                select(Reminder)
                .join(Reminder.campaign)
                .where(Reminder.supporter_id == person, Campaign.slug == slug)
            ).one()
            wish = self.wishes.setdefault(who, Wish(reminder.id, is_confirmed=slug != CAREFUL))
            wish.is_wanted, wish.since = True, reminder.occurrence

    @rule(who=WISHES)
    def cancel(self, who: tuple[str, str]) -> None:
        wish = self.wishes.get(who)
        if wish is not None:
            with self.desk.database.transaction() as session:
                cancel_reminder(session, self.token(session, wish), now=self.clock())
            wish.is_wanted, wish.is_confirmed = False, who[1] != CAREFUL

    @rule(who=WISHES)
    def snooze(self, who: tuple[str, str]) -> None:
        wish = self.wishes.get(who)
        if wish is not None and self.has_mail(wish):
            with self.desk.database.transaction() as session:
                snooze_reminder(session, self.token(session, wish), months=1, now=self.clock())
                wish.since = session.get_one(Reminder, wish.reminder_id).occurrence
            wish.is_wanted = wish.is_confirmed = True

    @rule(who=WISHES)
    def confirm(self, who: tuple[str, str]) -> None:
        wish = self.wishes.get(who)
        if wish is not None and wish.is_wanted and self.has_mail(wish):
            with self.desk.database.transaction() as session:
                confirm_reminder(session, self.token(session, wish), now=self.clock())
                if not wish.is_confirmed:
                    wish.since = session.get_one(Reminder, wish.reminder_id).occurrence
            wish.is_confirmed = True

    @precondition(lambda self: self.standing[SCHEDULED] and self.any_worker(lambda worker: worker.is_idle))
    @rule(first=WORKERS)
    def claim(self, first: int) -> None:
        self.turn_the_clock(self.next_due())
        self.worker(first, lambda worker: worker.is_idle).claim()

    @precondition(lambda self: self.any_worker(lambda worker: worker.may_go_on))
    @rule(first=WORKERS)
    def go_on(self, first: int) -> None:
        self.worker(first, lambda worker: worker.may_go_on).go_on()

    @precondition(lambda self: self.any_worker(lambda worker: worker.has_begun))
    @rule(first=WORKERS, answer=ANSWERS)
    def hear(self, first: int, answer: tuple[DeliveryOutcome, bool]) -> None:
        self.worker(first, lambda worker: worker.has_begun).hear(answer[0], arrives=answer[1])

    @precondition(lambda self: self.any_worker(lambda worker: worker.may_finish))
    @rule(first=WORKERS)
    def finish(self, first: int) -> None:
        self.worker(first, lambda worker: worker.may_finish).finish()

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS)
    def crash(self, first: int) -> None:
        self.worker(first, lambda worker: not worker.is_idle).crash()

    @precondition(lambda self: self.any_worker(lambda worker: not worker.is_idle))
    @rule(first=WORKERS)
    def freeze(self, first: int) -> None:
        self.worker(first, lambda worker: not worker.is_idle).freeze()

    @precondition(lambda self: any(worker.is_frozen for worker in self.workers))
    @rule()
    def thaw(self) -> None:
        for worker in self.workers:
            worker.is_frozen = False

    @precondition(lambda self: self.standing[SENDING])
    @rule()
    def sweep(self) -> None:
        self.turn_the_clock(self.clock() + LEASE)
        with self.desk.database.transaction() as session:
            return_lost_reminders(session, rules=self.rules, now=self.clock())

    @precondition(lambda self: self.standing[FAILED])
    @rule()
    def send_the_failed_back(self) -> None:
        with self.desk.database.transaction() as session:
            for reminder in session.scalars(select(Reminder).where(Reminder.status == FAILED)):
                retry_reminder(session, reminder.id, now=self.clock())
                if self.rules.holds_doubtful:
                    self.post.excuses[reminder.id, reminder.occurrence] += 1

    @rule(time=PASSED)
    def pass_time(self, time: datetime.timedelta) -> None:
        self.turn_the_clock(self.clock() + time)

    @invariant()
    def look_around(self) -> None:
        with self.desk.database.reading() as session:
            rows = session.execute(select(Reminder.status, func.count()).group_by(Reminder.status)).all()
        self.standing = Counter(dict(rows))

    @invariant()
    def no_mail_has_arrived_twice_without_a_crash_between(self) -> None:
        for mail, copies in self.post.copies.items():
            assert copies <= 1 + self.post.excuses[mail], mail

    def check_that_it_may_leave(self, claim: Claim, letter: ReminderLetter) -> None:
        [wish] = [wish for wish in self.wishes.values() if wish.reminder_id == claim.reminder_id]
        assert wish.is_wanted, "a mail leaves after its reader cancelled"
        assert letter.asks_to_confirm == (not wish.is_confirmed), "only the question leaves before a confirmation"

    def teardown(self) -> None:
        """Let the workers come to an end with everything, and see that everybody has what they wanted."""
        for worker in getattr(self, "workers", ()):
            worker.crash()
        steps = 0
        while unmet := [wish for wish in self.wishes.values() if wish.is_wanted and not self.is_met(wish)]:
            steps += 1
            assert steps < LONGEST_WAY_TO_QUIET, f"nothing comes of {unmet}"
            self.send_the_failed_back()
            self.sweep()
            self.carry_all()
            self.turn_the_clock(self.next_due())
        self.no_mail_has_arrived_twice_without_a_crash_between()
        self.check_the_histories()

    def carry_all(self) -> None:
        worker = self.workers[0]
        worker.claim(limit=10)
        while worker.may_go_on:
            worker.go_on()
            if worker.has_begun:
                worker.hear(DeliveryOutcome.ACCEPTED, arrives=True)
        worker.finish()

    def is_met(self, wish: Wish) -> bool:
        """Whether a mail has arrived for what they asked last."""
        return any(row == wish.reminder_id and which >= wish.since for row, which in self.post.copies)

    def has_mail(self, wish: Wish) -> bool:
        return any(row == wish.reminder_id for row, _ in self.post.copies)

    def any_worker(self, can: Callable[[Hand], bool]) -> bool:
        return any(can(worker) and not worker.is_frozen for worker in self.workers)

    def worker(self, first: int, can: Callable[[Hand], bool]) -> Hand:
        """Return a worker that can, this one if it does."""
        order = (self.workers[first], self.workers[1 - first])
        return next(worker for worker in order if can(worker) and not worker.is_frozen)

    def next_due(self) -> datetime.datetime:
        with self.desk.database.reading() as session:
            due = session.scalar(select(func.min(Reminder.due_at)).where(Reminder.status == SCHEDULED))
        return max(self.clock(), due or self.clock())

    def turn_the_clock(self, now: datetime.datetime) -> None:
        """Let time pass, in which living workers show that they live."""
        self.clock.now = now
        for worker in self.workers:
            if not worker.is_frozen:
                worker.renew()
        with self.desk.database.transaction() as session:
            forget_unconfirmed_reminders(session, now=now)
        self.look_for_the_forgotten()

    def look_for_the_forgotten(self) -> None:
        with self.desk.database.reading() as session:
            kept = set(session.scalars(select(Reminder.id)))
        for who, wish in list(self.wishes.items()):
            if wish.reminder_id not in kept:
                assert not wish.is_confirmed, "a reminder that its reader confirmed is gone"
                del self.wishes[who]

    def token(self, session: Session, wish: Wish) -> str:
        return reminder_token(self.desk.database.keyring, session.get_one(Reminder, wish.reminder_id))

    def check_the_histories(self) -> None:
        with self.desk.database.reading() as session:
            stands = dict(session.execute(select(Reminder.id, Reminder.status)).all())
            last: dict[uuid.UUID, ReminderStatus] = {}
            for move in session.scalars(select(ReminderMove).order_by(ReminderMove.id)):
                assert move.from_status == last.get(move.reminder_id), "a move begins where the last one ended"
                last[move.reminder_id] = move.to_status
        assert last == stands
