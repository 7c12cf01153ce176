"""Errors of the `mainstay` command for invalid settings and database problems: one sentence with advice."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import make_database
from tests.processes import ROOT

COMMANDS = [
    [],
    ["serve"],
    ["worker"],
    ["dev"],
    ["migrate"],
    ["copy-database"],
    ["backup"],
    ["restore-guard"],
    ["restore-guard", "list"],
    ["restore-guard", "release"],
    ["restore-guard", "cancel"],
    ["restore-guard", "undo"],
    ["token"],
    ["token", "create"],
    ["token", "revoke"],
    ["token", "list"],
    ["campaign"],
    ["campaign", "show"],
    ["campaign", "snippet"],
    ["campaign", "apply"],
    ["demo"],
    ["demo", "install"],
    ["demo", "remove"],
    ["receipts"],
    ["receipts", "send"],
    ["campaign", "list"],
    ["campaign", "new"],
    ["campaign", "check"],
    ["campaign", "diff"],
    ["campaign", "close"],
    ["campaign", "reopen"],
    ["campaign", "brand"],
    ["export"],
    ["keys", "rotate"],
    ["jobs"],
    ["emails"],
    ["emails", "list"],
    ["emails", "show"],
    ["emails", "failed"],
    ["emails", "retry"],
    ["emails", "check"],
    ["suppressions", "list"],
    ["suppressions", "check"],
    ["suppressions", "lift"],
    ["texts"],
    ["texts", "check"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_without_valid_settings(command: list[str], flag: str) -> None:
    result = run_cli(*command, flag, DATABASE_URL="nonsense", PORT="nonsense")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert len(result.stdout.splitlines()) > 4


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://host/name", "DATABASE_URL"),
        ("nonsense", "DATABASE_URL"),
        ("postgresql://host:port/name", "DATABASE_URL"),
        ("postgresql://nobody:hidden@127.0.0.1:1/gone?connect_timeout=2", "DATABASE_URL"),
        ("sqlite:////proc/nowhere/mainstay.db", "DATABASE_URL"),
        ("sqlite:////etc/hostname/mainstay.db", "DATABASE_URL"),
    ],
)
@pytest.mark.parametrize("command", [["migrate"], ["campaign", "show"], ["token", "list"]], ids=" ".join)
def test_unreachable_database_is_reported_in_one_sentence(command: list[str], url: str, expected: str) -> None:
    result = run_cli(*command, DATABASE_URL=url)
    assert_cli_error(result, expected)
    assert len(result.stderr.strip().splitlines()) == 1
    assert "hidden" not in result.stderr


@pytest.mark.parametrize(
    "command", [["campaign", "show"], ["token", "list"], ["export"], ["emails", "failed"]], ids=" ".join
)
def test_missing_tables_error_suggests_migrate(worker_id: str, tmp_path: Path, command: list[str]) -> None:
    for url in (make_database(f"mainstay_bare_{worker_id}"), f"sqlite:///{tmp_path}/bare.db"):
        result = run_cli(*command, DATABASE_URL=url)
        assert_cli_error(result, "mainstay migrate")
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "worker", "dev"])
def test_process_with_invalid_setting_does_not_start(command: str) -> None:
    assert_cli_error(run_cli(command, DATABASE_URL="nonsense"), "DATABASE_URL")


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        (["make", "--no-print-directory", "--old-file=install", "--old-file=.venv/run.stamp", "dev"], "make dev"),
        ([f"{ROOT}/.venv/bin/mainstay", "dev"], f"{ROOT}/.venv/bin/mainstay dev"),
        (["mainstay", "dev"], "mainstay dev"),
        (["mainstay", "serve"], "mainstay serve"),
        ([sys.executable, "-m", "service", "dev"], "python -m service dev"),
    ],
    ids=lambda part: part if isinstance(part, str) else " ".join(part),
)
def test_taken_port_suggests_a_free_one_and_what_was_typed(typed: list[str], advice: str, tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "mainstay").exists():
        pytest.skip("this checkout has no .venv/, which make dev creates")
    file, folder = tmp_path / "x.db", f"{ROOT}/.venv/bin"
    # Whoever runs the tests may have the folder on PATH, and then the advice would be the short command.
    path = [
        part for part in os.environ["PATH"].split(os.pathsep) if Path(part).resolve() != Path(folder).resolve()
    ]
    if typed[0] == "mainstay":
        path.insert(0, folder)
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.run(
            typed,
            cwd=ROOT,
            env={
                "PATH": os.pathsep.join(path),
                "DATABASE_URL": f"sqlite:///{file}",
                "SECRET_KEYS": KEYS,
                "PORT": str(port),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert process.returncode != 0
    [suggested] = re.findall(
        rf"Port {port} is taken; choose another, as in PORT=(\d+) {re.escape(advice)}\.", process.stderr
    )
    assert 0 < int(suggested) <= 65535
    assert int(suggested) != port
