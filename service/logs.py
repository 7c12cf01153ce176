"""Logging: each line is one JSON object with a static event name, ids as fields and no personal data."""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from service.settings import Settings

# `json.dumps` with `default` would create an encoder for each line.
ENCODER = json.JSONEncoder(default=repr)


def configure_logging(settings: Settings) -> None:
    """Send every log line, including those of libraries, to standard output as JSON."""
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
    # Alembic logs each inspection of the schema. APScheduler logs each run, and warns about each run that it skips
    # because the previous one is still going, which is intended. Stripe's library logs response bodies.
    for name, min_level in (
        ("alembic", logging.WARNING),
        ("apscheduler", logging.ERROR),
        ("stripe", logging.ERROR),
    ):
        logging.getLogger(name).setLevel(max(min_level, logging.getLogger().level))
    structlog.configure(
        processors=[*shared, _as_json],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    if settings.gateway == "sandbox" and not settings.uses_dev_outbox:
        structlog.get_logger().warning(
            "sandbox_in_use", advice="no money moves, and its receipts go only to SANDBOX_RECIPIENTS"
        )
    if settings.uses_dev_outbox and not settings.database_url.startswith("sqlite"):
        structlog.get_logger().warning("dev_outbox_in_use", advice="set MAIL_URL to a mail server")


def _as_json(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    return ENCODER.encode(event)


def redact_exceptions(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and stack frames: messages and values may contain personal data."""
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
