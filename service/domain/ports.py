"""What the domain asks of the outside world, as Protocols; `service.gateways` keeps these promises."""

import datetime
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency
from service.domain.money import Money

Clock = Callable[[], datetime.datetime]
"""Returns the present instant in UTC."""

Door = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction: it commits when the block ends and rolls back when it raises."""


@dataclass(frozen=True, kw_only=True)
class CheckoutOrder:
    """What a gateway needs to know to take a pledge; `pledge_id` is also its idempotency key."""

    pledge_id: uuid.UUID
    campaign_name: str
    frequency: Frequency
    money: Money
    lang: str


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A page of the gateway's where the reader pays, and the gateway's own name for it."""

    reference: str
    url: str


class GatewayUnavailable(Exception):
    """The gateway gave no answer, or said that it cannot take payments now."""


class Gateway(Protocol):
    """The thing that takes the money."""

    name: str

    def start_checkout(self, order: CheckoutOrder) -> Checkout:
        """Open a checkout; the same order again yields the same checkout.

        Raises:
            GatewayUnavailable: try again later.
        """


@dataclass(frozen=True, kw_only=True)
class ReminderLetter:
    """All that a reminder's mail says. `to` is the only personal part; it must not reach a log.

    `asked_on` is a date in the reader's own zone; `give_url`, `manage_url` and `cancel_url` are absolute.
    """

    message_id: str
    to: str = field(repr=False)
    lang: str
    campaign_name: str
    campaign_heading: str
    texts: dict[str, str]
    asked_on: datetime.date
    asked_where: str | None
    frequency: Frequency | None
    money: Money | None
    give_url: str
    manage_url: str = field(repr=False)
    cancel_url: str = field(repr=False)


class MailDelayed(Exception):
    """The mail could not leave now but may later. The message says why, without an address."""


class MailRefused(Exception):
    """The mail will never be taken as it is. The message says why, without an address."""


class Mailer(Protocol):
    """The thing that sends mail."""

    def send(self, letter: ReminderLetter) -> None:
        """Send one letter; return only once it was accepted.

        Raises:
            MailDelayed: try again later.
            MailRefused: do not try again.
        """

    def close(self) -> None:
        """Let go of the connection, if one is open."""


class Throttle(Protocol):
    """The thing that counts how often one client asks."""

    def check(self, action: str, client: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: this client asked too often; the error says when to come back.
        """
