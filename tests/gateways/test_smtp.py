"""The SMTP mailer against a real server: connection reuse, login, TLS and international addresses."""

from pathlib import Path
from urllib.parse import quote

import pytest

from service.db.clock import utc_now
from service.domain.ports import PermanentFailure, RenderedEmail, ServerMisconfigured, ServerUnavailable
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp import SmtpMailer
from tests.conftest import settings_for
from tests.gateways.certificates import make_server_context
from tests.gateways.emails import reminder_email, send
from tests.gateways.smtp_server import SmtpTestServer
from tests.processes import wait_until


def test_connection_is_reused_for_many_emails(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        for number in range(200):
            send(mailer, message_id=f"<{number}@desk.test>", to=f"reader-{number}@news.example")
        assert sink.connections == 1
        assert sink.ids() == [f"<{number}@desk.test>" for number in range(200)]
        assert sink.recipients == [f"reader-{number}@news.example" for number in range(200)]


def test_connection_is_replaced_after_its_maximum_of_emails(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url, max_per_connection=3)
        for _ in range(7):
            send(mailer)
        assert (sink.connections, len(sink.mails)) == (3, 7)
        assert sink.commands.count("QUIT") == 2


def test_each_email_takes_three_commands(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        for _ in range(2):
            send(mailer)
        assert sink.commands == ["EHLO", *["MAIL", "RCPT", "DATA"] * 2]


def test_lines_with_leading_dots_arrive_unchanged(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        # SMTP ends a message at a line with a single dot.
        mail = mailer.render(reminder_email(texts={"mail_thanks": ".\n..\n.end\n."}))
        mailer.send(mail)
        assert sink.contents == [mail.content]


def test_unknown_error_replaces_the_connection(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        with pytest.raises(ValueError, match="line break"):
            mailer.send(RenderedEmail(message_id="<x@desk.test>", recipient="a@b.example\r\nx", content=b"x\r\n"))
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 2)


def test_send_returns_the_redacted_reply(mailer_to) -> None:
    with SmtpTestServer() as sink:
        sink.reply_to_data = lambda address: f"250 2.0.0 OK queued as 17 for <{address}>"
        assert send(mailer_to(sink.url)) == "250 2.0.0 OK queued as 17 for …"


def test_closed_mailer_reconnects(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        for _ in range(2):
            send(mailer)
            mailer.close()
            mailer.close()
        assert (sink.connections, len(sink.mails)) == (2, 2)


@pytest.mark.parametrize("opens", [False, True])
def test_connection_closed_while_idle_is_reopened(mailer_to, opens: bool) -> None:
    with SmtpTestServer(idle_seconds=0.2) as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        # The server sends 421 and closes; the mailer finds out with the next email.
        wait_until(lambda: sink.ended == 1, what="the server to end the connection")
        if opens:
            mailer.connect()
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 2)


def test_connect_reuses_an_open_connection(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        for _ in range(3):
            mailer.connect()
        assert (sink.connections, sink.commands) == (1, ["EHLO", "NOOP", "NOOP"])


# The server accepts passwords without TLS on purpose, and aiosmtpd warns each time.
plain_login = pytest.mark.filterwarnings("ignore:Requiring AUTH")


@plain_login
def test_login_uses_the_credentials_of_mail_url(mailer_to) -> None:
    name, password = "desk@paper.example", "p:a/s s@w%rd"
    with SmtpTestServer(login=(name, password)) as sink:
        url = f"smtp://{quote(name, safe='')}:{quote(password, safe='')}@127.0.0.1:{sink.port}?tls=none"
        send(mailer_to(url))
        assert len(sink.mails) == 1


@plain_login
@pytest.mark.parametrize("password", ["wrong", "wröng"])
def test_failed_login_means_misconfigured(mailer_to, password: str) -> None:
    with SmtpTestServer(login=("desk", "right")) as sink:
        mailer = mailer_to(f"smtp://desk:{quote(password)}@127.0.0.1:{sink.port}?tls=none")
        for begin in (mailer.connect, lambda: send(mailer)):
            with pytest.raises(ServerMisconfigured) as caught:
                begin()
            assert password not in str(caught.value)


@plain_login
def test_temporary_login_failure_means_unavailable(mailer_to) -> None:
    with SmtpTestServer(login=("desk", "right")) as sink:
        sink.replies["AUTH"] = "454 4.7.0 Temporary authentication failure"
        with pytest.raises(ServerUnavailable, match="454") as caught:
            mailer_to(f"smtp://desk:right@127.0.0.1:{sink.port}?tls=none").connect()
        assert not isinstance(caught.value, ServerMisconfigured)


@plain_login
def test_required_login_without_credentials_means_misconfigured(mailer_to) -> None:
    with SmtpTestServer(login=("desk", "right")) as sink, pytest.raises(ServerMisconfigured, match="530"):
        send(mailer_to(sink.url))


def test_missing_tls_or_login_support_means_misconfigured(mailer_to) -> None:
    with SmtpTestServer() as sink:
        for url in (f"smtp://127.0.0.1:{sink.port}?tls=starttls", f"smtp://desk:x@127.0.0.1:{sink.port}?tls=none"):
            with pytest.raises(ServerMisconfigured):
                send(mailer_to(url))
        assert sink.mails == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_with_a_trusted_certificate(
    mailer_to, tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = make_server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with SmtpTestServer(**{"implicit_tls" if tls == "implicit" else "starttls": context}) as sink:
        mailer = mailer_to(f"smtp://127.0.0.1:{sink.port}?tls={tls}", max_per_connection=1)
        send(mailer)
        send(mailer)
        assert sink.over_tls == [True, True]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_untrusted_certificate_means_misconfigured(mailer_to, tls: str, tmp_path: Path) -> None:
    context, _ = make_server_context(tmp_path)
    with SmtpTestServer(**{"implicit_tls" if tls == "implicit" else "starttls": context}) as sink:
        with pytest.raises(ServerMisconfigured, match="certificate"):
            send(mailer_to(f"smtp://127.0.0.1:{sink.port}?tls={tls}"))
        assert sink.mails == []


def test_temporary_tls_failure_means_unavailable(mailer_to, tmp_path: Path) -> None:
    context, _ = make_server_context(tmp_path)
    with SmtpTestServer(starttls=context) as sink:
        sink.replies["STARTTLS"] = "454 4.7.0 TLS not available due to temporary reason"
        with pytest.raises(ServerUnavailable, match="454") as caught:
            mailer_to(f"smtp://127.0.0.1:{sink.port}?tls=starttls").connect()
        assert not isinstance(caught.value, ServerMisconfigured)


def test_international_domain_is_sent_in_ascii(mailer_to) -> None:
    with SmtpTestServer() as sink:
        send(mailer_to(sink.url), to="leser@xn--bcher-kva.example")
        assert sink.recipients == ["leser@xn--bcher-kva.example"]
        assert sink.mails[0]["To"] == "leser@xn--bcher-kva.example"


def test_international_local_part_uses_smtputf8(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        for address in ("jürgen@xn--bcher-kva.example", "reader@news.example"):
            send(mailer, to=address)
        assert sink.recipients == ["jürgen@xn--bcher-kva.example", "reader@news.example"]
        assert sink.mails[0]["To"] == "jürgen@xn--bcher-kva.example"


def test_international_local_part_fails_alone_without_smtputf8(mailer_to) -> None:
    with SmtpTestServer(supports_smtputf8=False) as sink:
        mailer = mailer_to(sink.url)
        with pytest.raises(PermanentFailure, match="international") as caught:
            send(mailer, to="jürgen@xn--bcher-kva.example")
        assert not caught.value.is_hard_bounce
        send(mailer)
        assert sink.recipients == ["reader@news.example"]


def test_international_sender_requires_smtputf8(mailer_to) -> None:
    sender = "Zeitung <grüße@paper.example>"
    with (
        SmtpTestServer(supports_smtputf8=False) as sink,
        pytest.raises(ServerMisconfigured, match="international"),
    ):
        send(mailer_to(sink.url, sender=sender))
    with SmtpTestServer() as sink:
        send(mailer_to(sink.url, sender=sender))
        assert sink.mails[0]["From"] == sender


def test_international_domain_of_the_sender_is_sent_in_ascii(mailer_to) -> None:
    with SmtpTestServer(supports_smtputf8=False) as sink:
        send(mailer_to(sink.url, sender="Zeitung <post@müller.example>"))
        assert sink.mails[0]["From"] == "Zeitung <post@xn--mller-kva.example>"


@pytest.mark.parametrize("supported", [True, False])
def test_mailer_reports_smtputf8_for_each_new_connection(supported: bool) -> None:
    reported: list[bool] = []
    with SmtpTestServer(supports_smtputf8=supported) as sink:
        server = settings_for("sqlite://", MAIL_URL=sink.url).mail.server
        renderer = EmailRenderer("The Paper <support@paper.example>", utc_now)
        mailer = SmtpMailer(server, renderer, per_connection=2, on_connect=reported.append)
        for _ in range(3):
            send(mailer)
        mailer.close()
    assert reported == [supported, supported]
