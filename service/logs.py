"""Log lines: one JSON object each, with a static event name, ids as fields and nothing personal."""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from service.settings import Settings

# Made once, because `json.dumps` would make one for each line that holds anything but plain values.
ENCODER = json.JSONEncoder(default=repr)


def configure_logging(settings: Settings) -> None:
    """Send every log line, ours and the libraries', to standard output as JSON."""
    level = settings.log_level.upper()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact_exceptions,
    ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _as_json,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # Alembic writes a line for each look at the schema, and the scheduler one for each tick, with a warning for
    # each tick that comes while a long run is still at work, as it should be.
    # Stripe's library writes what it is answered.
    for chatty, least in (("alembic", logging.WARNING), ("apscheduler", logging.ERROR), ("stripe", logging.ERROR)):
        logging.getLogger(chatty).setLevel(max(least, logging.getLogger().level))
    structlog.configure(
        processors=[*shared, _as_json],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    if settings.uses_dev_outbox and not settings.database_url.startswith("sqlite"):
        structlog.get_logger().warning("mails_are_kept_and_not_sent", advice="set MAIL_URL to a mail server")
    if settings.has_weak_secret_key:
        structlog.get_logger().warning(
            "secret_key_is_short", advice="use at least 32 random characters in SECRET_KEYS"
        )


def _as_json(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    return ENCODER.encode(event)


def redact_exceptions(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and where it happened: messages and values may hold readers' data."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error_class"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event
