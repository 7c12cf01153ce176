"""The SMTP mailer against a real server: one connection, every kind of refusal, TLS, no address in an error."""

import contextlib
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from service.desk import utc_now
from service.domain.ports import MailDelayed, MailRefused
from service.gateways.letters import LetterWriter
from service.gateways.smtp import SmtpMailer
from tests.conftest import settings_for
from tests.gateways.certificates import make_server_context
from tests.gateways.letters import letter
from tests.gateways.sink import Sink
from tests.processes import free_port, wait_until

ADDRESS = "reader@news.example"


@pytest.fixture
def mailer_to() -> Iterator[Callable[[str], SmtpMailer]]:
    with contextlib.ExitStack() as open_mailers:

        def make(url: str) -> SmtpMailer:
            server = settings_for("sqlite://", MAIL_URL=url).mail.server
            assert server is not None
            mailer = SmtpMailer(server, LetterWriter("The Paper <support@paper.example>", utc_now))
            open_mailers.callback(mailer.close)
            return mailer

        yield make


def test_two_hundred_mails_leave_over_one_connection(mailer_to) -> None:
    with Sink() as sink:
        mailer = mailer_to(sink.url)
        for number in range(200):
            mailer.send(letter(message_id=f"<{number}@desk.test>", to=f"reader-{number}@news.example"))
        assert sink.connections == 1
        assert sink.ids() == [f"<{number}@desk.test>" for number in range(200)]
        assert sink.recipients == [f"reader-{number}@news.example" for number in range(200)]


def test_a_mailer_that_was_closed_opens_a_new_connection(mailer_to) -> None:
    with Sink() as sink:
        mailer = mailer_to(sink.url)
        for _ in range(2):
            mailer.send(letter())
            mailer.close()
            mailer.close()
        assert (sink.connections, len(sink.mails)) == (2, 2)


def test_a_connection_that_the_server_dropped_while_idle_is_opened_again(mailer_to) -> None:
    with Sink(idle_seconds=0.2) as sink:
        mailer = mailer_to(sink.url)
        mailer.send(letter())
        # The server says 421 and closes; both wait in the socket until the next mail looks.
        wait_until(lambda: _has_ended(mailer), what="the server to end the connection")
        mailer.send(letter())
        assert (sink.connections, len(sink.mails)) == (2, 2)


def _has_ended(mailer: SmtpMailer) -> bool:
    # What the server said waits in the socket.
    return bool(select.select([mailer._connection.sock], [], [], 0)[0])


@pytest.mark.parametrize("reply", ["450 4.2.1 Mailbox busy", "451 4.3.0 Try again later", "421 4.3.2 Going away"])
def test_a_4xx_for_the_recipient_means_later(mailer_to, reply: str) -> None:
    with Sink() as sink:
        sink.answer_recipient = lambda _: reply
        mailer = mailer_to(sink.url)
        with pytest.raises(MailDelayed, match=reply[:3]) as caught:
            mailer.send(letter())
        assert ADDRESS not in str(caught.value)
        sink.answer_recipient = lambda _: "250 OK"
        mailer.send(letter())
        assert len(sink.mails) == 1


@pytest.mark.parametrize("reply", ["550 5.1.1 No such reader@news.example", "553 5.1.3 Bad address"])
def test_a_5xx_for_the_recipient_means_never(mailer_to, reply: str) -> None:
    with Sink() as sink:
        sink.answer_recipient = lambda address: reply if address == ADDRESS else "250 OK"
        mailer = mailer_to(sink.url)
        with pytest.raises(MailRefused, match=reply[:3]) as caught:
            mailer.send(letter())
        assert ADDRESS not in str(caught.value)
        mailer.send(letter(to="other@news.example"))
        assert (sink.connections, sink.recipients) == (1, ["other@news.example"])


@pytest.mark.parametrize(("reply", "error"), [("451 4.7.1 Later", MailDelayed), ("554 5.7.1 Never", MailRefused)])
def test_the_final_reply_tells_later_from_never(mailer_to, reply: str, error: type[Exception]) -> None:
    with Sink() as sink:
        sink.answer_data = lambda _: reply
        with pytest.raises(error, match=reply[:3]):
            mailer_to(sink.url).send(letter())


def test_a_server_that_is_not_there_means_later(mailer_to) -> None:
    with pytest.raises(MailDelayed, match="ConnectionRefusedError"):
        mailer_to(f"smtp://127.0.0.1:{free_port()}?tls=none").send(letter())


def test_a_server_that_hangs_up_in_the_middle_means_later_and_the_next_mail_leaves(mailer_to) -> None:
    with Sink() as sink:
        mailer = mailer_to(sink.url)
        sink.hangs_up = True
        with pytest.raises(MailDelayed, match="SMTPServerDisconnected"):
            mailer.send(letter())
        sink.hangs_up = False
        sink.mails.clear()
        mailer.send(letter())
        assert len(sink.mails) == 1


# The sink takes passwords without TLS on purpose, and its library warns each time.
plain_login = pytest.mark.filterwarnings("ignore:Requiring AUTH")


@plain_login
def test_login_with_the_name_and_password_of_mail_url(mailer_to) -> None:
    name, password = "desk@paper.example", "p:a/s s@w%rd"
    with Sink(login=(name, password)) as sink:
        url = f"smtp://{quote(name, safe='')}:{quote(password, safe='')}@127.0.0.1:{sink.port}?tls=none"
        mailer_to(url).send(letter())
        assert len(sink.mails) == 1


@plain_login
@pytest.mark.parametrize("password", ["wrong", "wröng"])
def test_a_login_that_fails_means_later_and_never_blames_the_reader(mailer_to, password: str) -> None:
    with Sink(login=("desk", "right")) as sink:
        mailer = mailer_to(f"smtp://desk:{quote(password)}@127.0.0.1:{sink.port}?tls=none")
        with pytest.raises(MailDelayed) as caught:
            mailer.send(letter())
        assert password not in str(caught.value)


def test_a_server_without_the_login_or_the_encryption_that_we_want_means_later(mailer_to) -> None:
    with Sink() as sink:
        for url in (f"smtp://127.0.0.1:{sink.port}?tls=starttls", f"smtp://desk:x@127.0.0.1:{sink.port}?tls=none"):
            with pytest.raises(MailDelayed):
                mailer_to(url).send(letter())
        assert sink.mails == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_with_a_server_that_we_trust(
    mailer_to, tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = make_server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with Sink(**{"implicit_tls" if tls == "implicit" else "starttls": context}) as sink:
        mailer = mailer_to(f"smtp://127.0.0.1:{sink.port}?tls={tls}")
        mailer.send(letter())
        mailer.send(letter())
        assert sink.over_tls == [True, True]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_nothing_is_sent_to_a_server_whose_certificate_nobody_vouches_for(
    mailer_to, tls: str, tmp_path: Path
) -> None:
    context, _ = make_server_context(tmp_path)
    with Sink(**{"implicit_tls" if tls == "implicit" else "starttls": context}) as sink:
        with pytest.raises(MailDelayed, match="SSLCertVerificationError"):
            mailer_to(f"smtp://127.0.0.1:{sink.port}?tls={tls}").send(letter())
        assert sink.mails == []


def test_a_domain_in_another_script_is_addressed_in_ascii(mailer_to) -> None:
    with Sink() as sink:
        mailer_to(sink.url).send(letter(to="leser@xn--bcher-kva.example"))
        assert sink.recipients == ["leser@xn--bcher-kva.example"]
        assert sink.mails[0]["To"] == "leser@xn--bcher-kva.example"


def test_a_name_in_another_script_reaches_a_server_that_takes_it(mailer_to) -> None:
    with Sink() as sink:
        mailer_to(sink.url).send(letter(to="jürgen@xn--bcher-kva.example"))
        assert sink.recipients == ["jürgen@xn--bcher-kva.example"]


def test_a_name_in_another_script_is_refused_where_the_server_cannot_take_it(mailer_to) -> None:
    with Sink() as sink:
        sink._options["enable_SMTPUTF8"] = False
        with pytest.raises(MailRefused, match="international"):
            mailer_to(sink.url).send(letter(to="jürgen@xn--bcher-kva.example"))
