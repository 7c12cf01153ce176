"""The job that reads abuse reports from a mailbox: whose complaint counts, and what is marked as read when."""

import dataclasses
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from jobs.abuse_reports import read_abuse_reports
from schemas.enums import SuppressionReason
from service.container import Container
from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.session import session_keyring
from service.domain.pledges.links import pledge_token
from service.domain.reminders.self_service import reminder_token
from service.domain.tokens import issue_token
from service.gateways.email.renderer import EmailRenderer
from service.gateways.imap import MAX_MESSAGE_BYTES
from tests.api.client import only_pledge, only_reminder, pay_pledge, post_pledge, post_reminder
from tests.api.email_webhook_payloads import READER, all_suppressions, suppressions_for
from tests.gateways.abuse_reports import abuse_report, plain_email
from tests.gateways.certificates import make_server_context
from tests.gateways.emails import reminder_email
from tests.gateways.imap_server import ImapTestServer, serve_imap
from tests.gateways.notifications import RECEIPT, notification
from tests.processes import free_port

ARF = b"Content-Type: multipart/report; report-type=feedback-report"
MALFORMED_PARTS = (
    b"; boundary=a\r\n\r\n--a\r\nContent-Type: message/feedback-report\r\n\r\n\r\n\r\n--a\r\n"
    b"Content-Type: text/rfc822-headers; charset=x\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n--a--"
)
COMPLAINT = {"*": SuppressionReason.COMPLAINT}


@pytest.fixture
def imap(tmp_path: Path) -> Iterator[ImapTestServer]:
    """Run an IMAP server with an empty mailbox."""
    with serve_imap(tmp_path) as server:
        yield server


Read = Callable[..., dict[str, int] | None]


@pytest.fixture
def read(container: Container, imap: ImapTestServer) -> Read:
    """Return a function that puts messages into the mailbox and runs the job."""

    def read(*messages: bytes, **options: object) -> dict[str, int] | None:
        imap.messages += messages
        mailbox = imap.mailbox(**options)
        return read_abuse_reports(dataclasses.replace(container, report_mailbox=mailbox), threading.Event())

    return read


def render(container: Container, email: object) -> bytes:
    return EmailRenderer("The Paper <support@news.example>", container.clock).render(email).content


def reminder_to_reader(client: FlaskClient, container: Container) -> bytes:
    """Return the email of a new reminder to READER."""
    post_reminder(client, timezone="UTC")
    reminder = only_reminder(container)
    with container.database.read_only() as session:
        token = reminder_token(session_keyring(session), reminder)
    return render(container, reminder_email(to=READER, cancel_url=container.urls.unsubscribe_url(token)))


def receipt_to_reader(client: FlaskClient, container: Container) -> bytes:
    """Return the receipt of a new pledge of READER."""
    pay_pledge(container, post_pledge(client).json["id"], email=READER)
    with container.database.read_only() as session:
        token = pledge_token(session_keyring(session), only_pledge(container), now=container.clock())
    page_url = container.urls.manage_pledge_url(token)
    return render(container, notification(to=READER, page_url=page_url, **RECEIPT))


@pytest.mark.parametrize(
    "content_type",
    [
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
    ],
)
def test_complaint_about_a_reminder_suppresses_its_reader(
    client: FlaskClient, container: Container, read: Read, content_type: str
) -> None:
    report = abuse_report(reminder_to_reader(client, container), content_type=content_type)
    assert read(report) == {"messages": 1, "complaints": 1, "unknown": 0}
    assert suppressions_for(container) == COMPLAINT
    assert len(all_suppressions(container)) == 1


def test_complaint_about_a_receipt_suppresses_its_reader(
    client: FlaskClient, container: Container, read: Read
) -> None:
    assert read(abuse_report(receipt_to_reader(client, container))) == {
        "messages": 1,
        "complaints": 1,
        "unknown": 0,
    }
    assert suppressions_for(container) == COMPLAINT


def test_report_never_suppresses_an_address_that_it_names(
    client: FlaskClient, container: Container, read: Read
) -> None:
    original = reminder_to_reader(client, container).replace(READER.encode(), b"victim@example.org")
    assert read(abuse_report(original, recipient="victim@example.org"))["complaints"] == 1
    assert suppressions_for(container, "victim@example.org") == {}
    assert suppressions_for(container) == COMPLAINT


@pytest.mark.parametrize("feedback_type", ["abuse", "Abuse", "fraud", "virus", "other", "something-new", ""])
def test_complaint_of_any_kind_counts(
    client: FlaskClient, container: Container, read: Read, feedback_type: str
) -> None:
    read(abuse_report(reminder_to_reader(client, container), feedback_type=feedback_type))
    assert suppressions_for(container) == COMPLAINT


@pytest.mark.parametrize("feedback_type", ["not-spam", "Not-Spam", "auth-failure", "dmarc"])
def test_report_that_is_no_complaint_changes_nothing(
    client: FlaskClient, container: Container, read: Read, feedback_type: str
) -> None:
    report = abuse_report(reminder_to_reader(client, container), feedback_type=feedback_type)
    assert read(report) == {"messages": 1, "complaints": 0, "unknown": 0}
    assert all_suppressions(container) == []


@pytest.mark.parametrize(
    "report_type", [None, "delivery-status", "disposition-notification", "feedback-report-2"], ids=str
)
def test_other_report_changes_nothing(
    client: FlaskClient, container: Container, read: Read, report_type: str | None
) -> None:
    report = abuse_report(reminder_to_reader(client, container), report_type=report_type)
    assert read(report) == {"messages": 1, "complaints": 0, "unknown": 0}
    assert all_suppressions(container) == []


def test_email_of_a_person_with_the_link_in_it_changes_nothing(
    client: FlaskClient, container: Container, read: Read
) -> None:
    original = reminder_to_reader(client, container)
    assert read(original, plain_email(original.decode())) == {"messages": 2, "complaints": 0, "unknown": 0}
    assert all_suppressions(container) == []


def forged(container: Container, subject: uuid.UUID) -> dict[str, str]:
    """Return tokens for a subject that we did not issue so: by another key, for another purpose, expired."""
    now, keyring = container.clock(), Keyring(container.settings.secret_keys)
    other_keys = Keyring(("another-key-that-is-long-enough-0123456789",))
    later, earlier = now.replace(year=now.year + 1), now.replace(year=now.year - 1)
    return {
        "another key": issue_token(other_keys, purpose="reminder", subject=subject, expires_at=later),
        "another purpose": issue_token(keyring, purpose="pledge", subject=subject, expires_at=later),
        "expired": issue_token(keyring, purpose="reminder", subject=subject, expires_at=earlier),
        "unknown reminder": issue_token(keyring, purpose="reminder", subject=uuid.uuid4(), expires_at=later),
        "letters": "a" * 72,
    }


def test_forged_report_changes_nothing(client: FlaskClient, container: Container, read: Read) -> None:
    original = reminder_to_reader(client, container)
    reminder = only_reminder(container)
    with container.database.read_only() as session:
        token = reminder_token(session_keyring(session), reminder).encode()
    tokens = forged(container, reminder.id)
    reports = [abuse_report(original.replace(token, other.encode())) for other in tokens.values()]
    # The Message-ID, which replies quote, is no proof either.
    message_id = f"<reminder-{reminder.id}-{reminder.occurrence}@{container.urls.host}>"
    reports.append(abuse_report(f"Message-ID: {message_id}\r\nTo: {READER}\r\n\r\ntext".encode()))
    # The token counts where an email of ours has it, and not in the report itself.
    reports.append(abuse_report(b"To: a@b\r\n\r\n" + token, recipient=f"/v1/reminders/{token.decode()}/cancel"))
    assert read(*reports) == {"messages": 7, "complaints": 0, "unknown": 7}
    assert all_suppressions(container) == []


def test_report_about_a_deleted_reminder_changes_nothing(
    client: FlaskClient, container: Container, read: Read
) -> None:
    report = abuse_report(reminder_to_reader(client, container))
    with container.database.transaction() as session:
        session.execute(delete(Reminder))
    assert read(report) == {"messages": 1, "complaints": 0, "unknown": 1}


def test_report_about_a_pledge_without_supporter_changes_nothing(
    client: FlaskClient, container: Container, read: Read
) -> None:
    report = abuse_report(receipt_to_reader(client, container))
    with container.database.transaction() as session:
        session.get_one(Pledge, only_pledge(container).id).supporter_id = None
    assert read(report) == {"messages": 1, "complaints": 0, "unknown": 1}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"\xff\xfe\0" * 100,
        ARF + b"\r\n\r\n",
        ARF + b"; boundary=a\r\n\r\n--a\r\n",
        b"Content-Type: multipart/report; report-type*0*=utf-8''feedback%2; report-type*1=report\r\n\r\n",
        ARF + MALFORMED_PARTS,
        b"Content-Type: message/rfc822\r\n\r\n" * 3000,
        b"".join(ARF + b"; boundary=%d\r\n\r\n--%d\r\n" % (number, number) for number in range(2000)),
    ],
    ids=range(9),
)
def test_malformed_message_does_not_stop_the_ones_after_it(
    client: FlaskClient, container: Container, imap: ImapTestServer, read: Read, message: bytes
) -> None:
    assert read(message, abuse_report(reminder_to_reader(client, container)))["complaints"] == 1
    assert suppressions_for(container) == COMPLAINT
    assert 2 in imap.seen


def test_every_truncation_of_a_report_is_read(client: FlaskClient, container: Container, read: Read) -> None:
    report = abuse_report(reminder_to_reader(client, container))
    counts = read(*(report[:length] for length in range(1, len(report), 97)))
    assert counts is not None
    assert counts["messages"] == len(range(1, len(report), 97))


def test_large_message_is_cut_off(
    client: FlaskClient, container: Container, imap: ImapTestServer, read: Read
) -> None:
    original = reminder_to_reader(client, container) + b"x" * 2 * MAX_MESSAGE_BYTES
    assert read(abuse_report(original))["complaints"] == 1
    assert imap.seen == {1}


def test_messages_are_read_once(
    client: FlaskClient, container: Container, imap: ImapTestServer, read: Read
) -> None:
    report = abuse_report(reminder_to_reader(client, container))
    assert read(report, report, plain_email("Hello")) == {"messages": 3, "complaints": 2, "unknown": 0}
    assert imap.seen == {1, 2, 3}
    assert read() == {"messages": 0, "complaints": 0, "unknown": 0}
    assert imap.commands.count("FETCH") == 3
    assert imap.commands[-1] == "LOGOUT"


def test_message_is_marked_as_read_only_after_the_commit(
    client: FlaskClient, container: Container, imap: ImapTestServer, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> bool:
        raise RuntimeError("the database is away")

    report = abuse_report(reminder_to_reader(client, container))
    with monkeypatch.context() as patch:
        patch.setattr("jobs.abuse_reports.apply_abuse_report", fail)
        with pytest.raises(RuntimeError):
            read(report)
    assert imap.seen == set()
    assert imap.commands[-1] == "LOGOUT"
    assert read() == {"messages": 1, "complaints": 1, "unknown": 0}
    assert imap.seen == {1}


@pytest.mark.parametrize("command", ["CAPABILITY", "AUTHENTICATE", "SELECT", "SEARCH", "FETCH", "STORE"])
def test_lost_connection_loses_no_report(
    client: FlaskClient,
    container: Container,
    imap: ImapTestServer,
    read: Read,
    command: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    imap.breaks_at = command
    assert read(abuse_report(reminder_to_reader(client, container)))["messages"] == 0
    assert imap.seen == set()
    assert "report_mailbox_away" in "".join(capfd.readouterr())
    imap.breaks_at = None
    assert read() == {"messages": 1, "complaints": 1, "unknown": 0}
    assert suppressions_for(container) == COMPLAINT


@pytest.mark.parametrize("command", ["CAPABILITY", "SELECT", "FETCH", "STORE"])
def test_silent_server_holds_the_job_for_one_time_limit(
    imap: ImapTestServer, read: Read, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    imap.hangs_at = command
    assert read(plain_email("Hello"), timeout_seconds=0.5)["messages"] == 0
    assert "report_mailbox_away" in "".join(capfd.readouterr())


def test_login_without_plain_authentication(imap: ImapTestServer, read: Read) -> None:
    imap.offers_plain, imap.password = False, 'pass"word\\'
    assert read(plain_email("Hello"), password=imap.password)["messages"] == 1
    assert "LOGIN" in imap.commands


@pytest.mark.parametrize(
    "parts",
    [{"password": "wrong"}, {"user": "wrong"}, {"folder": "Other"}],
    ids=str,
)
@pytest.mark.parametrize("offers_plain", [True, False])
def test_refused_login_is_an_error_for_a_person(
    imap: ImapTestServer, read: Read, parts: dict[str, str], offers_plain: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    imap.offers_plain = offers_plain
    if not offers_plain:
        imap.password = "password"
        parts = {"password": "password"} | parts
    assert read(plain_email("Hello"), **parts)["messages"] == 0
    output = "".join(capfd.readouterr())
    assert "report_mailbox_refuses_us" in output
    # The server's answer names the account.
    for secret in ("example", "wrong", "password"):
        assert secret not in output


def test_password_that_login_cannot_send_is_an_error_for_a_person(
    imap: ImapTestServer, read: Read, capfd: pytest.CaptureFixture[str]
) -> None:
    imap.offers_plain = False
    read(password="pässword")
    assert "report_mailbox_refuses_us" in "".join(capfd.readouterr())


def test_untrusted_certificate_is_an_error_for_a_person(
    imap: ImapTestServer, read: Read, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    _, imap.trusted = make_server_context(tmp_path / "other")
    assert read(plain_email("Hello"))["messages"] == 0
    assert "report_mailbox_refuses_us" in "".join(capfd.readouterr())
    assert "AUTHENTICATE" not in imap.commands


def test_server_that_is_away_is_tried_again(
    imap: ImapTestServer, read: Read, capfd: pytest.CaptureFixture[str]
) -> None:
    imap.port = free_port()
    assert read()["messages"] == 0
    assert "report_mailbox_away" in "".join(capfd.readouterr())


def test_job_stops_between_two_messages(container: Container, imap: ImapTestServer) -> None:
    imap.messages += [plain_email("Hello")] * 3
    stop = threading.Event()
    stop.set()
    counts = read_abuse_reports(dataclasses.replace(container, report_mailbox=imap.mailbox()), stop)
    assert counts == {"messages": 1, "complaints": 0, "unknown": 0}
    assert imap.seen == {1}


def test_job_does_nothing_without_a_mailbox(container: Container) -> None:
    assert container.report_mailbox is None
    assert read_abuse_reports(container, threading.Event()) is None


def test_report_is_not_logged(
    client: FlaskClient, container: Container, read: Read, capfd: pytest.CaptureFixture[str]
) -> None:
    original = reminder_to_reader(client, container)
    capfd.readouterr()
    read(abuse_report(original), abuse_report(b"To: stranger@example.org\r\n\r\n"))
    output = "".join(capfd.readouterr())
    assert "abuse_reports_read" in output
    for secret in ("example", "reader", "/v1/reminders"):
        assert secret not in output
