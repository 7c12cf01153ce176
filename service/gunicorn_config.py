"""The gunicorn configuration; every value an operator may change comes from the settings."""

import sys

from service.setting_values import SettingsError
from service.settings import read_settings

try:
    settings = read_settings()
except SettingsError as error:
    sys.exit(str(error))

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "service.gunicorn_worker.BufferingWorker"
logger_class = "service.gunicorn_logger.PrivacyLogger"
threads = 4
# A worker whose event loop does not run for this long is replaced. The limits for clients are REQUEST_TIMEOUT and
# RESPONSE_TIMEOUT.
timeout = 30
graceful_timeout = 20
keepalive = 5
accesslog = None
errorlog = "-"
loglevel = settings.log_level
control_socket_disable = True
