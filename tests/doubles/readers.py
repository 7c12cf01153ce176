"""What readers and their banks do, each with the events that Stripe tells of it."""

import copy

from tests.doubles import charging, checkout, money_shapes, returning
from tests.doubles.account import Account, Thing
from tests.doubles.money_shapes import DAY

READER = "ada@news.example"


class Readers:
    """Half of the double; `session` is the id of a Checkout Session, `charge` of a charge, and so on."""

    account: Account

    def hand_out(self) -> None:
        """Deliver the events of what was just done."""
        raise NotImplementedError

    def pay(self, session: str, *, email: str | None = READER) -> Thing:
        """Pay by a good card; return the charge."""
        with self.account.lock:
            asked = self.account.find("checkout.session", session)
            checkout.complete(self.account, asked, email=email)
            charge = self.charge_of(session)
        self.hand_out()
        return charge

    def decline(self, session: str, *, email: str | None = READER, why: str = "insufficient_funds") -> None:
        """Try a card that is declined; the session stays open."""
        with self.account.lock:
            asked = self.account.find("checkout.session", session)
            checkout.decline(self.account, asked, email=email, why=why)
        self.hand_out()

    def walk_away(self, session: str) -> None:
        """Leave, so that the session expires at its time, to which the clock moves."""
        with self.account.lock:
            asked = self.account.find("checkout.session", session)
            self.account.advance_to(asked["expires_at"])
            checkout.expire(self.account, asked)
        self.hand_out()

    def pay_later_by_bank(self, session: str, *, email: str | None = READER) -> None:
        """Complete a session with a bank debit that is paid, or refused, days later."""
        with self.account.lock:
            asked = self.account.find("checkout.session", session)
            checkout.complete(self.account, asked, email=email, bank=True)
        self.hand_out()

    def bank_pays(self, session: str, *, days: int = 4) -> Thing:
        """Let the bank pay; return the charge."""
        self._bank_answers(session, days, paid=True)
        return self.charge_of(session)

    def bank_refuses(self, session: str, *, days: int = 4) -> None:
        """Let the bank say no."""
        self._bank_answers(session, days, paid=False)

    def _bank_answers(self, session: str, days: int, *, paid: bool) -> None:
        with self.account.lock:
            self.account.advance_to(self.account.now() + days * DAY)
            checkout.bank_answers(self.account, self.account.find("checkout.session", session), paid=paid)
        self.hand_out()

    def update_card(self, customer: str) -> Thing:
        """Save another card in the billing portal, for what has no card of its own; return the payment method."""
        with self.account.lock:
            who = self.account.find("customer", customer)
            before = copy.deepcopy(who)
            method = money_shapes.card(self.account, email=who["email"], customer=customer)
            self.account.tell("payment_method.attached", method)
            who["invoice_settings"]["default_payment_method"] = method["id"]
            self.account.tell("customer.updated", who, before)
        self.hand_out()
        return method

    def refund(self, charge: str, amount: int | None = None) -> Thing:
        """Refund a charge, or a part of it, in Stripe's dashboard; return the refund."""
        with self.account.lock:
            made = returning.refund(self.account, self.account.find("charge", charge), amount)
        self.hand_out()
        return made

    def fail_refund(self, refund: str) -> None:
        """Let a bank send a refund back."""
        with self.account.lock:
            returning.fail_refund(self.account, self.account.find("refund", refund))
        self.hand_out()

    def open_dispute(self, charge: str, amount: int | None = None, *, reason: str = "fraudulent") -> Thing:
        """Contest a charge at the cardholder's bank; return the dispute."""
        with self.account.lock:
            made = returning.open_dispute(self.account, self.account.find("charge", charge), amount, reason)
        self.hand_out()
        return made

    def close_dispute(self, dispute: str, outcome: str) -> None:
        """Decide a dispute: `won` (the newsroom keeps the money) or `lost`."""
        with self.account.lock:
            returning.close_dispute(self.account, self.account.find("dispute", dispute), outcome)
        self.hand_out()

    def settle_balances(self) -> None:
        """Make the fees known of charges that were paid while `terms.balance_is_late`."""
        with self.account.lock:
            for charge in self.account.all("charge"):
                if charge["status"] == "succeeded" and charge["balance_transaction"] is None:
                    charging.settle(self.account, charge)
        self.hand_out()

    def charge_of(self, session: str) -> Thing:
        """Return the latest charge of a session."""
        asked = self.account.find("checkout.session", session)
        return self.account.find("charge", self.account.things[asked["#intent"]]["latest_charge"])
