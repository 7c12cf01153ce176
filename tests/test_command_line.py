"""The `mainstay` command: its output, its errors and its effects."""

import csv
import dataclasses
import datetime
import io
import json
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import openpyxl
import pytest
import yaml
from click.testing import Result
from sqlalchemy import update

from service.bootstrap import build_container
from service.db.models.campaign import Campaign
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.db.factories import create_paid_pledge, create_reminder
from tests.processes import ROOT

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file that `mainstay migrate` created."""
    file = tmp_path_factory.mktemp("desk") / "mainstay.db"
    result = run_cli("migrate", DATABASE_URL=f"sqlite:///{file}")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Added the demo campaign 'default'.\nThe database is up to date.\n"
    return file


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    """Return a copy of that file for one test."""
    copy = tmp_path / "mainstay.db"
    with closing(sqlite3.connect(migrated_file)) as connection:
        # The newest rows may still be in the write-ahead log, so the file alone is incomplete.
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy


@pytest.fixture
def run(file: Path) -> Run:
    """Return a function that runs the command on that file."""
    return lambda *arguments, **environment: run_cli(*arguments, DATABASE_URL=f"sqlite:///{file}", **environment)


def ask(file: Path, question: str) -> list[tuple]:
    """Return rows of the file, read without the service."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(question).fetchall()


def test_migrate_is_idempotent(run: Run, file: Path) -> None:
    before = ask(file, "SELECT id, updated_at FROM campaigns")
    result = run("migrate")
    assert (result.exit_code, result.stdout) == (0, "The database is up to date.\n")
    assert ask(file, "SELECT id, updated_at FROM campaigns") == before


def test_new_token_is_the_only_output(run: Run, file: Path) -> None:
    result = run("token", "create", "--name", "desk", "--scope", "read", "--scope", "export")
    assert (result.exit_code, result.stderr) == (0, "")
    token = result.stdout.removesuffix("\n")
    assert len(token.split()) == 1
    assert len(token) > 40
    [(name, scopes, digest)] = ask(file, "SELECT name, scopes, token_hash FROM staff_tokens")
    assert (name, json.loads(scopes)) == ("desk", ["read", "export"])
    assert token.encode() not in digest
    listing = run("token", "list").stdout
    assert "desk  read, export" in listing
    assert token not in listing


@pytest.mark.parametrize(
    "options",
    [
        ["--scope", "read"],
        ["--name", "desk"],
        ["--name", "desk", "--scope", "everything"],
        ["--name", "", "--scope", "read"],
        ["--name", "  ", "--scope", "read"],
        ["--name", "n" * 121, "--scope", "read"],
    ],
)
def test_token_needs_name_and_known_scope(run: Run, file: Path, options: list[str]) -> None:
    assert_cli_error(run("token", "create", *options))
    assert ask(file, "SELECT name FROM staff_tokens") == []


def test_revoked_token_is_listed_as_revoked(run: Run) -> None:
    run("token", "create", "--name", "desk", "--scope", "read")
    result = run("token", "revoke", "--name", "desk")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Revoked the token" in result.stderr
    assert "revoked 20" in run("token", "list").stdout
    assert_cli_error(run("token", "revoke", "--name", "desk"), "no token in use", "desk")


def test_name_of_a_token_in_use_is_taken_until_it_is_revoked(run: Run, file: Path) -> None:
    create = ("token", "create", "--name", "desk", "--scope", "read")
    assert run(*create).exit_code == 0
    [(token_id,)] = ask(file, "SELECT id FROM staff_tokens")
    assert_cli_error(run(*create), "'desk' is in use", str(uuid.UUID(token_id)))
    assert run("token", "create", "--name", "Desk", "--scope", "read").exit_code == 0
    assert run("token", "revoke", "--name", "desk").exit_code == 0
    assert run(*create).exit_code == 0


def test_token_is_revoked_by_its_id(run: Run, file: Path) -> None:
    run("token", "create", "--name", "desk", "--scope", "read")
    run("token", "create", "--name", "other", "--scope", "read")
    listing = run("token", "list").stdout
    token_id = next(line.split()[0] for line in listing.splitlines() if " desk " in line)
    assert run("token", "revoke", token_id).exit_code == 0
    assert ask(file, "SELECT name FROM staff_tokens WHERE revoked_at IS NULL") == [("other",)]
    assert_cli_error(run("token", "revoke", token_id), "no token in use", token_id)
    assert_cli_error(run("token", "revoke", str(uuid.uuid4())), "no token in use")
    assert_cli_error(run("token", "revoke", "desk"), "not a valid UUID")
    for nonsense in ([], [token_id, "--name", "other"]):
        assert_cli_error(run("token", "revoke", *nonsense), "--name")


def test_name_of_two_tokens_revokes_neither_and_names_their_ids(run: Run, file: Path) -> None:
    """A release before allowed such tokens."""
    run("token", "create", "--name", "desk", "--scope", "read")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO staff_tokens (id, name, scopes, token_hash, created_at) "
            "SELECT lower(hex(randomblob(16))), name, scopes, randomblob(32), created_at FROM staff_tokens"
        )
    ids = [str(uuid.UUID(token_id)) for (token_id,) in ask(file, "SELECT id FROM staff_tokens")]
    assert len(ids) == 2
    assert_cli_error(run("token", "revoke", "--name", "desk"), "2 tokens", *ids)
    assert ask(file, "SELECT count(*) FROM staff_tokens WHERE revoked_at IS NULL") == [(2,)]
    assert run("token", "revoke", ids[0]).exit_code == 0
    assert run("token", "revoke", "--name", "desk").exit_code == 0


def test_listing_shows_id_scope_and_last_use(run: Run) -> None:
    empty = run("token", "list")
    assert (empty.stdout, "no token yet" in empty.stderr) == ("", True)
    run("token", "create", "--name", "desk", "--scope", "read", "--scope", "export")
    headings, row = run("token", "list").stdout.splitlines()
    assert headings.split("  ")[0] == "id"
    assert re.fullmatch(r"[0-9a-f-]{36}  desk  read, export  20\d\d-\d\d-\d\d  never +in use", row)


def test_shown_campaign_can_be_applied_unchanged(run: Run, tmp_path: Path) -> None:
    shown = run("campaign", "show").stdout
    campaign_file = tmp_path / "campaign.yaml"
    campaign_file.write_text(shown, encoding="utf-8")
    assert yaml.safe_load(shown)["slug"] == "default"
    assert "Эта газета" in shown
    assert run("campaign", "apply", str(campaign_file)).exit_code == 0
    assert run("campaign", "show", "default").stdout == shown


def test_applying_a_campaign_without_reminders_asks_what_becomes_of_those_that_wait(
    run: Run, file: Path, tmp_path: Path
) -> None:
    container = build_container(settings_for(f"sqlite:///{file}"))
    create_reminder(container, "reader@example.org")
    container.database.engine.dispose()
    campaign_file = tmp_path / "campaign.yaml"
    definition = yaml.safe_load(run("campaign", "show").stdout)
    definition["reminder"]["enabled"] = False
    campaign_file.write_text(yaml.safe_dump(definition), encoding="utf-8")
    refused = run("campaign", "apply", str(campaign_file))
    assert_cli_error(refused, "1 reminder waits", "--waiting keep", "--waiting cancel")
    assert yaml.safe_load(run("campaign", "show").stdout)["reminder"]["enabled"] is True
    assert run("campaign", "apply", str(campaign_file), "--waiting", "keep").exit_code == 0
    applied = run("campaign", "apply", str(campaign_file), "--waiting", "cancel")
    assert (applied.exit_code, "Reminders cancelled: 1." in applied.stderr) == (0, True)


def test_minimal_campaign_file_gets_defaults(run: Run, tmp_path: Path) -> None:
    campaign_file = tmp_path / "campaign.yaml"
    campaign_file.write_text(
        "slug: climate\nname: The Lantern\nheading: Warm\nmessage: |\n  One.\n\n  Two.\n", encoding="utf-8"
    )
    assert run("campaign", "apply", str(campaign_file)).exit_code == 0
    made = yaml.safe_load(run("campaign", "show", "climate").stdout)
    assert made["message"] == ["One.", "Two."]
    assert made["origins"] == ["*"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"slug: default\nheadin: x\n", ["headin", "did you mean 'heading'?"]),
        (
            b"slug: default\nname: A\nheading: B\nmessage: C\nreminders: {}\n",
            ["reminders", "did you mean 'reminder'?"],
        ),
        (b"slug: default\nname: A\nheading: B\nmessage: C\nsend_hour: 25\n", ["send_hour", "0 to 23"]),
        (
            b"slug: default\nname: A\nheading: B\nmessage: C\nfrequencies: [{frequency: once, minimum: true}]\n",
            ["line 5: frequencies: once: minimum: ", "minor units"],
        ),
        (
            b"slug: default\nname: A\nheading: B\nmessage: C\ntexts: {en: {continu: x}}\n",
            ["line 5: texts: en: continu: ", "did you mean 'continue'?"],
        ),
        (b"", ["campaign.yaml"]),
        (b"just words", ["campaign.yaml"]),
        (b"- a\n- list\n", ["campaign.yaml"]),
        (b"slug: [unclosed", ["not readable as YAML"]),
        (b"slug: !!python/object/apply:os.system ['true']", ["not readable as YAML"]),
        (b"\xff\xfe\x00", ["not readable as YAML"]),
    ],
    ids=lambda part: str(part)[:40],
)
def test_invalid_campaign_file_is_not_applied(
    run: Run, file: Path, tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    before = ask(file, "SELECT * FROM campaigns")
    campaign_file = tmp_path / "campaign.yaml"
    campaign_file.write_bytes(content)
    assert_cli_error(run("campaign", "apply", str(campaign_file)), *expected)
    assert ask(file, "SELECT * FROM campaigns") == before
    assert ask(file, "SELECT * FROM audit_log") == []


def test_missing_campaign_or_file_is_named(run: Run, tmp_path: Path) -> None:
    assert_cli_error(run("campaign", "show", "none"), 'No campaign "none"', "mainstay campaign list")
    assert_cli_error(run("campaign", "apply", str(tmp_path / "none.yaml")), "none.yaml")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_export_writes_file_and_audit_entry(run: Run, file: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / f"pledges.{kind}"
    result = run("export", "--format", kind, "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    if kind == "csv":
        [header] = csv.reader(io.StringIO(out.read_text(encoding="utf-8-sig")))
        assert header[0] == "id"
    elif kind == "jsonl":
        assert out.read_bytes() == b""
    else:
        assert openpyxl.load_workbook(out).active["A1"].value == "id"
    assert ask(file, "SELECT actor, action FROM audit_log") == [("command line", "export_pledges")]


def test_export_defaults_to_standard_output(run: Run) -> None:
    assert run("export").stdout_bytes.startswith(b"\xef\xbb\xbfid,created_at,")
    assert run("export", "--no-bom").stdout_bytes.startswith(b"id,created_at,")


def test_export_has_the_filters_of_the_api(run: Run, file: Path) -> None:
    container = build_container(settings_for(f"sqlite:///{file}"))
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(timezone="America/Los_Angeles"))
    # The evening of 25 November in Los Angeles.
    container = dataclasses.replace(
        container, clock=lambda: datetime.datetime(2026, 11, 26, 4, 30, tzinfo=datetime.UTC)
    )
    pledge_id = str(create_paid_pledge(container, "a@reader.example"))

    def export(*arguments: str) -> list[tuple[str, str, str]]:
        result = run("export", "--no-bom", *arguments)
        assert result.exit_code == 0, result.output
        rows = csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline=""))
        return [(row["id"], row["last_payment_at"], row["paid_total"]) for row in rows]

    local = [(pledge_id, "2026-11-25T20:30:00-08:00", "5.00")]
    day = ("--paid-from", "2026-11-25", "--paid-to", "2026-11-25")
    assert (
        export() == export(*day) == export("--created-from", "2026-11-25", "--created-to", "2026-11-25") == local
    )
    assert (
        export(*day, "--tz", "UTC") == export("--paid-from", "2026-11-26") == export("--status", "pending") == []
    )
    assert export("--tz", "UTC", "--paid-from", "2026-11-26") == [(pledge_id, "2026-11-26T04:30:00Z", "5.00")]
    assert export("--campaign", "none") == export("--frequency", "monthly") == []
    [*_, (details,)] = ask(file, "SELECT details FROM audit_log WHERE action = 'export_pledges' ORDER BY id")
    assert json.loads(details) == {"format": "csv", "frequency": "monthly"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--paid-from", "2026-11-26", "--paid-to", "2026-11-25"], ["--paid-to", "This is before paid_from."]),
        (["--created-from", "yesterday"], ["--created-from", "such as 2026-12-23"]),
        (["--tz", "Amsterdam"], ["--tz", "such as Europe/Amsterdam"]),
        (["--status", "paid"], ["--status", "active"]),
        (["--campaign", "No Slug"], ["--campaign", "lower-case"]),
    ],
)
def test_export_names_the_wrong_option(run: Run, file: Path, arguments: list[str], expected: list[str]) -> None:
    assert_cli_error(run("export", *arguments), *expected)
    assert ask(file, "SELECT * FROM audit_log") == []


def test_failed_export_keeps_existing_file(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "pledges.csv"
    out.write_text("yesterday's", encoding="utf-8")
    sqlite3.connect(tmp_path / "empty.db").close()
    result = run_cli("export", "--out", str(out), "--force", DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    assert_cli_error(result, "mainstay migrate")
    assert out.read_text(encoding="utf-8") == "yesterday's"


def test_command_runs_as_separate_process(file: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "service", "token", "create", "--name", "desk", "--scope", "read"],
        env={"DATABASE_URL": f"sqlite:///{file}", "SECRET_KEYS": KEYS},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert len(process.stdout.split()) == 1
