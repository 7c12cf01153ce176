"""What time brings to a subscription: renewals, declines, retries and the end, each with the events of it."""

import copy
import datetime

from tests.doubles import billing, charging, checkout
from tests.doubles.account import Account, Thing
from tests.doubles.money_shapes import DAY
from tests.doubles.refusal import Refusal


class Times:
    """Half of the double; `subscription` is an id. Each moves the clock to when it happens, never back."""

    account: Account

    def hand_out(self) -> None:
        """Deliver the events of what was just done."""
        raise NotImplementedError

    def announce(self, subscription: str) -> None:
        """Move to some days before the next renewal, which Stripe announces (`invoice.upcoming`)."""
        with self.account.lock:
            of = self.account.find("subscription", subscription)
            self.account.advance_to(_ends(of) - self.account.terms.upcoming_days * DAY)
            billing.announce(self.account, of)
        self.hand_out()

    def renew(self, subscription: str) -> Thing:
        """Announce the next renewal, move to it, and pay it; return the charge.

        A subscription that was to stop at its period's end stops there, and the subscription is returned.
        """
        of = self._living(subscription)
        if of["cancel_at_period_end"]:
            with self.account.lock:
                self.account.advance_to(_ends(of))
                billing.end(self.account, of, None)
            self.hand_out()
            return of
        with self.account.lock:
            of, made, intended = self._begin_period(subscription)
            charge = charging.take(self.account, intended, self._card(of))
            billing.mark_paid(self.account, made)
        self.hand_out()
        return charge

    def fail_renewal(self, subscription: str, *, why: str = "insufficient_funds") -> Thing:
        """Announce the next renewal, move to it, and decline the card: past due. Return the failed charge."""
        with self.account.lock:
            of, made, intended = self._begin_period(subscription)
            charge = charging.refuse(self.account, intended, self._card(of), why)
            billing.mark_unpaid(self.account, of, made, tries_again=True)
        self.hand_out()
        return charge

    def fail_again(self, subscription: str, *, why: str = "insufficient_funds") -> Thing:
        """Move to the next retry, and decline again; return the failed charge."""
        with self.account.lock:
            of, made, intended = self._retry(subscription)
            charge = charging.refuse(self.account, intended, self._card(of), why)
            billing.mark_unpaid(self.account, of, made, tries_again=True)
        self.hand_out()
        return charge

    def recover(self, subscription: str) -> Thing:
        """Move to the next retry, which is paid: active again. Return the charge."""
        with self.account.lock:
            of, made, intended = self._retry(subscription)
            charge = charging.take(self.account, intended, self._card(of))
            billing.mark_paid(self.account, made)
            billing.alter(self.account, of, status="active")
        self.hand_out()
        return charge

    def give_up(self, subscription: str) -> Thing:
        """Move to the last retry, which fails: Stripe ends the subscription. Return the failed charge."""
        with self.account.lock:
            of, made, intended = self._retry(subscription)
            charge = charging.refuse(self.account, intended, self._card(of), "insufficient_funds")
            billing.mark_unpaid(self.account, of, made, tries_again=False)
            billing.end(self.account, of, "payment_failed")
        self.hand_out()
        return charge

    def end_now(self, subscription: str) -> None:
        """Cancel a subscription in Stripe's dashboard, at once."""
        with self.account.lock:
            billing.end(self.account, self.account.find("subscription", subscription), "cancellation_requested")
        self.hand_out()

    def pass_time(self, **duration: float) -> None:
        """Move on by `days=`, `hours=` …; sessions that nobody paid expire at their time."""
        with self.account.lock:
            until = self.account.clock.now.timestamp() + _seconds(**duration)
            waiting = [asked for asked in self.account.all("checkout.session") if asked["status"] == "open"]
            for asked in sorted(waiting, key=lambda asked: asked["expires_at"]):
                if asked["expires_at"] <= until:
                    self.account.advance_to(asked["expires_at"])
                    checkout.expire(self.account, asked)
            self.account.advance_to(until)
        self.hand_out()

    def _living(self, subscription: str) -> Thing:
        """Return a subscription that has not ended; to one that has, time brings nothing any more."""
        of = self.account.find("subscription", subscription)
        if of["status"] == "canceled":
            raise Refusal(f"The subscription {subscription} is canceled.")
        return of

    def _begin_period(self, subscription: str) -> tuple[Thing, Thing, Thing]:
        of = self._living(subscription)
        announced = _ends(of) - self.account.terms.upcoming_days * DAY
        if self.account.now() <= announced:
            self.account.advance_to(announced)
            billing.announce(self.account, of)
        self.account.advance_to(_ends(of))
        made = billing.turn_period(self.account, of)
        return of, made, billing.intent_of(self.account, made)

    def _retry(self, subscription: str) -> tuple[Thing, Thing, Thing]:
        of = self._living(subscription)
        made = self.account.things[of["latest_invoice"]]
        self.account.advance_to(made["next_payment_attempt"])
        return of, made, billing.intent_of(self.account, made)

    def _card(self, of: Thing) -> Thing:
        """Return the card that is charged: the subscription's own, else its customer's."""
        who = self.account.find("customer", of["customer"])
        name = of["default_payment_method"] or who["invoice_settings"]["default_payment_method"]
        found: Thing = self.account.things[name]
        return copy.deepcopy(found)


def _ends(of: Thing) -> int:
    end: int = of["items"]["data"][0]["current_period_end"]
    return end


def _seconds(**duration: float) -> float:
    return datetime.timedelta(**duration).total_seconds()
