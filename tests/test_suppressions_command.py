"""`mainstay suppressions`: list, check and lift."""

import datetime
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.enums import SuppressionReason
from service.bootstrap import build_container
from service.cli import cli
from service.db.models.email import ALL_CAMPAIGNS
from service.domain.email.suppression import suppress
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import settings_for

READER, OTHER = "reader@news.example", "other@news.example"
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a migrated SQLite file with a bounce, a complaint and an unsubscribe."""
    file = tmp_path / "mainstay.db"
    url = f"sqlite:///{file}"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    container = build_container(settings_for(url, SECRET_KEYS=KEYS))
    with container.database.transaction() as session:
        suppressions = [
            (READER, SuppressionReason.COMPLAINT, ALL_CAMPAIGNS),
            (READER, SuppressionReason.UNSUBSCRIBE, "default"),
            (OTHER, SuppressionReason.HARD_BOUNCE, ALL_CAMPAIGNS),
        ]
        for minutes, (address, reason, scope) in enumerate(suppressions):
            suppress(session, address, reason=reason, now=NOON + datetime.timedelta(minutes=minutes), scope=scope)
    container.database.engine.dispose()
    return file


@pytest.fixture
def run(file: Path) -> Run:
    def run(*arguments: str, typed: str | None = None) -> Result:
        settings = {"DATABASE_URL": f"sqlite:///{file}", "SECRET_KEYS": KEYS}
        result = CliRunner().invoke(cli, ["suppressions", *arguments], env=settings, input=typed)
        assert "news.example" not in result.output
        return result

    return run


def audited(file: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(file) as connection:
        return list(connection.execute("SELECT action, details FROM audit_log ORDER BY id"))


def test_list_shows_scope_reason_and_time(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[1:] for line in lines] == [
        ["*", "complaint", "2026-11-23T12:00:00Z"],
        ["default", "unsubscribe", "2026-11-23T12:01:00Z"],
        ["*", "hard_bounce", "2026-11-23T12:02:00Z"],
    ]
    # Rows of the same address have the same hash prefix.
    assert lines[0][0] == lines[1][0] != lines[2][0]
    assert result.stderr == "3 in all.\n"


def test_list_filters_by_reason(run: Run) -> None:
    result = run("list", "--reason", "complaint")
    assert [line.split()[2] for line in result.stdout.splitlines()] == ["complaint"]
    assert result.stderr == "1 in all.\n"
    assert run("list", "--reason", "erasure").stdout == ""
    assert_cli_error(run("list", "--reason", "boredom"), "complaint", "hard_bounce")


@pytest.mark.parametrize(
    ("address", "typed"), [(READER, None), ("-", f"{READER}\n"), (" Reader@NEWS.example ", None)]
)
def test_check_shows_suppressions_of_address(run: Run, file: Path, address: str, typed: str | None) -> None:
    result = run("check", address, typed=typed)
    assert result.exit_code == 0
    assert [line.split()[1:3] for line in result.stdout.splitlines()] == [
        ["*", "complaint"],
        ["default", "unsubscribe"],
    ]
    assert audited(file) == [("check_suppression", '{"found": 2}')]


def test_check_reports_unsuppressed_address(run: Run) -> None:
    assert run("check", "free@news.example").stdout == "Not suppressed.\n"


def test_lift_allows_email_again(run: Run, file: Path) -> None:
    assert run("lift", "-", typed=READER).stdout == "Lifted 2 suppressions.\n"
    assert run("check", READER).stdout.startswith("Not suppressed")
    assert len(run("list").stdout.splitlines()) == 1
    assert audited(file)[0] == ("lift_suppression", '{"lifted": 2, "scope": null}')


def test_lift_can_be_limited_to_scope(run: Run) -> None:
    assert run("lift", READER, "--scope", "default").stdout == "Lifted 1 suppression.\n"
    assert "complaint" in run("check", READER).stdout
    assert_cli_error(run("lift", READER, "--scope", "default"), "Not suppressed", "'default'")


def test_lift_of_missing_suppression_is_rejected_and_not_audited(run: Run, file: Path) -> None:
    assert_cli_error(run("lift", "free@news.example"), "Not suppressed.")
    assert audited(file) == []


@pytest.mark.parametrize("command", ["check", "lift"])
@pytest.mark.parametrize("typed", ["", "\n", "nobody\n"])
def test_invalid_address_is_rejected(run: Run, file: Path, command: str, typed: str) -> None:
    assert_cli_error(run(command, "-", typed=typed), "email address")
    assert_cli_error(run(command, "nobody"), "email address")
    assert_cli_error(run(command))
    assert audited(file) == []


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["lift"]], ids=" ".join)
def test_each_suppressions_command_has_help(command: list[str]) -> None:
    result = run_cli("suppressions", *command, "--help", DATABASE_URL="nonsense")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
