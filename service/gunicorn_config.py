"""The gunicorn configuration; every value an operator may change comes from the settings."""

from service.settings import read_settings

settings = read_settings()

bind = f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "service.gunicorn_worker.ProblemWorker"
logger_class = "service.gunicorn_worker.PrivacyLogger"
threads = 4
# A slow client occupies a thread. A worker that does not respond for this long is replaced.
timeout = 30
graceful_timeout = 20
keepalive = 5
accesslog = None
errorlog = "-"
loglevel = settings.log_level
control_socket_disable = True
