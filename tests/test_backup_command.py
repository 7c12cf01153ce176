"""`mainstay backup`: complete copies of a database in use, and what it refuses."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli import assert_cli_error, run_cli
from tests.processes import ROOT, environment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a migrated SQLite file."""
    file = tmp_path / "mainstay.db"
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    return file


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_backup_is_of_one_instant_while_others_write(tmp_path: Path, file: Path, url: str) -> None:
    stop_writing, written = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(file)) as connection:
            while not stop_writing.is_set():
                with connection:
                    for _ in range(2):
                        row = (uuid.uuid4().hex, "0" * 64, "{}", "2026-11-26 12:00:00.000000")
                        connection.execute(
                            "INSERT INTO audit_log (id, actor, action, details, at) VALUES (?, ?, 'a', ?, ?)", row
                        )
                written.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        assert written.wait(60)
        for number in range(5):
            assert run_cli("backup", str(tmp_path / f"{number}.backup"), DATABASE_URL=url).exit_code == 0
        stop_writing.set()
        writer.result()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"{number}.backup")) as connection:
            rows = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]
            # Each transaction adds two.
            assert rows > 0
            assert rows % 2 == 0
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("name", ["mainstay.db", "link.db"])
def test_backup_never_replaces_the_database_itself(tmp_path: Path, file: Path, url: str, name: str) -> None:
    (tmp_path / "link.db").symlink_to(file)
    result = run_cli("backup", "--force", str(tmp_path / name), DATABASE_URL=url)
    assert_cli_error(result, "is the database itself")


def test_backup_to_a_full_disk_leaves_what_was_there(tmp_path: Path, url: str) -> None:
    """Run on a real file system of the smallest size, which only this process sees."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no mount of its own")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k none {disk} && echo old > {disk}/backup;"
        f" {sys.executable} -m service backup --force {disk}/backup; echo code $?; cat {disk}/backup;"
        f" ls -A {disk} | wc -l"
    )
    command = [unshare, "-rm", "bash", "-c", script]
    process = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, text=True, check=False)
    assert process.stdout.split() == ["code", "1", "old", "1"]
    assert f"{disk}/backup cannot be written: its disk is full." in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_backup_that_may_not_be_written_is_refused(url: str) -> None:
    assert_cli_error(run_cli("backup", "/proc/backup", DATABASE_URL=url), "/proc/backup cannot be written")


@pytest.mark.parametrize("address", ["desk:hidden@db.example/paper", "desk@db.example/paper?password=hidden"])
def test_command_for_another_machine_has_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_cli("backup", str(tmp_path / "x.dump"), DATABASE_URL=f"postgresql://{address}")
    assert_cli_error(result, "pg_dump --format=custom", "x.dump", "postgresql://desk@db.example/paper")
    assert "hidden" not in result.output
