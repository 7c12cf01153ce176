"""Each database fault of the `mainstay` command is one sentence that says what it is and what to do."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import create_engine, text

from service.db import session as db_session
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import make_database
from tests.postgres import PostgresServer
from tests.processes import ROOT

COMMANDS = [["migrate"], ["token", "list"], ["campaign", "show"], ["export", "--out", "-"]]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


def assert_one_sentence(result: Result, *expected: str) -> None:
    assert_cli_error(result, *expected)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    for secret in ("hidden", "sesame"):
        assert secret not in result.stderr


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[PostgresServer]:
    """Return a server that asks every user but its owner for a password, and lets one user in never."""
    server = PostgresServer()
    try:
        engine = create_engine(_owner_url(server, "postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in (
                "CREATE ROLE desk LOGIN PASSWORD 'sesame'",
                "CREATE ROLE stranger LOGIN",
                "CREATE DATABASE paper",
            ):
                connection.execute(text(statement))
            (server.folder / "data" / "pg_hba.conf").write_text(
                "local all postgres trust\nlocal all stranger reject\nlocal all all scram-sha-256\n"
            )
            connection.execute(text("SELECT pg_reload_conf()"))
        engine.dispose()
        yield server
    finally:
        server.stop()


def _owner_url(server: PostgresServer, name: str) -> str:
    return f"postgresql+psycopg://postgres@/{name}?host={server.folder}"


@each_command
@pytest.mark.parametrize(
    ("credentials", "name", "expected"),
    [
        ("desk:hidden", "paper", ["refuses the password of desk"]),
        ("nobody:hidden", "paper", ["refuses the password of nobody"]),
        ("desk", "paper", ["asks for a password"]),
        ("desk:sesame", "gone", ["no database gone", "createdb gone"]),
        ("stranger", "paper", ["stranger", "pg_hba.conf"]),
        ("desk:sesame", "paper", ["migrate"]),
    ],
)
def test_postgres_that_refuses_a_login_says_why(
    guarded_server: PostgresServer, command: list[str], credentials: str, name: str, expected: list[str]
) -> None:
    if credentials == "desk:sesame" and name == "paper" and command == ["migrate"]:
        # Since PostgreSQL 15 only the owner of a database may create tables in it.
        expected = ["desk may not", "grant"]
    url = f"postgresql://{credentials}@/{name}?host={guarded_server.folder}"
    assert_one_sentence(run_cli(*command, DATABASE_URL=url), "DATABASE_URL" if name == "gone" else "", *expected)


def test_postgres_without_tls_is_named(guarded_server: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", _REFUSE_TLS, str(listener.fileno())], pass_fds=[listener.fileno()]
        )
        try:
            url = f"postgresql://desk:hidden@127.0.0.1:{port}/paper?sslmode=require"
            assert_one_sentence(run_cli("token", "list", DATABASE_URL=url), "TLS", f"127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait()


# Answers each SSLRequest with N, as a PostgreSQL server without a certificate does.
_REFUSE_TLS = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    connection.recv(8)
    connection.sendall(b"N")
    connection.recv(8)
    connection.close()
"""


@each_command
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://nobody:hidden@127.0.0.1:1/gone", ["127.0.0.1:1", "Nothing accepts connections"]),
        ("postgresql://nobody:hidden@[::1]:1/gone", ["[::1]:1", "Nothing accepts connections"]),
        ("postgresql://nobody:hidden@no-such-host.invalid/gone", ["no-such-host.invalid", "not known"]),
        ("postgresql:///gone?host=/nonexistent", ["no PostgreSQL socket", "/nonexistent"]),
        ("postgresql://nobody:hidden@127.0.0.1:1/gone?nonsense=1", ["nonsense"]),
        ("postgresql://nobody:hidden@127.0.0.1:1/gone?sslmode=perhaps", ["perhaps"]),
    ],
)
def test_unreachable_postgres_is_named(command: list[str], url: str, expected: list[str]) -> None:
    assert_one_sentence(run_cli(*command, DATABASE_URL=url), "DATABASE_URL", *expected)


def test_silent_postgres_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"postgresql://nobody:hidden@127.0.0.1:{port}/gone?connect_timeout=2"
        assert_one_sentence(run_cli("token", "list", DATABASE_URL=url), f"127.0.0.1:{port}", "does not answer")


def test_password_with_an_unescaped_at_sign_is_never_printed_as_the_host() -> None:
    result = run_cli("token", "list", DATABASE_URL="postgresql://desk:half@hidden@127.0.0.1:1/gone")
    assert_one_sentence(result, "%40", "DATABASE_URL")


@each_command
def test_postgres_that_is_full_read_only_or_locked_is_named(worker_id: str, command: list[str]) -> None:
    url = make_database(f"mainstay_faults_{worker_id}")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    states = {
        "53100": "disk is full",
        "55P03": "lock",
        "57014": "too long",
        "53300": "connections",
        "57P01": "shutting down",
        "25006": "read-only",
    }
    with engine.connect() as connection:
        for state, expected in states.items():
            if command != ["export", "--out", "-"]:
                continue
            # Writing the audit log fails as the server itself would.
            connection.execute(
                text(
                    f"CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                    f"$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END$$"
                )
            )
            connection.execute(
                text("CREATE OR REPLACE TRIGGER t BEFORE INSERT ON audit_log EXECUTE FUNCTION fail()")
            )
            assert_one_sentence(run_cli(*command, DATABASE_URL=url), expected)
        connection.execute(text("ALTER TABLE campaigns RENAME TO elsewhere"))
        connection.execute(text("ALTER TABLE staff_tokens RENAME TO elsewhere_too"))
        connection.execute(text("ALTER TABLE audit_log RENAME TO elsewhere_as_well"))
        if command != ["migrate"]:
            assert_one_sentence(run_cli(*command, DATABASE_URL=url), "mainstay migrate")
    engine.dispose()


def test_read_only_replica_is_named(worker_id: str) -> None:
    url = make_database(f"mainstay_faults_{worker_id}")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    read_only = f"{url}&options=-c%20default_transaction_read_only%3Don"
    result = run_cli("token", "create", "--name", "desk", "--scope", "read", DATABASE_URL=read_only)
    assert_one_sentence(result, "read-only")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mainstay.db"
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    return file


@each_command
def test_missing_folder_is_named_and_not_made(command: list[str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nowhere/deep/x.db"
    assert_one_sentence(run_cli(*command, DATABASE_URL=url), f"{tmp_path}/nowhere/deep", "DATABASE_URL")
    assert list(tmp_path.iterdir()) == []


@each_command
def test_missing_file_is_made_by_migrate_only(command: list[str], tmp_path: Path) -> None:
    result = run_cli(*command, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    if command == ["migrate"]:
        assert result.exit_code == 0
        assert (tmp_path / "x.db").exists()
    else:
        assert_one_sentence(result, f"{tmp_path}/x.db", "mainstay migrate", "DATABASE_URL")
        assert list(tmp_path.iterdir()) == []


def test_default_folder_is_made(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.run(
        [sys.executable, "-m", "service", "migrate"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT), "SECRET_KEYS": KEYS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "var" / "mainstay.db").exists()


@each_command
def test_file_that_is_no_database_is_named(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("yesterday's paper " * 300, encoding="utf-8")
    result = run_cli(*command, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert_one_sentence(result, f"{tmp_path}/x.db", "not an SQLite database")


@each_command
def test_folder_in_place_of_the_file_is_named(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    assert_one_sentence(run_cli(*command, DATABASE_URL=f"sqlite:///{tmp_path}/x.db"), "is a folder")


def test_damaged_file_is_named(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert_one_sentence(run_cli("token", "list", DATABASE_URL=f"sqlite:///{file}"), str(file), "damaged")


def test_locked_file_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db_session, "SQLITE_BUSY_SECONDS", 0.1)
    arguments = ["token", "create", "--name", "desk", "--scope", "read"]
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert_one_sentence(run_cli(*arguments, DATABASE_URL=f"sqlite:///{file}"), str(file), "Another process")
        assert_one_sentence(run_cli("migrate", DATABASE_URL=f"sqlite:///{file}"), str(file), "Another process")
    assert run_cli(*arguments, DATABASE_URL=f"sqlite:///{file}").exit_code == 0


def test_read_only_file_is_named(file: Path) -> None:
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    result = run_cli("token", "create", "--name", "desk", "--scope", "read", DATABASE_URL=url)
    assert_one_sentence(result, str(file), "not be written")


def test_full_disk_is_named(file: Path, tmp_path: Path) -> None:
    """Run on a real file system of the smallest size, which only this process sees."""
    mount = tmp_path / "small"
    mount.mkdir()
    script = (
        f"mount -t tmpfs -o size=1200k none {mount} && cp {file} {mount}/x.db"
        f" && head -c 9000000 /dev/zero > {mount}/fill 2>/dev/null;"
        f" exec {sys.executable} -m service token create --name desk --scope read"
    )
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no mount of its own")
    process = subprocess.run(
        [unshare, "-rm", "sh", "-c", script],
        cwd=ROOT,
        env={"DATABASE_URL": f"sqlite:///{mount}/x.db", "SECRET_KEYS": KEYS, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert "disk" in process.stderr
    assert "full" in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
