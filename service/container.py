"""The dependencies of a request, job or command, in one frozen object."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from service.db.disk_space import DiskSpace
from service.db.session import Database
from service.domain.campaigns.brand import ImageCache
from service.domain.campaigns.cache import CampaignCache
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.monitoring.database_contact import DatabaseContact
from service.domain.pledges.checkout_origins import CheckoutOrigins
from service.domain.ports import (
    Clock,
    EmailWebhookProvider,
    EventSource,
    Mailer,
    PaymentGateway,
    RateLimiter,
    ReportMailbox,
)
from service.domain.privacy.key_canary import KeyCheck
from service.domain.urls import UrlBuilder
from service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Container:
    """All dependencies, built by `service.bootstrap` once per process.

    `mailers` has one mailer per connection that a worker may open for emails. `urgent_mailer` is another one for
    all but reminders, so that none of them waits behind a batch of reminders. `event_source` authenticates and
    lists the gateway's events; it is None for the sandbox. `worker_id` identifies this process in leases and job
    runs.
    """

    settings: Settings
    database: Database
    clock: Clock
    gateway: PaymentGateway
    event_source: EventSource | None
    mailers: tuple[Mailer, ...]
    urgent_mailer: Mailer
    smtp_breaker: CircuitBreaker
    database_contact: DatabaseContact
    key_check: KeyCheck
    worker_id: uuid.UUID
    rate_limiter: RateLimiter
    disk_space: DiskSpace
    email_webhooks: Mapping[str, EmailWebhookProvider]
    report_mailbox: ReportMailbox | None
    campaign_cache: CampaignCache
    image_cache: ImageCache
    checkout_origins: CheckoutOrigins
    urls: UrlBuilder

    @property
    def lease_duration(self) -> datetime.timedelta:
        """How long a lease lasts if its worker does not renew it."""
        return datetime.timedelta(seconds=self.settings.mail.lease_seconds)
