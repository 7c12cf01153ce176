"""SMTP failures at each step, and the error that each raises."""

import time

import pytest

from service.domain.ports import (
    EmailError,
    PermanentFailure,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)
from service.gateways.email import smtp_client, smtp_connection
from tests.gateways.emails import send
from tests.gateways.smtp_server import OK, SmtpTestServer
from tests.processes import free_port

ADDRESS = "reader@news.example"
UNAVAILABLE, TEMPORARY, UNCERTAIN, PERMANENT, MISCONFIGURED = (
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
    PermanentFailure,
    ServerMisconfigured,
)
# The steps whose reply can be set: the commands, and the whole email.
STEPS = ("MAIL", "RCPT", "DATA", "content")


def set_reply(sink: SmtpTestServer, step: str, reply: str) -> None:
    """Set the server's reply to one step."""
    if step == "content":
        sink.reply_to_data = lambda _: reply
    elif step == "greeting":
        sink.greeting = reply
    else:
        sink.replies[step] = reply


@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("greeting", "421 4.3.2 Too busy", UNAVAILABLE),
        ("greeting", "450 Later", UNAVAILABLE),
        ("greeting", "554 No mail from you", MISCONFIGURED),
        ("MAIL", "421 4.3.2 Going down", UNAVAILABLE),
        ("MAIL", "451 4.3.0 Later", UNAVAILABLE),
        ("MAIL", "452 4.3.1 Disk full", UNAVAILABLE),
        ("MAIL", "550 5.7.1 Not from you", MISCONFIGURED),
        ("MAIL", "530 5.7.0 Authentication required", MISCONFIGURED),
        ("RCPT", "421 4.3.2 Going down", UNAVAILABLE),
        ("RCPT", "450 4.2.1 reader@news.example is busy", TEMPORARY),
        ("RCPT", "452 4.2.2 Mailbox full", TEMPORARY),
        ("RCPT", "550 5.1.1 No such <reader@news.example>", PERMANENT),
        ("RCPT", "552 5.2.2 Mailbox full", PERMANENT),
        ("RCPT", "530 5.7.0 Authentication required", MISCONFIGURED),
        ("RCPT", "550 5.1.8 Sender's domain not found", MISCONFIGURED),
        ("DATA", "421 4.3.2 Going down", UNAVAILABLE),
        ("DATA", "451 4.3.0 Later", TEMPORARY),
        ("DATA", "554 5.5.1 No valid recipients", PERMANENT),
        ("DATA", "250 What?", UNAVAILABLE),
        ("content", "421 4.3.2 Going down", UNAVAILABLE),
        ("content", "451 4.7.1 Greylisted reader@news.example", TEMPORARY),
        ("content", "452 4.3.1 Disk full", TEMPORARY),
        ("content", "554 5.7.1 Spam to reader@news.example", PERMANENT),
        ("content", "354 What?", UNCERTAIN),
        ("content", "What?", UNCERTAIN),
    ],
)
def test_each_reply_at_each_step_raises_its_error(
    mailer_to, step: str, reply: str, error: type[EmailError]
) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        set_reply(sink, step, reply)
        with pytest.raises(error) as caught:
            send(mailer)
        assert type(caught.value) is error
        assert reply[:3] in str(caught.value) or reply == "What?"
        assert ADDRESS not in str(caught.value)
        # The next email is sent, over the same connection if the server kept it open.
        sink.replies.clear()
        sink.greeting, sink.reply_to_data = None, lambda _: OK
        send(mailer)
        assert len(sink.mails) == 1
        assert sink.connections == (
            1 if issubclass(error, TEMPORARY | PERMANENT) and error is not UNCERTAIN else 2
        )


@pytest.mark.parametrize("step", STEPS)
def test_lost_connection_is_uncertain_only_after_the_whole_email(mailer_to, step: str) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        sink.drops_connection = step == "content"
        sink.drop_at = {step}
        with pytest.raises(UNCERTAIN if step == "content" else UNAVAILABLE) as caught:
            send(mailer)
        assert type(caught.value) in (UNCERTAIN, UNAVAILABLE)
        sink.drops_connection, sink.drop_at = False, set()
        sink.mails.clear()
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 1)


@pytest.mark.parametrize("step", ["EHLO", *STEPS])
def test_slow_reply_times_out(mailer_to, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_client, "REPLY_TIMEOUT", 1.5)
    with SmtpTestServer() as sink:
        sink.stall_seconds = 60 if step == "content" else 0
        # Ten bytes a second: each read succeeds in time, but the reply never ends.
        sink.trickle_at = {step}
        mailer = mailer_to(sink.url)
        started_at = time.monotonic()
        with pytest.raises(UNCERTAIN if step == "content" else UNAVAILABLE, match="TimeoutError"):
            send(mailer)
        assert time.monotonic() - started_at < 30


def test_421_to_ehlo_means_unavailable(mailer_to) -> None:
    with SmtpTestServer() as sink:
        sink.replies["EHLO"] = "421 4.3.2 Going down"
        with pytest.raises(UNAVAILABLE) as caught:
            mailer_to(sink.url).connect()
        assert type(caught.value) is UNAVAILABLE


def test_slow_quit_is_not_awaited(mailer_to, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_connection, "QUIT_TIMEOUT", 0.3)
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        sink.trickle_at = {"QUIT"}
        started_at = time.monotonic()
        mailer.close()
        assert time.monotonic() - started_at < 30


def test_refused_connection_means_unavailable(mailer_to) -> None:
    mailer = mailer_to(f"smtp://127.0.0.1:{free_port()}?tls=none")
    for begin in (mailer.connect, lambda: send(mailer)):
        with pytest.raises(UNAVAILABLE, match="ConnectionRefusedError"):
            begin()


@pytest.mark.parametrize("how", ["drop_at", "421"])
def test_connection_lost_before_an_email_is_replaced_once(mailer_to, how: str) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        if how == "421":
            sink.replies["MAIL"] = "421 4.3.2 Going down"
        else:
            sink.drop_at = {"MAIL"}
        with pytest.raises(UNAVAILABLE):
            send(mailer)
        assert sink.connections == 2
        with pytest.raises(UNAVAILABLE):
            send(mailer)
        assert sink.connections == 3


def test_connection_that_fails_to_reset_is_replaced(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        set_reply(sink, "RCPT", "450 4.2.1 Busy")
        sink.drop_at = {"RSET"}
        with pytest.raises(TEMPORARY):
            send(mailer)
        sink.replies.clear()
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 1)


def test_rejected_international_address_affects_its_own_email_only(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        sink.replies["MAIL"] = "550 5.6.7 No such letters here"
        with pytest.raises(PERMANENT) as caught:
            send(mailer, to="jürgen@xn--bcher-kva.example")
        assert not caught.value.is_hard_bounce
