"""What goes wrong at a mail server, step by step, and whom it is about: this mail, its address, or all of them."""

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
from service.gateways.email import smtp_connection as smtp_line
from tests.gateways.emails import send
from tests.gateways.smtp_server import OK, SmtpTestServer
from tests.processes import free_port

ADDRESS = "reader@news.example"
AWAY, DELAYED, DOUBTFUL, REFUSED, REFUSES_US = (
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
    PermanentFailure,
    ServerMisconfigured,
)
# What the sink can be told to answer to: the commands, and the whole mail.
STEPS = ("MAIL", "RCPT", "DATA", "the mail")


def tell(sink: SmtpTestServer, step: str, reply: str) -> None:
    """Let the sink answer one step in its own way."""
    if step == "the mail":
        sink.answer_data = lambda _: reply
    elif step == "greeting":
        sink.greets = reply
    else:
        sink.answers[step] = reply


@pytest.mark.parametrize(
    ("step", "reply", "trouble"),
    [
        ("greeting", "421 4.3.2 Too busy", AWAY),
        ("greeting", "450 Later", AWAY),
        ("greeting", "554 No mail from you", REFUSES_US),
        ("MAIL", "421 4.3.2 Going down", AWAY),
        ("MAIL", "451 4.3.0 Later", AWAY),
        ("MAIL", "452 4.3.1 Disk full", AWAY),
        ("MAIL", "550 5.7.1 Not from you", REFUSES_US),
        ("MAIL", "530 5.7.0 Authentication required", REFUSES_US),
        ("RCPT", "421 4.3.2 Going down", AWAY),
        ("RCPT", "450 4.2.1 reader@news.example is busy", DELAYED),
        ("RCPT", "452 4.2.2 Mailbox full", DELAYED),
        ("RCPT", "550 5.1.1 No such <reader@news.example>", REFUSED),
        ("RCPT", "552 5.2.2 Mailbox full", REFUSED),
        ("RCPT", "530 5.7.0 Authentication required", REFUSES_US),
        ("RCPT", "550 5.1.8 Sender's domain not found", REFUSES_US),
        ("DATA", "421 4.3.2 Going down", AWAY),
        ("DATA", "451 4.3.0 Later", DELAYED),
        ("DATA", "554 5.5.1 No valid recipients", REFUSED),
        ("DATA", "250 What?", AWAY),
        ("the mail", "421 4.3.2 Going down", AWAY),
        ("the mail", "451 4.7.1 Greylisted reader@news.example", DELAYED),
        ("the mail", "452 4.3.1 Disk full", DELAYED),
        ("the mail", "554 5.7.1 Spam to reader@news.example", REFUSED),
        ("the mail", "354 What?", DOUBTFUL),
        ("the mail", "What?", DOUBTFUL),
    ],
)
def test_each_reply_at_each_step_is_somebodys(mailer_to, step: str, reply: str, trouble: type[EmailError]) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        tell(sink, step, reply)
        with pytest.raises(trouble) as caught:
            send(mailer)
        assert type(caught.value) is trouble
        assert reply[:3] in str(caught.value) or reply == "What?"
        assert ADDRESS not in str(caught.value)
        # Whatever it was, the next mail leaves, and without a new connection where the server kept the old one.
        sink.answers.clear()
        sink.greets, sink.answer_data = None, lambda _: OK
        send(mailer)
        assert len(sink.mails) == 1
        assert sink.connections == (1 if issubclass(trouble, DELAYED | REFUSED) and trouble is not DOUBTFUL else 2)


@pytest.mark.parametrize("step", STEPS)
def test_a_connection_that_is_lost_is_in_doubt_only_after_the_whole_mail(mailer_to, step: str) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        sink.hangs_up = step == "the mail"
        sink.hangs_up_at = {step}
        with pytest.raises(DOUBTFUL if step == "the mail" else AWAY) as caught:
            send(mailer)
        assert type(caught.value) in (DOUBTFUL, AWAY)
        sink.hangs_up, sink.hangs_up_at = False, set()
        sink.mails.clear()
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 1)


@pytest.mark.parametrize("step", ["EHLO", *STEPS])
def test_a_server_that_does_not_answer_holds_a_mail_for_a_while_only(
    mailer_to, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_line, "REPLY_TIMEOUT", 1.5)
    with SmtpTestServer() as sink:
        sink.stall_seconds = 60 if step == "the mail" else 0
        # One sign in a tenth of a second: each byte comes in time, and the reply never.
        sink.trickles_at = {step}
        mailer = mailer_to(sink.url)
        begun = time.monotonic()
        with pytest.raises(DOUBTFUL if step == "the mail" else AWAY, match="TimeoutError"):
            send(mailer)
        assert time.monotonic() - begun < 30


def test_a_server_that_says_goodbye_to_our_name_is_away(mailer_to) -> None:
    with SmtpTestServer() as sink:
        sink.answers["EHLO"] = "421 4.3.2 Going down"
        with pytest.raises(AWAY) as caught:
            mailer_to(sink.url).connect()
        assert type(caught.value) is AWAY


def test_a_goodbye_is_not_waited_for(mailer_to, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_line, "QUIT_TIMEOUT", 0.3)
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        sink.trickles_at = {"QUIT"}
        begun = time.monotonic()
        mailer.close()
        assert time.monotonic() - begun < 30


def test_a_server_that_is_not_there_is_away(mailer_to) -> None:
    mailer = mailer_to(f"smtp://127.0.0.1:{free_port()}?tls=none")
    for begin in (mailer.connect, lambda: send(mailer)):
        with pytest.raises(AWAY, match="ConnectionRefusedError"):
            begin()


@pytest.mark.parametrize("how", ["hangs_up_at", "421"])
def test_a_kept_connection_that_ends_before_the_mail_is_replaced_once_and_no_more(mailer_to, how: str) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        send(mailer)
        if how == "421":
            sink.answers["MAIL"] = "421 4.3.2 Going down"
        else:
            sink.hangs_up_at = {"MAIL"}
        with pytest.raises(AWAY):
            send(mailer)
        assert sink.connections == 2
        with pytest.raises(AWAY):
            send(mailer)
        assert sink.connections == 3


def test_a_connection_that_cannot_start_over_is_replaced(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        tell(sink, "RCPT", "450 4.2.1 Busy")
        sink.hangs_up_at = {"RSET"}
        with pytest.raises(DELAYED):
            send(mailer)
        sink.answers.clear()
        send(mailer)
        assert (sink.connections, len(sink.mails)) == (2, 1)


def test_an_address_in_another_script_that_is_not_taken_stops_no_other_mail(mailer_to) -> None:
    with SmtpTestServer() as sink:
        mailer = mailer_to(sink.url)
        sink.answers["MAIL"] = "550 5.6.7 No such letters here"
        with pytest.raises(REFUSED) as caught:
            send(mailer, to="jürgen@xn--bcher-kva.example")
        assert not caught.value.is_hard_bounce
