"""Actions of customers, their banks and the dashboard; each emits Stripe's events."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stripe_double import charges, checkout, disputes, payment_objects, refunds
from tests.stripe_double.account import DAY, Account, StripeJson

CUSTOMER_EMAIL = "ada@news.example"


class Actions:
    account: Account

    def deliver_events(self) -> None:
        raise NotImplementedError

    @contextmanager
    def _action(self) -> Iterator[Account]:
        """Lock the account, and then deliver the events."""
        with self.account.lock:
            yield self.account
        self.deliver_events()


class CustomerActions(Actions):
    """A part of `FakeStripe`; `session` is the id of a Checkout Session, `charge` of a charge, and so on."""

    def pay(self, session: str, *, email: str | None = CUSTOMER_EMAIL) -> StripeJson:
        """Pay by a valid card; return the charge, or nothing if the customer's credit covers it."""
        with self._action() as account:
            found = account.find("checkout.session", session)
            checkout.complete(account, found, email=email)
            return self.charge_of(session) if found["#intent"] else {}

    def decline(
        self, session: str, *, email: str | None = CUSTOMER_EMAIL, decline_code: str = "insufficient_funds"
    ) -> None:
        """Pay by a card that is declined; the session stays open."""
        with self._action() as account:
            found = account.find("checkout.session", session)
            checkout.decline(account, found, email=email, decline_code=decline_code)

    def abandon(self, session: str) -> None:
        """Leave the session until it expires; the clock moves to that time."""
        with self._action() as account:
            found = account.find("checkout.session", session)
            account.advance_to(found["expires_at"])
            checkout.expire(account, found)

    def pay_by_bank_debit(self, session: str, *, email: str | None = CUSTOMER_EMAIL) -> None:
        """Complete a session with a bank debit, which is paid or fails days later."""
        with self._action() as account:
            found = account.find("checkout.session", session)
            checkout.complete(account, found, email=email, bank_debit=True)

    def settle_bank_debit(self, session: str, *, days: int = 4) -> StripeJson:
        """Complete the bank debit of a session; return the charge."""
        self._complete_async_payment(session, days, paid=True)
        return self.charge_of(session)

    def fail_bank_debit(self, session: str, *, days: int = 4) -> None:
        self._complete_async_payment(session, days, paid=False)

    def _complete_async_payment(self, session: str, days: int, *, paid: bool) -> None:
        with self._action() as account:
            account.advance_to(account.now() + days * DAY)
            found = account.find("checkout.session", session)
            checkout.complete_async_payment(account, found, paid=paid)

    def update_card(self, customer: str, *, decline_code: str | None = None) -> StripeJson:
        """Save a card in the billing portal as the customer's default; return the payment method.

        With `decline_code` each charge of the card is declined.
        """
        with self._action() as account:
            found = account.find("customer", customer)
            before = copy.deepcopy(found)
            card = payment_objects.new_payment_method(account, email=found["email"], customer=customer)
            card["#decline_code"] = decline_code
            account.emit_event("payment_method.attached", card)
            found["invoice_settings"]["default_payment_method"] = card["id"]
            account.emit_event("customer.updated", found, before)
        return card

    def give_credit(self, customer: str, amount: int) -> None:
        """Give a customer credit in the dashboard, in minor units; with a negative amount, they owe it."""
        with self._action() as account:
            found = account.find("customer", customer)
            before = copy.deepcopy(found)
            found["balance"] -= amount
            account.emit_event("customer.updated", found, before)

    def change_email(self, customer: str, email: str | None) -> None:
        """Change a customer's address in the billing portal or the dashboard."""
        with self._action() as account:
            found = account.find("customer", customer)
            before = copy.deepcopy(found)
            found["email"] = email
            account.emit_event("customer.updated", found, before)

    def refund(self, charge: str, amount: int | None = None) -> StripeJson:
        """Refund a charge, or an amount of it, in the dashboard; return the refund."""
        with self._action() as account:
            return refunds.refund(account, account.find("charge", charge), amount)

    def complete_refund(self, refund: str) -> None:
        """Let a pending refund reach the reader."""
        with self._action() as account:
            refunds.complete_refund(account, account.find("refund", refund))

    def fail_refund(self, refund: str) -> None:
        with self._action() as account:
            refunds.fail_refund(account, account.find("refund", refund))

    def cancel_refund(self, refund: str) -> None:
        """Cancel a refund that is pending or requires the reader's action, in the dashboard."""
        with self._action() as account:
            refunds.fail_refund(account, account.find("refund", refund), status="canceled")

    def open_dispute(self, charge: str, amount: int | None = None, *, reason: str = "fraudulent") -> StripeJson:
        """Dispute a charge, or an amount of it, at the cardholder's bank; return the dispute."""
        with self._action() as account:
            return disputes.open_dispute(account, account.find("charge", charge), amount, reason)

    def open_inquiry(self, charge: str, amount: int | None = None, *, reason: str = "general") -> StripeJson:
        """Let the cardholder's bank ask about a charge; return the dispute, which is an inquiry so far."""
        with self._action() as account:
            return disputes.open_inquiry(account, account.find("charge", charge), amount, reason)

    def escalate_inquiry(self, dispute: str) -> None:
        with self._action() as account:
            disputes.escalate(account, account.find("dispute", dispute))

    def review_dispute(self, dispute: str) -> None:
        with self._action() as account:
            disputes.review(account, account.find("dispute", dispute))

    def close_dispute(
        self, dispute: str, outcome: str, *, amount: int | None = None, reinstated: int | None = None
    ) -> None:
        """Close a dispute as `won` (by the newsroom), `lost` and so on; see `disputes.close_dispute`."""
        with self._action() as account:
            found = account.find("dispute", dispute)
            disputes.close_dispute(account, found, outcome, amount=amount, reinstated=reinstated)

    def warn_of_fraud(self, charge: str, *, fraud_type: str = "made_with_stolen_card") -> StripeJson:
        """Send an early fraud warning about a charge; return it."""
        with self._action() as account:
            return disputes.warn_of_fraud(account, account.find("charge", charge), fraud_type)

    def settle_balances(self) -> None:
        """Create the balance transactions of charges that were paid with `settings.async_capture`."""
        with self._action() as account:
            for charge in account.all("charge"):
                if charge["status"] == "succeeded" and charge["balance_transaction"] is None:
                    charges.settle(account, charge)

    def charge_of(self, session: str) -> StripeJson:
        """Return the latest charge of a session."""
        found = self.account.find("checkout.session", session)
        return self.account.find("charge", self.account.objects[found["#intent"]]["latest_charge"])
