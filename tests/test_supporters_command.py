"""`mainstay supporters`: find a supporter by address, and change it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import build_container
from service.cli import cli
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.db.factories import create_paid_pledge, create_reminder

READER, OTHER, NEW = "Reader@news.example", "other@news.example", "new@news.example"

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a migrated SQLite file with two supporters."""
    file = tmp_path / "mainstay.db"
    url = f"sqlite:///{file}"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    container = build_container(settings_for(url, SECRET_KEYS=KEYS))
    for address in (READER, OTHER):
        create_paid_pledge(container, address)
    create_reminder(container, READER)
    container.database.engine.dispose()
    return file


@pytest.fixture
def run(file: Path) -> Run:
    def run(*arguments: str, typed: str | None = None) -> Result:
        settings = {"DATABASE_URL": f"sqlite:///{file}", "SECRET_KEYS": KEYS}
        result = CliRunner().invoke(cli, ["supporters", *arguments], env=settings, input=typed)
        assert "news.example" not in result.output
        return result

    return run


def audited(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        return [" ".join(row) for row in connection.execute("SELECT action, details FROM audit_log ORDER BY id")]


def found_id(run: Run, address: str) -> str:
    return run("find", typed=f"{address}\n").stdout.split()[0]


@pytest.mark.parametrize(
    ("arguments", "typed"), [((READER,), None), (("reader@NEWS.example",), None), (("-",), READER), ((), READER)]
)
def test_find_reads_the_address_from_argument_or_standard_input(
    run: Run, file: Path, arguments: tuple[str, ...], typed: str | None
) -> None:
    result = run("find", *arguments, typed=typed)
    assert result.exit_code == 0
    assert "  1 pledge, 1 reminder, since " in result.stdout
    [entry] = audited(file)
    assert entry.startswith("find_supporter")
    assert result.stdout.split()[0] in entry
    assert "news.example" not in entry.lower()


def test_find_says_that_nobody_has_the_address(run: Run, file: Path) -> None:
    result = run("find", "nobody@news.example")
    assert (result.exit_code, result.stdout) == (0, "No supporter has this address.\n")
    assert audited(file) == ['find_supporter {"supporters": []}']


def test_change_email_moves_the_supporter(run: Run) -> None:
    supporter_id = found_id(run, READER)
    assert run("change-email", supporter_id, typed=NEW).stdout == "Changed the address.\n"
    assert found_id(run, NEW) == supporter_id
    assert run("find", READER).stdout == "No supporter has this address.\n"


def test_change_email_to_an_address_in_use_needs_merge(run: Run) -> None:
    supporter_id = found_id(run, READER)
    assert_cli_error(
        run("change-email", supporter_id, typed=OTHER), "Another supporter has this address", "--merge"
    )
    result = run("change-email", supporter_id, "--merge", typed=OTHER)
    assert result.stdout == "Changed the address and merged two supporters.\n"
    assert f"{supporter_id}  2 pledges, 1 reminder" in run("find", OTHER).stdout


def test_invalid_input_is_an_error(run: Run) -> None:
    assert_cli_error(run("find", typed="nonsense"), "does not look like")
    assert_cli_error(run("change-email", "nonsense", typed=NEW), "UUID")
    assert_cli_error(run("change-email", "00000000-0000-0000-0000-000000000000", typed=NEW), "No supporter")


def test_erase_ends_recurring_pledges_and_says_what_stays(run: Run, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE pledges SET frequency = 'monthly', status = 'active'")
    kept = run("erase", "--keep-recurring", typed=READER.upper())
    assert_cli_error(kept, "still gives regularly")
    assert audited(file) == []
    erased = run("erase", typed=READER.upper())
    assert erased.exit_code == 0
    assert "Ended 1 recurring pledge." in erased.stdout
    assert "Erased the supporter: 1 pledge, 1 reminder." in erased.stdout
    assert "Kept: Amounts, currencies, dates" in erased.stdout
    again = run("erase", typed=READER)
    assert "nothing to erase" in again.stdout
    assert "command line" not in again.stdout
    assert [entry.split()[0] for entry in audited(file)] == ["erase_reader", "erase_reader"]
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM supporters").fetchone() == (1,)
        statuses = connection.execute("SELECT status FROM pledges ORDER BY erased_at IS NULL").fetchall()
    assert statuses == [("cancelled",), ("active",)]
