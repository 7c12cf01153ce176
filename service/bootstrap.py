"""Builds the container from the settings, once per process; web and worker both use it."""

import uuid
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.container import Container
from service.db.clock import utc_now
from service.db.disk_space import DiskSpace
from service.db.keyring import Keyring
from service.db.session import Database, create_database_engine
from service.db.time_limits import TimeLimits
from service.domain.campaigns.brand import ImageCache
from service.domain.campaigns.cache import CampaignCache
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.email.capabilities import record_smtputf8
from service.domain.monitoring.database_contact import DatabaseContact
from service.domain.pledges.checkout_origins import CheckoutOrigins
from service.domain.ports import Clock, EventSource, Mailer, PaymentGateway, RateLimiter, ReportMailbox
from service.domain.privacy.key_canary import KeyCheck
from service.domain.urls import UrlBuilder
from service.gateways.email.dev_outbox import DevOutboxMailer
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp import SmtpMailer
from service.gateways.email.smtp_refusals import ConnectRefusals
from service.gateways.email_webhooks import configured_providers
from service.gateways.imap import ImapReportMailbox
from service.gateways.rate_limit import NoRateLimit, SlidingWindowRateLimiter
from service.gateways.sandbox import SandboxGateway
from service.settings import Settings

log = structlog.get_logger()


def build_container(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    time_limits: TimeLimits | None = None,
    engine_for: Callable[[Settings, Keyring], Engine] = create_database_engine,
) -> Container:
    """Return a container; connections open on first use, and their transactions have these time limits."""
    keyring = Keyring(settings.secret_keys)
    database = Database(engine_for(settings, keyring), time_limits)
    gateway, gateway_events = _gateway(settings, keyring, clock)
    refusals = ConnectRefusals()
    return Container(
        settings=settings,
        database=database,
        clock=clock,
        gateway=gateway,
        event_source=gateway_events,
        mailers=tuple(
            _mailer(settings, database, clock, refusals) for _ in range(_smtp_connection_count(settings))
        ),
        urgent_mailer=_mailer(settings, database, clock, refusals),
        smtp_breaker=CircuitBreaker(),
        database_contact=DatabaseContact(),
        key_check=KeyCheck(database.transaction, database.read_only),
        worker_id=uuid.uuid4(),
        rate_limiter=_rate_limiter(settings, keyring),
        disk_space=DiskSpace(database.engine, settings.database_url),
        email_webhooks=configured_providers(settings.mail),
        report_mailbox=_report_mailbox(settings),
        campaign_cache=CampaignCache(database.read_only),
        image_cache=ImageCache(database.read_only),
        checkout_origins=CheckoutOrigins(database.read_only, gateway.name),
        urls=UrlBuilder(settings.public_url),
    )


def _gateway(settings: Settings, keyring: Keyring, clock: Clock) -> tuple[PaymentGateway, EventSource | None]:
    if settings.stripe is None:
        return SandboxGateway(keyring, settings.public_url), None
    # Importing Stripe's library takes a fifth of a second, so only a process that uses Stripe does.
    from service.gateways.stripe import StripeApiClient, StripeEvents, StripeGateway

    api = StripeApiClient(settings.stripe, clock)
    return StripeGateway(api, settings.stripe), StripeEvents(api, settings.stripe)


def _mailer(settings: Settings, database: Database, clock: Clock, refusals: ConnectRefusals) -> Mailer:
    mail, renderer = settings.mail, EmailRenderer(settings.mail.sender, clock)
    if mail.server is None:
        return DevOutboxMailer(database, renderer, clock)
    return SmtpMailer(
        mail.server,
        renderer,
        per_connection=mail.max_per_connection,
        on_connect=_capability_recorder(mail.server.address, database, clock),
        refusals=refusals,
    )


def _capability_recorder(server: str, database: Database, clock: Clock) -> Callable[[bool], None]:
    """Return a function that stores whether the mail server offers SMTPUTF8, for sign-ups to know."""

    def record(supports_smtputf8: bool) -> None:
        try:
            with database.transaction() as session:
                record_smtputf8(session, server, supported=supports_smtputf8, now=clock())
        except SQLAlchemyError as error:
            # Emails can be sent without it, and the next connection records it again.
            log.warning("smtputf8_not_recorded", error_class=type(error).__name__)

    return record


def _report_mailbox(settings: Settings) -> ReportMailbox | None:
    mailbox = settings.mail.report_mailbox
    return None if mailbox is None else ImapReportMailbox(mailbox)


def _smtp_connection_count(settings: Settings) -> int:
    return 1 if settings.uses_dev_outbox else settings.mail.connections


def _rate_limiter(settings: Settings, keyring: Keyring) -> RateLimiter:
    if settings.rate_limit is None:
        return NoRateLimit()
    return SlidingWindowRateLimiter(
        settings.rate_limit,
        keyring,
        campaign_rate=settings.campaign_rate_limit,
        redis_url=settings.redis_url,
    )
