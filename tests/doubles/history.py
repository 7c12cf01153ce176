"""A year of one reader's gifts, as Stripe tells it: for tests in which the events come in any order, any number
of times.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from tests.doubles import checkout
from tests.doubles.account import Thing
from tests.doubles.stripe_api import StripeDouble

Outcome = Literal["won", "lost"]


@dataclass
class Year:
    """What happened, and what it must come to, in minor units.

    `events` are all of the year in Stripe's order; `charges` are those that were paid, `refunds` and `disputes`
    as they are at the end.
    """

    double: StripeDouble
    session: Thing
    subscription: Thing
    charges: list[Thing] = field(default_factory=list)
    refunds: list[Thing] = field(default_factory=list)
    disputes: list[Thing] = field(default_factory=list)

    @property
    def events(self) -> list[Thing]:
        return self.double.events

    @property
    def paid(self) -> int:
        """Return the sum of what was charged."""
        return sum(charge["amount"] for charge in self.charges)

    @property
    def refunded(self) -> int:
        """Return the sum of what was given back."""
        return sum(refund["amount"] for refund in self.refunds)

    @property
    def lost(self) -> int:
        """Return the sum of the disputes that were lost."""
        return sum(dispute["amount"] for dispute in self.disputes if dispute["status"] == "lost")


def a_years_subscription(
    double: StripeDouble,
    *,
    pledge: str = "pledge-1",
    amount: int = 500,
    currency: str = "usd",
    dispute: Outcome | None = "won",
    refunds: int | None = 200,
    gives_up: bool = False,
    by_bank: bool = False,
    session: str | None = None,
) -> Year:
    """Live through twelve monthly payments, and return the year.

    The fifth fails and recovers; of the seventh `refunds` minor units go back; the ninth is disputed, and the
    dispute `won` or `lost`. With `gives_up` the card of the last month fails until Stripe ends the subscription,
    so there are eleven payments. With `by_bank` the first is a bank debit that takes four days. `session` is a
    session that was opened already, else one is opened for this pledge. The door need not be open.
    """
    opened = double.get(session) if session else open_monthly(double, pledge, amount, currency)
    if by_bank:
        double.pay_later_by_bank(opened["id"])
        first = double.bank_pays(opened["id"])
    else:
        first = double.pay(opened["id"])
    year = Year(double, opened, double.get(opened["subscription"]), [first])
    of = year.subscription["id"]
    for month in range(2, 13):
        if month == 12 and gives_up:
            double.fail_renewal(of)
            double.fail_again(of)
            double.give_up(of)
        elif month == 5:
            double.fail_renewal(of)
            year.charges.append(double.recover(of))
        else:
            year.charges.append(double.renew(of))
        if month == 7 and refunds is not None:
            year.refunds.append(double.refund(year.charges[-1]["id"], refunds))
        if month == 9 and dispute is not None:
            year.disputes.append(double.open_dispute(year.charges[-1]["id"]))
        if month == 11 and dispute is not None:
            double.close_dispute(year.disputes[0]["id"], dispute)
    return year


def open_monthly(double: StripeDouble, pledge: str, amount: int, currency: str) -> Thing:
    """Open a Checkout Session for a monthly gift without the HTTP door, as Mainstay would ask for it."""
    metadata: dict[str, Any] = {"pledge": pledge}
    price = {
        "currency": currency,
        "unit_amount": amount,
        "product_data": {"name": "Support"},
        "recurring": {"interval": "month"},
    }
    asked = {
        "mode": "subscription",
        "client_reference_id": pledge,
        "success_url": "https://news.example/thanks",
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
    }
    with double.account.lock:
        return checkout.open_session(double.account, asked)
