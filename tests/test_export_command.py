"""Where `mainstay export` writes: a complete file or none, and no addresses on a terminal unless asked for."""

import os
import pty
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from service.bootstrap import build_container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.db.sample_rows import pledge
from tests.processes import ROOT

COMMAND = [sys.executable, "-m", "service", "export"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with 3,001 pledges, whose export is larger than any buffer."""
    file = tmp_path_factory.mktemp("desk") / "mainstay.db"
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    container = build_container(settings_for(f"sqlite:///{file}"))
    with container.database.transaction() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
        unique = {"gateway_reference": None, "subscription_reference": None}
        session.execute(insert(Pledge), [pledge(campaign_id, id=new_id(), **unique) for _ in range(3001)])
    container.database.engine.dispose()
    return file


def environment(file: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{file}", "SECRET_KEYS": KEYS, "PATH": os.environ["PATH"]}


def run_process(
    file: Path, *arguments: str, shell: str | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the real command; `shell` is a line in which {} stands for it."""
    command: object = [*COMMAND, *arguments]
    if shell is not None:
        command = ["bash", "-o", "pipefail", "-c", shell.format(" ".join([*COMMAND, *arguments]))]
    return subprocess.run(
        command, cwd=ROOT, env=environment(file), capture_output=True, text=True, check=False, **options
    )


def on_terminal(file: Path, *arguments: str) -> tuple[int, str]:
    """Run the real command with a terminal as its standard output; return its exit code and all it wrote."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, env=environment(file), stdout=secondary, stderr=secondary
    )
    os.close(secondary)
    written = b""
    try:
        while part := os.read(primary, 65536):
            written += part
    except OSError:
        pass  # Linux reports the end of a terminal as an error.
    os.close(primary)
    return process.wait(), written.decode()


def test_nothing_is_printed_on_a_terminal_unless_asked_for(file: Path) -> None:
    code, written = on_terminal(file)
    assert code == 2
    assert "--out FILE" in written
    assert "id,created_at" not in written
    code, written = on_terminal(file, "--out", "-")
    assert code == 0
    assert written.count("\n") > 3000


def test_workbook_is_never_printed_on_a_terminal(file: Path) -> None:
    code, written = on_terminal(file, "--format", "xlsx", "--out", "-")
    assert code == 2
    assert "--out FILE" in written


def test_pipe_and_redirection_get_the_export(file: Path, tmp_path: Path) -> None:
    assert run_process(file).stdout.count("\n") == 3002
    assert run_process(file, shell="{} | wc -l").stdout.split() == ["3002"]
    process = run_process(file, shell=f"{{}} > {tmp_path}/x.csv")
    assert (process.returncode, process.stderr) == (0, "")
    assert (tmp_path / "x.csv").read_text(encoding="utf-8").count("\n") == 3002


def test_reader_of_a_pipe_may_stop_early(file: Path) -> None:
    process = run_process(file, shell="{} | head -c 10 > /dev/null")
    assert process.stderr == ""


def test_existing_file_is_replaced_only_with_force(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "pledges.csv"
    out.write_text("yesterday's", encoding="utf-8")
    url = f"sqlite:///{file}"
    for _ in range(2):
        assert_cli_error(run_cli("export", "--out", str(out), DATABASE_URL=url), str(out), "--force")
        assert out.read_text(encoding="utf-8") == "yesterday's"
    assert run_cli("export", "--out", str(out), "--force", DATABASE_URL=url).exit_code == 0
    assert out.read_text(encoding="utf-8").count("\n") == 3002
    assert list(tmp_path.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_refused_export_is_not_in_the_audit_log(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "pledges.csv"
    out.touch()
    count = "SELECT count(*) FROM audit_log"
    with closing(sqlite3.connect(file)) as connection:
        before = connection.execute(count).fetchone()
        assert run_cli("export", "--out", str(out), DATABASE_URL=f"sqlite:///{file}").exit_code == 1
        assert connection.execute(count).fetchone() == before


def test_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.touch()
    link.symlink_to(target)
    assert run_cli("export", "--out", str(link), DATABASE_URL=f"sqlite:///{file}").exit_code == 1
    assert run_cli("export", "--out", str(link), "--force", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").count("\n") == 3002


@pytest.mark.parametrize("out", ["/dev/stdout", "/dev/null"])
def test_device_is_written_as_it_is(file: Path, out: str) -> None:
    process = run_process(file, "--out", out, shell="{} | cat")
    assert process.returncode == 0
    assert process.stdout.count("\n") == (3002 if out == "/dev/stdout" else 0)
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("where", ["--out /dev/full", "> /dev/full", "--out - > /dev/full"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_full_device_is_one_sentence(file: Path, where: str, kind: str) -> None:
    process = run_process(file, "--format", kind, shell=f"{{}} {where}")
    assert process.returncode == 1
    assert "disk is full" in process.stderr
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_full_disk_leaves_nothing_and_keeps_what_was_there(file: Path, tmp_path: Path, kind: str) -> None:
    """Run on a real file system of the smallest size, which only this process sees."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no mount of its own")
    command = " ".join([*COMMAND, "--format", kind, "--out", "pledges", "--force"])
    script = (
        f"mount -t tmpfs -o size=64k none {tmp_path} && cd {tmp_path} && echo old > pledges;"
        f" PYTHONPATH={ROOT} {command}; echo code $?; cat pledges; ls -A | wc -l"
    )
    process = subprocess.run(
        [unshare, "-rm", "bash", "-c", script], env=environment(file), capture_output=True, text=True, check=False
    )
    assert process.stdout.split() == ["code", "1", "old", "1"]
    assert "disk is full" in process.stderr
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_stopped_export_leaves_nothing(file: Path, tmp_path: Path, sent: signal.Signals) -> None:
    # The process stops itself when the first rows are written, so that no timing is involved.
    program = (
        "import os, signal, service.commands.export as export\n"
        # Python leaves SIGINT ignored if the tests run in the background of a shell.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def stop(*_, **__):\n"
        "    yield b'id'\n"
        f"    os.kill(os.getpid(), {int(sent)})\n"
        "    yield b'id'\n"
        "export.write_export = stop\n"
        "from service.cli import main\n"
        "main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, "export", "--out", f"{tmp_path}/pledges.csv"],
        cwd=ROOT,
        env=environment(file),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode != 0
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_folder_that_does_not_exist_is_named(file: Path, tmp_path: Path) -> None:
    result = run_cli("export", "--out", f"{tmp_path}/none/x.csv", DATABASE_URL=f"sqlite:///{file}")
    assert_cli_error(result, f"{tmp_path}/none/x.csv", "No such file or directory")
