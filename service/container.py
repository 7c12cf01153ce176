"""Everything that a request or a job works with, in one frozen object."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from service.db.session import Database
from service.domain.campaigns.cache import CampaignCache
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import Clock, EmailWebhookProvider, EventSource, Mailer, PaymentGateway, RateLimiter
from service.domain.urls import UrlBuilder
from service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Container:
    """The newsroom's support desk, as `service.bootstrap` builds it once for each process.

    There is a mailer for each connection that a worker may open for reminders, and one for notices, which must not
    wait behind them. `event_source` tells what happens at a gateway that is not ours. `worker_id` is what this
    process signs with.
    """

    settings: Settings
    database: Database
    clock: Clock
    gateway: PaymentGateway
    event_source: EventSource | None
    reminder_mailers: tuple[Mailer, ...]
    notification_mailer: Mailer
    smtp_breaker: CircuitBreaker
    worker_id: uuid.UUID
    rate_limiter: RateLimiter
    email_webhooks: Mapping[str, EmailWebhookProvider]
    campaign_cache: CampaignCache
    urls: UrlBuilder

    @property
    def lease_duration(self) -> datetime.timedelta:
        """How long a worker keeps what it claimed without a sign of life."""
        return datetime.timedelta(seconds=self.settings.mail.lease_seconds)


def utc_now() -> datetime.datetime:
    """Return the present instant in UTC: the clock of every real process."""
    return datetime.datetime.now(datetime.UTC)
