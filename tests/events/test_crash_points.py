"""The service ends after any commit and at any call; then the reconciler runs, and both sides agree."""

import datetime
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select

from schemas.vocabulary import Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.db.payment import Payment, Refund
from service.db.pledge import Pledge
from service.desk import Desk
from service.domain.events.reconciling import Report, reconcile
from service.domain.events.working import apply_due_events
from service.domain.pledges.changing import cancel_pledge
from service.domain.pledges.new_amount import change_amount
from service.domain.pledges.refunding import refund_payment
from tests.doubles.stripe_api import StripeDouble
from tests.events.shop import Shop

READER = "ada@news.example"


class Crash(BaseException):
    """The process ends here: nothing catches it on the way."""


class Fuse:
    """Ends the process at one of the moments that it is told of; `moments` are those that came."""

    def __init__(self, burns_at: int) -> None:
        self.burns_at = burns_at
        self.moments = 0

    def tick(self) -> None:
        self.moments += 1
        if self.moments == self.burns_at:
            raise Crash


class Fused:
    """Whatever it stands for, with a moment before each call of it and one after."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            self._fuse.tick()
            answer = found(*args, **named)
            self._fuse.tick()
            return answer

        return call


class FusedDatabase(Fused):
    """A database with a moment after each commit."""

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with self._inner.transaction() as session:
            yield session
        self._fuse.tick()

    def reading(self) -> Any:
        return self._inner.reading()


def fused(desk: Desk, fuse: Fuse) -> Desk:
    return replace(
        desk,
        database=FusedDatabase(desk.database, fuse),
        gateway=Fused(desk.gateway, fuse),
        gateway_events=Fused(desk.gateway_events, fuse),
    )


def mend(shop: Shop) -> Report:
    """Start anew a while later, with the reconciler."""
    desk = shop.desk
    desk.clock.now += datetime.timedelta(minutes=5)
    return reconcile(
        desk.database.transaction, desk.gateway, desk.gateway_events, links=desk.links, clock=desk.clock
    )


def given(shop: Shop, frequency: Frequency) -> uuid.UUID:
    opened = shop.open(frequency)
    shop.stripe.pay(shop.session_of(opened), email=READER)
    mend(shop)
    return opened.id


def payment_of(shop: Shop, pledge: uuid.UUID) -> uuid.UUID:
    with shop.desk.database.reading() as session:
        return session.scalars(select(Payment.id).where(Payment.pledge_id == pledge)).one()


@dataclass(frozen=True)
class Deed:
    """What is done, after `before`, and what must be true once the reconciler ran."""

    before: Callable[[Shop], Any]
    do: Callable[[Shop, Any], Any]
    after: Callable[[Shop, Any], None]


def start(shop: Shop, _: Any) -> None:
    shop.open(Frequency.ONCE)


def every_checkout_can_be_paid(shop: Shop, _: Any) -> None:
    with shop.desk.database.reading() as session:
        pledges = session.scalars(select(Pledge).where(Pledge.status == PledgeStatus.PENDING)).all()
    for pledge in pledges:
        assert pledge.checkout_url == shop.stripe.get(pledge.gateway_reference)["url"]
        shop.stripe.pay(pledge.gateway_reference, email=READER)
    sessions = shop.stripe.account.all("checkout.session")
    assert len({one["client_reference_id"] for one in sessions}) == len(sessions)
    mend(shop)
    with shop.desk.database.reading() as session:
        assert set(session.scalars(select(Pledge.status))) <= {PledgeStatus.COMPLETED}


def pay(shop: Shop) -> uuid.UUID:
    opened = shop.open(Frequency.MONTHLY)
    told = len(shop.stripe.events)
    shop.stripe.pay(shop.session_of(opened), email=READER)
    # The two that say the same; the reconciler brings the others.
    kinds = ("checkout.session.completed", "invoice.paid")
    shop.keep(*(event for event in shop.stripe.events[told:] if event["type"] in kinds))
    return opened.id


def apply(shop: Shop, _: uuid.UUID) -> None:
    apply_due_events(shop.desk.database.transaction, shop.desk.gateway_events, clock=shop.desk.clock)


def is_active(shop: Shop, pledge: uuid.UUID) -> None:
    assert shop.books(pledge)["pledge"]["status"] == PledgeStatus.ACTIVE


def cancel(shop: Shop, pledge: uuid.UUID) -> None:
    cancel_pledge(shop.desk.database.transaction, shop.desk.gateway, pledge, clock=shop.desk.clock)


def is_over_on_both_sides(shop: Shop, pledge: uuid.UUID) -> None:
    said = shop.books(pledge)["pledge"]
    with shop.desk.database.reading() as session:
        asked = session.get_one(Pledge, pledge).cancel_requested_at is not None
    ended = shop.stripe.get(said["subscription_reference"])["status"] == "canceled"
    assert ended == asked == (said["status"] == PledgeStatus.CANCELLED)


def take_more(shop: Shop, pledge: uuid.UUID) -> None:
    change_amount(shop.desk.database.transaction, shop.desk.gateway, pledge, 900, lang="en")


def takes_the_same_on_both_sides(shop: Shop, pledge: uuid.UUID) -> None:
    said = shop.books(pledge)["pledge"]
    [item] = shop.stripe.get(said["subscription_reference"])["items"]["data"]
    assert item["price"]["unit_amount"] == said["amount_minor"]
    with shop.desk.database.reading() as session:
        assert session.get_one(Pledge, pledge).wanted_minor is None


def send_back(shop: Shop, pledge: uuid.UUID) -> None:
    desk, payment = shop.desk, payment_of(Shop(shop.desk, shop.stripe), pledge)
    refund_payment(
        desk.database.transaction, desk.gateway, payment, amount_minor=200, key=str(pledge), clock=desk.clock
    )


def nothing_is_left_to_do(shop: Shop, _: uuid.UUID) -> None:
    with shop.desk.database.reading() as session:
        assert set(session.scalars(select(Refund.status))) <= {RefundStatus.SUCCEEDED}


DEEDS = {
    "starting a checkout": Deed(lambda shop: None, start, every_checkout_can_be_paid),
    "applying events": Deed(pay, apply, is_active),
    "cancelling": Deed(lambda shop: given(shop, Frequency.MONTHLY), cancel, is_over_on_both_sides),
    "changing the amount": Deed(
        lambda shop: given(shop, Frequency.MONTHLY), take_more, takes_the_same_on_both_sides
    ),
    "refunding": Deed(lambda shop: given(shop, Frequency.ONCE), send_back, nothing_is_left_to_do),
}


def both_sides_agree(shop: Shop, stripe: StripeDouble) -> None:
    charges = [one for one in stripe.account.all("charge") if one["status"] == "succeeded"]
    with shop.desk.database.reading() as session:
        paid = session.scalars(select(Payment.amount_minor).where(Payment.status != PaymentStatus.FAILED)).all()
        back = session.scalars(select(Refund.amount_minor)).all()
    assert sorted(paid) == sorted(charge["amount"] for charge in charges)
    assert sorted(back) == sorted(one["amount"] for one in stripe.account.all("refund"))


@pytest.mark.parametrize("name", DEEDS)
def test_wherever_the_process_ends_both_sides_agree_after_the_reconciler(
    shop: Shop, stripe: StripeDouble, name: str
) -> None:
    deed = DEEDS[name]
    for moment in range(1, 25):
        subject = deed.before(shop)
        fuse = Fuse(moment)
        try:
            deed.do(Shop(fused(shop.desk, fuse), stripe), subject)
        except Crash:
            crashed = True
        else:
            crashed = False
        mend(shop)
        deed.after(shop, subject)
        both_sides_agree(shop, stripe)
        # What was mended is told of by Stripe in its turn; after that there is nothing new.
        assert not mend(shop).mended
        assert mend(shop).not_told == 0
        both_sides_agree(shop, stripe)
        if not crashed:
            break
    assert not crashed
    assert moment > 4
