"""The Procfile's processes on PostgreSQL: release, web and worker, from a pledge to a clean shutdown."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from schemas.enums import ReminderStatus
from service.bootstrap import build_container
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from tests.conftest import make_database, settings_for
from tests.processes import KEYS, ROOT, environment, free_port, wait_until

# honcho kills the other processes five seconds after the first has stopped, which is soon on a busy machine.
PATIENT_HONCHO = (
    "import honcho.manager; honcho.manager.KILL_WAIT = 80; import honcho.command; honcho.command.main()"
)


@pytest.fixture
def env(worker_id: str) -> dict[str, str]:
    """Return the environment that a host sets: a postgres:// URL and a port."""
    url = make_database(f"mainstay_release_{worker_id}").replace("postgresql+psycopg://", "postgres://")
    port = str(free_port())
    return environment(
        url,
        PORT=port,
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        WEB_CONCURRENCY="1",
        MONTH_SECONDS="1",
        # The Procfile's `python` must be found on PATH.
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )


@contextmanager
def honcho(env: dict[str, str], log: Path, *processes: str) -> Iterator[subprocess.Popen]:
    """Run processes of the Procfile until the block ends; all of them are stopped in any case."""
    # honcho gives the first process type PORT, and each further one a port higher by a hundred.
    command = [sys.executable, "-c", PATIENT_HONCHO, "start", "--port", env["PORT"], *processes]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=90)


def is_ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/readyz", timeout=30).status_code == 200
    except requests.ConnectionError:
        return False


def test_procfile_processes_start_and_stop_cleanly(env: dict[str, str], tmp_path: Path) -> None:
    log, base = tmp_path / "log", env["PUBLIC_URL"]
    with honcho(env, log, "release") as release:
        assert release.wait(timeout=90) == 0, log.read_text()
    with honcho(env, log, "web", "worker") as running:
        wait_until(lambda: is_ready(base) or running.poll() is not None, what=f"/readyz to be 200, see {log}")
        assert running.poll() is None, log.read_text()
        pledge = requests.post(
            f"{base}/v1/pledges",
            json={"campaign": "default", "frequency": "once", "amount": 500, "currency": "USD"},
            headers={"Idempotency-Key": "a-key-of-its-own"},
            timeout=60,
        )
        assert pledge.status_code == 201
        assert pledge.json()["checkout_url"].startswith(base)
        reminder = requests.post(
            f"{base}/v1/reminders", json={"campaign": "default", "email": "reader@news.example"}, timeout=60
        )
        assert reminder.status_code == 201
        container = build_container(settings_for(env["DATABASE_URL"], SECRET_KEYS=KEYS))

        def arrived() -> bool:
            with container.database.read_only() as session:
                return session.scalar(select(Reminder.status)) == ReminderStatus.SENT

        wait_until(arrived, what=f"the reminder to be sent, see {log}")
        with container.database.read_only() as session:
            message = session.scalars(select(DevOutboxEmail.message)).one()
        assert "To: reader@news.example" in message
        container.database.engine.dispose()
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=90)
    output = log.read_text()
    assert "worker_stopped" in output
    # The signal reaches the process directly, without a shell in between.
    assert "worker.1 stopped (rc=0)" in output
    assert "web.1 stopped (rc=0)" in output
    assert "Shutting down: Master" in output
    assert "Traceback" not in output
    assert "reader@news.example" not in output
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/healthz", timeout=30)
