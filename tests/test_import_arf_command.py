"""`mainstay suppressions import-arf`: one email, an mbox, a Maildir, and standard input."""

import mailbox
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.enums import SuppressionReason
from service.app import create_app
from service.bootstrap import build_container
from service.cli import cli
from service.db.session import session_keyring
from service.domain.email.suppression import suppressions_for
from service.domain.reminders.self_service import reminder_token
from service.gateways.email.renderer import EmailRenderer
from tests.api.client import only_reminder, post_reminder
from tests.cli import KEYS, assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.gateways.abuse_reports import abuse_report, plain_email
from tests.gateways.emails import reminder_email

READER = "reader@example.org"
STRANGERS = abuse_report(b"To: stranger@example.org\r\nMessage-ID: <1@mail.example>\r\n\r\ntext")

Run = Callable[..., Result]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a migrated SQLite file with the demo campaign."""
    file = tmp_path / "mainstay.db"
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    return file


@pytest.fixture
def report(database: Path) -> bytes:
    """Return a complaint about the email of a reminder to READER."""
    container = build_container(settings_for(f"sqlite:///{database}", SECRET_KEYS=KEYS))
    assert post_reminder(create_app(container).test_client()).status_code == 201
    with container.database.read_only() as session:
        token = reminder_token(session_keyring(session), only_reminder(container))
    email = reminder_email(to=READER, cancel_url=container.urls.unsubscribe_url(token))
    renderer = EmailRenderer("The Paper <support@paper.example>", container.clock)
    container.database.engine.dispose()
    return abuse_report(renderer.render(email).content)


@pytest.fixture
def run(database: Path) -> Run:
    """Return a function that runs the command."""

    def run(*arguments: str, typed: bytes | None = None) -> Result:
        settings = {"DATABASE_URL": f"sqlite:///{database}", "SECRET_KEYS": KEYS}
        result = CliRunner().invoke(cli, ["suppressions", "import-arf", *arguments], env=settings, input=typed)
        assert "example.org" not in result.output
        return result

    return run


def reasons(database: Path) -> list[SuppressionReason]:
    container = build_container(settings_for(f"sqlite:///{database}", SECRET_KEYS=KEYS))
    with container.database.read_only() as session:
        return [row.reason for row in suppressions_for(session, READER)]


def audited(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        query = "SELECT details FROM audit_log WHERE action = 'import_abuse_reports' ORDER BY id"
        return [details for (details,) in connection.execute(query)]


def write_mbox(path: Path, *messages: bytes) -> None:
    box = mailbox.mbox(path)
    for message in messages:
        box.add(message)
    box.close()


def test_one_email_is_imported_from_a_file_or_standard_input(
    run: Run, database: Path, report: bytes, tmp_path: Path
) -> None:
    (tmp_path / "report.eml").write_bytes(report)
    for result in (run(str(tmp_path / "report.eml")), run("-", typed=report)):
        assert result.exit_code == 0
        expected = "1 message read: 1 complaint about an email of ours, 0 about no email known here.\n"
        assert result.stdout == expected
    assert reasons(database) == [SuppressionReason.COMPLAINT]
    assert audited(database) == ['{"messages": 1, "complaints": 1, "unknown": 0}'] * 2


def test_mbox_and_maildir_are_imported(run: Run, database: Path, report: bytes, tmp_path: Path) -> None:
    messages = (plain_email("From here on"), STRANGERS, report, STRANGERS)
    write_mbox(tmp_path / "mbox", *messages)
    maildir = mailbox.Maildir(tmp_path / "maildir")
    for message in messages:
        maildir.add(message)
    typed = (tmp_path / "mbox").read_bytes()
    for result in (run(str(tmp_path / "mbox")), run(str(tmp_path / "maildir")), run("-", typed=typed)):
        expected = "4 messages read: 1 complaint about an email of ours, 2 about no email known here.\n"
        assert result.stdout == expected
    assert reasons(database) == [SuppressionReason.COMPLAINT]
    # Nothing of the mailboxes is changed.
    assert (tmp_path / "mbox").read_bytes() == typed
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 4


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\0", b"From nobody\n", STRANGERS, plain_email("Hello")])
def test_what_is_no_report_about_an_email_of_ours_changes_nothing(
    run: Run, database: Path, content: bytes
) -> None:
    result = run("-", typed=content)
    assert result.exit_code == 0
    assert " 0 complaints about an email of ours" in result.stdout
    assert reasons(database) == []


def test_long_import_tells_its_progress(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mbox").write_bytes(b"From a\n\nb\n\n" * 2000)
    result = run(str(tmp_path / "mbox"))
    assert result.stderr == "1000 messages read…\n2000 messages read…\n"
    assert result.stdout.startswith("2000 messages read: 0 complaints")


def test_what_cannot_be_read_is_an_error(run: Run, tmp_path: Path) -> None:
    assert_cli_error(run(str(tmp_path / "none")), "does not exist")
    assert_cli_error(run(str(tmp_path)), "is no Maildir: it has no folders cur and new.")
