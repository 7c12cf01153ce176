"""`mainstay worker --processes N`: several workers behind one command, which stop together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.container import Container
from service.db.models.jobs import Heartbeat
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.test_worker_process import all_sent, create_due_reminders
from tests.processes import ROOT, environment, running, wait_until

COMMAND = (sys.executable, "-m", "service", "worker", "--processes")
COUNT = 60


def workers_alive(container: Container) -> int:
    with container.database.read_only() as session:
        return session.scalar(select(func.count()).select_from(Heartbeat)) or 0


def children(process: subprocess.Popen) -> list[int]:
    """Return the ids of the worker processes of a command."""
    return [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_processes_share_the_emails_and_stop_with_the_command(container: Container, tmp_path: Path) -> None:
    create_due_reminders(container, COUNT)
    log = tmp_path / "log"
    with SmtpTestServer() as sink:
        env = environment(container.settings.database_url, MAIL_URL=sink.url)
        with running(*COMMAND, "3", log=log, env=env) as process:
            wait_until(lambda: workers_alive(container) == 3, what="three heartbeats")
            wait_until(lambda: all_sent(container, COUNT), what="every email to be sent")
            assert len(children(process)) == 3
        assert process.returncode == 0
        assert sorted(sink.ids()) == sorted(set(sink.ids()))
        assert len(sink.ids()) == COUNT
    assert log.read_text().count("worker_stopped") == 3


@pytest.mark.parametrize("code", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_together_when_one_of_them_ends(
    container: Container, tmp_path: Path, code: signal.Signals
) -> None:
    log = tmp_path / "log"
    with SmtpTestServer() as sink:
        env = environment(container.settings.database_url, MAIL_URL=sink.url)
        with running(*COMMAND, "2", log=log, env=env) as process:
            wait_until(lambda: workers_alive(container) == 2, what="two heartbeats")
            first, second = children(process)
            os.kill(first, code)
            assert process.wait(timeout=60) == 1
            assert not Path(f"/proc/{second}").exists()
    assert "A worker process ended with" in log.read_text()


@pytest.mark.parametrize("number", ["0", "33", "two", "-1"])
def test_a_number_of_processes_that_makes_no_sense_is_refused(container: Container, number: str) -> None:
    env = environment(container.settings.database_url)
    result = subprocess.run((*COMMAND, number), cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "--processes" in result.stderr
