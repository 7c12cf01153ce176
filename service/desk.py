"""Everything that a request or a job works with, in one frozen object."""

import datetime
from dataclasses import dataclass

from service.db.session import Database
from service.domain.campaign_shelf import CampaignShelf
from service.domain.links import Links
from service.domain.ports import Clock, Gateway, Mailer, Throttle
from service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The newsroom's support desk, as `service.wiring` builds it once for each process."""

    settings: Settings
    database: Database
    clock: Clock
    gateway: Gateway
    mailer: Mailer
    throttle: Throttle
    shelf: CampaignShelf
    links: Links


def utc_now() -> datetime.datetime:
    """Return the present instant in UTC: the clock of every real process."""
    return datetime.datetime.now(datetime.UTC)
