"""Starts the processes: web, worker, or both together for development."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import click
from sqlalchemy.exc import OperationalError

from service.db.clock import utc_now
from service.db.keyring import Keyring
from service.db.schema import inspect_schema
from service.db.session import Database, create_database_engine
from service.domain.monitoring.restore_guard import confirm_database, find_restore
from service.settings import Settings, read_settings, sqlite_path

ROOT = Path(__file__).resolve().parent.parent
WEB_COMMAND = (
    sys.executable,
    "-m",
    "gunicorn",
    "--config",
    "python:service.gunicorn_config",
    "service.app:create_app()",
)
WORKER_COMMAND = (sys.executable, "-m", "jobs.worker")
DEMO_MONTH_SECONDS = "60"
STARTUP_TIMEOUT_SECONDS = 20
WORKER_CHECK_SECONDS = 0.5
# What the Makefile sets, because `make dev` and not `mainstay dev` was typed.
TYPED_ENV = "MAINSTAY_TYPED"
MAX_PORT = 65535


def serve(settings: Settings) -> NoReturn:
    """Replace this process by the web process."""
    _require_migrated_database(settings)
    _check_port_is_free(settings, typed_command("serve"))
    _exec(WEB_COMMAND)


def run_worker(settings: Settings, *, processes: int = 1) -> NoReturn:
    """Replace this process by the worker, a separate program, so that `service` never imports `jobs`.

    With more `processes`, this one waits for them: it passes on SIGTERM and SIGINT, and when one of them ends by
    itself, it stops the others and exits with 1, so that the platform starts all again.
    """
    _require_migrated_database(settings)
    if processes == 1:
        _exec(WORKER_COMMAND)
    environment = os.environ | _pythonpath_env()
    is_told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_told_to_stop.set())
    workers = [subprocess.Popen(WORKER_COMMAND, env=environment) for _ in range(processes)]
    while not is_told_to_stop.wait(WORKER_CHECK_SECONDS) and all(worker.poll() is None for worker in workers):
        pass
    # What has exited by now did so by itself, unless a signal went to the whole group.
    ended = [worker.returncode for worker in workers if worker.poll() is not None]
    for worker in workers:
        worker.terminate()
    codes = [worker.wait() for worker in workers]
    if not is_told_to_stop.is_set():
        click.echo(f"A worker process ended with {ended[0]}; its log above says why.", err=True)
    raise SystemExit(0 if is_told_to_stop.is_set() and not any(codes) else 1)


def run_dev() -> None:
    """Migrate, print the URLs, and run web and worker until either exits or Ctrl-C is pressed."""
    settings = read_settings()
    if settings.is_production:
        raise click.ClickException("mainstay dev is for development; run mainstay serve and mainstay worker here.")
    if settings.month_seconds is None:
        os.environ["MONTH_SECONDS"] = DEMO_MONTH_SECONDS
    # A line for each request would scroll the addresses of the banner away.
    os.environ["LOG_LEVEL"] = os.environ.get("LOG_LEVEL") or "warning"
    settings = read_settings()
    _check_port_is_free(settings, typed_command("dev"))
    environment = os.environ | _pythonpath_env()
    if subprocess.run((sys.executable, "-m", "service", "migrate"), env=environment, check=False).returncode:
        raise SystemExit(1)
    _require_no_restore(settings)
    children = [subprocess.Popen(command, env=environment) for command in (WEB_COMMAND, WORKER_COMMAND)]
    signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    try:
        _wait_until_up(settings, children[0])
        click.echo(_dev_banner(settings))
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
    except KeyboardInterrupt:
        click.echo("Stopping.")
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def _require_no_restore(settings: Settings) -> None:
    """Check that the worker will start; with the dev outbox see to it, because its emails reach nobody.

    Raises:
        click.ClickException: the database seems restored from a backup.
    """
    engine = create_database_engine(settings, Keyring(settings.secret_keys))
    try:
        with Database(engine).transaction() as session:
            if settings.uses_dev_outbox:
                confirm_database(session, now=utc_now())
            restore = find_restore(session, now=utc_now())
    finally:
        engine.dispose()
    if restore is not None:
        raise click.ClickException(str(restore))


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _exec(command: tuple[str, ...]) -> NoReturn:
    sys.stdout.flush()
    os.execve(command[0], command, os.environ | _pythonpath_env())


def _pythonpath_env() -> dict[str, str]:
    """Return a PYTHONPATH with which a child process finds our packages from any directory."""
    current = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{current}" if current else str(ROOT)}


def _require_migrated_database(settings: Settings) -> None:
    """Check that this release can run on the schema of the database.

    A database that does not answer may do so in a moment, so it stops nothing; `/readyz` reports it.

    Raises:
        click.ClickException: a migration is missing, or the database is another application's or of a newer
            release that is not compatible.
    """
    path = sqlite_path(settings.database_url)
    # SQLite would create the file.
    if path is not None and not path.exists():
        raise click.ClickException("The database is not migrated: run mainstay migrate.")
    engine = create_database_engine(settings, Keyring(settings.secret_keys))
    try:
        problem = inspect_schema(engine).problem
    except OperationalError:
        click.echo("The database does not answer; starting all the same.", err=True)
        return
    finally:
        engine.dispose()
    if problem is not None:
        raise click.ClickException(problem)


def typed_command(subcommand: str) -> str:
    """Return the command as it was typed, for advice on how to run it again: `make dev`, or `mainstay dev`."""
    program = Path(sys.argv[0])
    if TYPED_ENV in os.environ:
        return os.environ[TYPED_ENV]
    if program.name == "__main__.py":
        return f"python -m service {subcommand}"
    on_path = shutil.which(program.name)
    is_on_path = on_path is not None and Path(on_path).resolve() == program.resolve()
    return f"{program.name if is_on_path else program} {subcommand}"


def _check_port_is_free(settings: Settings, command: str) -> None:
    error = _bind_error(settings.host, settings.port)
    if error is not None:
        raise click.ClickException(_explain_bind_error(error, settings, command))


def _bind_error(host: str, port: int) -> OSError | None:
    """Return the error of listening at this address; None if it is free."""
    try:
        # As gunicorn listens: an IPv6 address needs a socket of its own kind.
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def _explain_bind_error(error: OSError, settings: Settings, command: str) -> str:
    if error.errno == errno.EADDRINUSE:
        above, below = range(settings.port + 1, MAX_PORT + 1), range(settings.port - 1, 0, -1)
        free = next((port for port in (*above, *below) if _bind_error(settings.host, port) is None), 8000)
        return f"Port {settings.port} is taken; choose another, as in PORT={free} {command}."
    if error.errno == errno.EACCES:
        return f"Port {settings.port} needs more rights; choose one above 1023, as in PORT=8000 {command}."
    return (
        f"HOST={settings.host} is not an address of this machine; use 127.0.0.1 or ::1 for this machine only, "
        "0.0.0.0 or :: for every network."
    )


def _wait_until_up(settings: Settings, web: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_SECONDS
    while time.monotonic() < deadline and web.poll() is None:
        try:
            socket.create_connection((settings.host, settings.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise click.ClickException("The web process did not start; its log above says why.")


def _dev_banner(settings: Settings) -> str:
    base = settings.public_url
    has_outbox = settings.uses_dev_outbox and settings.is_local_only
    lines = [
        "",
        f"  The demo article, with the support box under it:  {base}/demo",
        f"  The support page without JavaScript:              {base}/support/default",
        f"  The box in every state and language, to copy:     {base}/demo/widgets",
        f"  A reader's own donations and reminders:           {base}/me",
        *([f"  The emails sent so far:                           {base}/dev/outbox"] if has_outbox else []),
        f"  The API:                                          {base}/docs",
        "",
        f"  For new reminders, a month lasts {settings.month_seconds} seconds (MONTH_SECONDS), so that you can",
        "  watch the email arrive. Requests are not logged here, unless you set LOG_LEVEL=info.",
        "  Press Ctrl-C to stop.",
        "",
    ]
    return "\n".join(lines)
