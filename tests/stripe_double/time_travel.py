"""Subscription events that depend on time: renewals, declines, retries and cancellation."""

import copy
import datetime

from tests.stripe_double import billing, billing_objects, charges, checkout
from tests.stripe_double.account import DAY, Account, StripeJson
from tests.stripe_double.customer_actions import Actions
from tests.stripe_double.errors import StripeApiError


class BillingClock(Actions):
    """A part of `FakeStripe`; `subscription` is an id. Each method moves the clock to its event, never back."""

    def emit_upcoming(self, subscription: str) -> None:
        """Move to `upcoming_days` before the next renewal, and emit `invoice.upcoming`."""
        with self._action() as account:
            found = account.find("subscription", subscription)
            account.advance_to(_period_end(found) - account.settings.upcoming_days * DAY)
            billing.emit_upcoming(account, found)

    def renew(self, subscription: str) -> StripeJson:
        """Emit the upcoming invoice, move to the renewal, and pay it; return the charge.

        A subscription with `cancel_at_period_end` is canceled there and returned; of a paused one the void invoice
        is returned, and the paid one if the customer's credit covers it.
        """
        found = self._find_current(subscription)
        with self._action() as account:
            self._resume_until(found, _period_end(found))
            if found["pause_collection"] is not None:
                found, result, _ = self._start_period(subscription)
                billing.void(account, result)
            elif found["cancel_at_period_end"]:
                account.advance_to(_period_end(found))
                billing.cancel(account, found, None)
                result = found
            else:
                invoice = self._start_invoice(found)
                result = invoice
                if invoice["status"] != "paid":
                    intent = billing.intent_of(account, invoice)
                    result = charges.charge(account, intent, self._card_of(found))
                    billing.mark_paid(account, invoice)
        return result

    def fail_renewal(self, subscription: str, *, decline_code: str = "insufficient_funds") -> StripeJson:
        """Emit the upcoming invoice, move to the renewal, and decline the card; return the failed charge."""
        with self._action():
            return self._decline(*self._start_period(subscription), decline_code)

    def require_action(self, subscription: str, *, is_failure: bool = True) -> StripeJson:
        """Move to the renewal, for which the bank wants a confirmation (SCA); return the open invoice.

        Stripe reports it as a failed attempt as well, unless the account's settings say otherwise.
        """
        with self._action() as account:
            found, invoice, intent = self._start_period(subscription)
            intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
            account.emit_event("payment_intent.requires_action", intent)
            billing.mark_unpaid(account, found, invoice, will_retry=False, is_failure=is_failure)
            account.emit_event("invoice.payment_action_required", invoice)
        return invoice

    def confirm_payment(self, subscription: str) -> StripeJson:
        """Confirm the open invoice on its hosted page, and pay it; return the charge."""
        with self._action() as account:
            return self._pay_open_invoice(account, self._find_current(subscription))

    def _pay_open_invoice(self, account: Account, found: StripeJson) -> StripeJson:
        invoice = account.objects[found["latest_invoice"]]
        charge = charges.charge(account, billing.intent_of(account, invoice), self._card_of(found))
        billing.mark_paid(account, invoice)
        billing.update(account, found, status="active")
        return charge

    def mark_paid_outside(self, subscription: str, *, invoice: str | None = None) -> StripeJson:
        """Mark the latest invoice as paid outside Stripe in the dashboard; return it."""
        with self._action() as account:
            found = self._find_current(subscription)
            paid = account.objects[invoice or found["latest_invoice"]]
            billing.mark_paid_outside(account, paid)
            if found["status"] != "active":
                billing.update(account, found, status="active")
        return paid

    def start_renewal(self, subscription: str) -> StripeJson:
        """Move to the renewal; return its open invoice, which is not charged yet."""
        with self._action():
            return self._start_period(subscription)[1]

    def fail_retry(self, subscription: str, *, decline_code: str = "insufficient_funds") -> StripeJson:
        """Move to the next retry, and decline the card; return the failed charge."""
        with self._action():
            return self._decline(*self._start_retry(subscription), decline_code)

    def retry_successfully(self, subscription: str) -> StripeJson:
        """Move to the next retry, and pay it; return the charge."""
        with self._action() as account:
            found, invoice, intent = self._start_retry(subscription)
            charge = charges.charge(account, intent, self._card_of(found))
            billing.mark_paid(account, invoice)
            billing.update(account, found, status="active")
        return charge

    def exhaust_retries(self, subscription: str) -> StripeJson:
        """Move to the last retry, decline the card, and cancel the subscription; return the failed charge."""
        with self._action() as account:
            found, invoice, intent = self._start_retry(subscription)
            charge = self._decline(found, invoice, intent, "insufficient_funds", will_retry=False)
            billing.cancel(account, found, "payment_failed")
        return charge

    def cancel_now(self, subscription: str) -> None:
        """Cancel a subscription in the dashboard."""
        with self._action() as account:
            found = account.find("subscription", subscription)
            billing.cancel(account, found, "cancellation_requested")

    def set_cancel_at_period_end(self, subscription: str, *, canceled: bool = True) -> None:
        """Let a subscription end with its period, or undo that, in the dashboard."""
        with self._action() as account:
            found = account.find("subscription", subscription)
            billing.update(
                account,
                found,
                cancel_at_period_end=canceled,
                cancel_at=_period_end(found) if canceled else None,
                canceled_at=account.now() if canceled else None,
            )

    def set_cancel_at(self, subscription: str, timestamp: int | None) -> None:
        """Let a subscription end at a time, in seconds since 1970, or undo that, in the dashboard."""
        with self._action() as account:
            found = account.find("subscription", subscription)
            billing.update(account, found, cancel_at=timestamp, canceled_at=account.now() if timestamp else None)

    def pause_collection(self, subscription: str, *, resumes_at: int | None = None) -> None:
        """Pause the payments of a subscription in the dashboard; its invoices are void meanwhile."""
        with self._action() as account:
            pause = {"behavior": "void", "resumes_at": resumes_at}
            billing.update(account, account.find("subscription", subscription), pause_collection=pause)

    def resume_collection(self, subscription: str) -> None:
        with self._action() as account:
            billing.update(account, account.find("subscription", subscription), pause_collection=None)

    def _resume_until(self, found: StripeJson, until: int) -> None:
        """End a pause at its own time, if that comes by then."""
        pause = found["pause_collection"]
        if pause is not None and pause["resumes_at"] is not None and pause["resumes_at"] <= until:
            self.account.advance_to(max(pause["resumes_at"], self.account.now()))
            billing.update(self.account, found, pause_collection=None)

    def change_price(self, subscription: str, amount: int) -> None:
        """Change the price of a subscription in the dashboard, in minor units; the clock stays."""
        with self._action() as account:
            found = account.find("subscription", subscription)
            before = copy.deepcopy(found)
            [item] = found["items"]["data"]
            data = {"currency": item["price"]["currency"], "recurring": item["price"]["recurring"]}
            price = billing_objects.new_price(account, data | {"unit_amount": amount}, item["price"]["product"])
            item["price"] = dict(price)
            account.emit_event("customer.subscription.updated", found, before)

    def advance(self, **duration: float) -> None:
        """Move the clock by `days=`, `hours=` …; open sessions expire at their time."""
        with self._action() as account:
            until = account.clock.now.timestamp() + datetime.timedelta(**duration).total_seconds()
            open_sessions = [found for found in account.all("checkout.session") if found["status"] == "open"]
            for session in sorted(open_sessions, key=lambda session: session["expires_at"]):
                if session["expires_at"] <= until:
                    account.advance_to(session["expires_at"])
                    checkout.expire(account, session)
            account.advance_to(until)

    def _find_current(self, subscription: str) -> StripeJson:
        """Return a subscription that is not canceled."""
        found = self.account.find("subscription", subscription)
        if found["status"] == "canceled":
            raise StripeApiError(f"The subscription {subscription} is canceled.")
        return found

    def _start_period(self, subscription: str) -> tuple[StripeJson, StripeJson, StripeJson]:
        """Return the subscription, the invoice of its next period, and the intent of that."""
        found = self._find_current(subscription)
        invoice = self._start_invoice(found)
        return found, invoice, billing.intent_of(self.account, invoice)

    def _start_invoice(self, found: StripeJson) -> StripeJson:
        upcoming_at = _period_end(found) - self.account.settings.upcoming_days * DAY
        if self.account.now() <= upcoming_at:
            self.account.advance_to(upcoming_at)
            billing.emit_upcoming(self.account, found)
        self.account.advance_to(_period_end(found))
        return billing.advance_period(self.account, found)

    def _start_retry(self, subscription: str) -> tuple[StripeJson, StripeJson, StripeJson]:
        """Return the subscription, its unpaid invoice, and the intent of that."""
        found = self._find_current(subscription)
        invoice = self.account.objects[found["latest_invoice"]]
        self.account.advance_to(invoice["next_payment_attempt"])
        return found, invoice, billing.intent_of(self.account, invoice)

    def _decline(
        self,
        subscription: StripeJson,
        invoice: StripeJson,
        intent: StripeJson,
        decline_code: str,
        *,
        will_retry: bool = True,
    ) -> StripeJson:
        charge = charges.decline(self.account, intent, self._card_of(subscription), decline_code)
        billing.mark_unpaid(self.account, subscription, invoice, will_retry=will_retry)
        return charge

    def _card_of(self, subscription: StripeJson) -> StripeJson:
        """Return the subscription's own payment method, or its customer's default."""
        customer = self.account.find("customer", subscription["customer"])
        default = customer["invoice_settings"]["default_payment_method"]
        return copy.deepcopy(self.account.objects[subscription["default_payment_method"] or default])


def _period_end(subscription: StripeJson) -> int:
    end: int = subscription["items"]["data"][0]["current_period_end"]
    return end
