"""Any sequence of what readers, staff, workers, crashes and time do to reminders, and what must hold in all."""

import datetime
import uuid
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from schemas.vocabulary import DeliveryOutcome, ReminderStatus
from service.commands.campaigns import read_campaign_file
from service.commands.migrate import DEMO_CAMPAIGN
from service.db.campaign import Campaign
from service.db.reminder import Reminder, ReminderMove
from service.db.tables import Base
from service.desk import Desk
from service.domain.campaigns import apply_campaign, find_campaign, read_terms
from service.domain.mail.claims import Claim
from service.domain.mail.settling import Rules, return_lost_reminders
from service.domain.ports import ReminderLetter
from service.domain.reminder_links import cancel_reminder, confirm_reminder, reminder_token, snooze_reminder
from service.domain.reminder_list import retry_reminder
from service.domain.reminders import ReminderWish, set_reminder
from service.domain.retention import forget_unconfirmed_reminders
from service.domain.supporters import meet_supporter
from tests.api.wire import change_campaign
from tests.clock import Clock
from tests.faults.hand import LEASE, Hand, Post

BEGINNING = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
ZONES = {"ada@news.example": "Pacific/Auckland", "bo@news.example": "America/New_York"}
CAREFUL = "careful"
WISHES = st.tuples(st.sampled_from(sorted(ZONES)), st.sampled_from(("default", CAREFUL)))
WORKERS = st.sampled_from((0, 1))
PASSED = st.sampled_from([datetime.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")])
PASSED_LONG = st.sampled_from([datetime.timedelta(days=days) for days in (8, 32, 95)])
ANSWERS = st.sampled_from(
    [
        *[(DeliveryOutcome.ACCEPTED, True)] * 3,
        (DeliveryOutcome.DEFERRED, False),
        (DeliveryOutcome.DEFERRED, True),
        (DeliveryOutcome.REJECTED, False),
        (DeliveryOutcome.WITHDRAWN, False),
    ]
)
LONGEST_WAY_TO_QUIET = 400


@dataclass
class Wish:
    """What one reader wants of one campaign, as the reader knows it; `since` is the occurrence that they asked for."""

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
    def begin(self, holds_doubtful: bool) -> None:
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

    @rule(which=WORKERS)
    def claim(self, which: int) -> None:
        worker = self.workers[which]
        if worker.is_idle and not worker.is_frozen:
            worker.claim()

    @rule(which=WORKERS)
    def go_on(self, which: int) -> None:
        worker = self.workers[which]
        if worker.may_go_on and not worker.is_frozen:
            worker.go_on()

    @rule(which=WORKERS, answer=ANSWERS)
    def hear(self, which: int, answer: tuple[DeliveryOutcome, bool]) -> None:
        worker = self.workers[which]
        if worker.has_begun and not worker.is_frozen:
            worker.hear(answer[0], arrives=answer[1])

    @rule(which=WORKERS)
    def finish(self, which: int) -> None:
        worker = self.workers[which]
        if not worker.has_begun and not worker.is_frozen:
            worker.finish()

    @rule(which=WORKERS)
    def crash(self, which: int) -> None:
        self.workers[which].crash()

    @rule(which=WORKERS)
    def freeze_or_thaw(self, which: int) -> None:
        worker = self.workers[which]
        if worker.is_frozen:
            worker.is_frozen = False
        else:
            worker.freeze()

    @rule()
    def sweep(self) -> None:
        with self.desk.database.transaction() as session:
            return_lost_reminders(session, rules=self.rules, now=self.clock())

    @rule()
    def send_the_failed_back(self) -> None:
        with self.desk.database.transaction() as session:
            for reminder in session.scalars(select(Reminder).where(Reminder.status == ReminderStatus.FAILED)):
                retry_reminder(session, reminder.id, now=self.clock())
                if self.rules.holds_doubtful:
                    self.post.excuses[reminder.id, reminder.occurrence] += 1

    @rule(time=PASSED | PASSED_LONG)
    def pass_time(self, time: datetime.timedelta) -> None:
        self.clock.now += time
        for worker in self.workers:
            if not worker.is_frozen:
                worker.renew()
        with self.desk.database.transaction() as session:
            forget_unconfirmed_reminders(session, now=self.clock())
        self.look_for_the_forgotten()

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
            self.clock.now += datetime.timedelta(hours=12) if steps > 1 else LEASE
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
