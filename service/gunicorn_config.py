"""How gunicorn serves the application; every value comes from the settings."""

from service.settings import read_settings

settings = read_settings()

bind = f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "service.gunicorn_worker.ProblemWorker"
logger_class = "service.gunicorn_worker.PrivacyLogger"
threads = 4
# Slow clients hold a thread; a worker that answers nothing for this long is replaced.
timeout = 30
graceful_timeout = 20
keepalive = 5
accesslog = None
errorlog = "-"
loglevel = settings.log_level
control_socket_disable = True
