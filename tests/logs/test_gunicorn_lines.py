"""Everything that the web process writes is JSON, also gunicorn's own lines."""

import json
import os
import signal
from pathlib import Path

import psutil

from service.processes import WEB_COMMAND
from tests.processes import environment, free_port, is_listening, running, wait_until


def test_every_line_of_the_web_process_is_json(migrated_database: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    env = environment(migrated_database, PORT=str(port), WEB_CONCURRENCY="1")
    with running(*WEB_COMMAND, log=log, env=env) as process:
        wait_until(lambda: is_listening(f"http://127.0.0.1:{port}/healthz"), what=f"the web process, see {log}")
        [child] = psutil.Process(process.pid).children()
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: "SIGKILL" in log.read_text(), what="the line about the killed process")
        wait_until(lambda: is_listening(f"http://127.0.0.1:{port}/healthz"), what=f"another process, see {log}")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    text = " ".join(line["event"] for line in lines)
    for expected in ("Starting gunicorn", "Listening at", "Booting worker", "SIGKILL", "Shutting down"):
        assert expected in text
    assert {line["level"] for line in lines if "SIGKILL" in line["event"]} == {"error"}
