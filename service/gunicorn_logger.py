"""gunicorn's own log lines, as JSON and without personal data.

gunicorn's class logs paths (which contain readers' tokens), client addresses and whole header lines.
"""

import logging
import sys
from typing import Any

import structlog
from gunicorn import glogging

from service.logs import configure_logging
from service.settings import read_settings

log = structlog.get_logger()


class PrivacyLogger(glogging.Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Logs server messages; of an exception, only its class and stack frames."""

    def setup(self, cfg: Any) -> None:
        """Send gunicorn's lines through the service's own log, instead of formatting them."""
        self.cfg = cfg
        configure_logging(read_settings())
        self.error_log.setLevel(logging.getLogger().level)
        self.error_log.propagate = True

    def debug(self, *_: Any, **__: Any) -> None:
        """Log nothing: debug lines contain paths."""

    def exception(self, *_: Any, **__: Any) -> None:
        """Log the current exception without its message."""
        log.error("server_error", exc_info=sys.exc_info()[1])
