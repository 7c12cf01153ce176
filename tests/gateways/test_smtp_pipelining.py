"""The envelope of the next email, sent ahead: with the end of this one (RFC 2920), or right after it."""

import itertools
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.db.clock import utc_now
from service.domain.ports import (
    EmailError,
    PermanentFailure,
    RenderedEmail,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
    UncertainDelivery,
)
from service.gateways.email import smtp_client
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.smtp import SmtpMailer
from service.gateways.email.smtp_connection import SmtpConnection
from tests.conftest import settings_for
from tests.gateways.certificates import make_server_context
from tests.gateways.emails import reminder_email
from tests.gateways.raw_smtp_server import CLOSE, CONTENT, RESET, RawSmtpServer

PIPELINING = ("PIPELINING", "SIZE 1000000", "SMTPUTF8")
PLAIN = PIPELINING[1:]
MakeMailer = Callable[..., SmtpMailer]
ENVELOPE = ["MAIL", "RCPT"]
either = pytest.mark.parametrize("extensions", [PIPELINING, PLAIN], ids=["pipelining", "none"])


def emails(mailer: SmtpMailer, count: int) -> list[RenderedEmail]:
    return [
        mailer.render(reminder_email(to=f"reader-{number}@news.example", message_id=f"<{number}@desk.test>"))
        for number in range(count)
    ]


def send_all(mailer: SmtpMailer, messages: list[RenderedEmail], *, ahead: bool = True) -> list[str]:
    """Send each email, with the one after it as a hint; return the reply or the error of each."""
    results = []
    for message, following in itertools.zip_longest(messages, messages[1:]):
        if following is not None:
            mailer.prepare(following)
        if ahead:
            mailer.send_ahead()
        try:
            results.append(mailer.send(message))
        except EmailError as error:
            results.append(f"{type(error).__name__}: {error}")
    return results


def send_first(mailer: SmtpMailer, *, of: int) -> list[RenderedEmail]:
    """Send the first of some emails, with the second as a hint; return them all."""
    messages = emails(mailer, of)
    mailer.prepare(messages[1])
    assert mailer.send(messages[0]) == "250 2.0.0 Accepted"
    return messages


def ids(server: RawSmtpServer) -> list[str]:
    """Return the Message-ID of each accepted email, as the number that `emails` gave it."""
    return [mail.split(b"Message-ID: <")[1].split(b"@")[0].decode() for mail in server.mails]


def test_each_envelope_leaves_in_one_write_with_the_end_of_the_email_before(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        mailer = mailer_to(server.url)
        messages = emails(mailer, 3)
        assert send_all(mailer, messages) == ["250 2.0.0 Accepted"] * 3
        assert server.steps == ["EHLO", *ENVELOPE, *["DATA", CONTENT, *ENVELOPE] * 2, "DATA", CONTENT]
        # A line that begins with a dot gets another one (RFC 5321, section 4.5.2).
        first, second, last = (mail.content.replace(b"\r\n.", b"\r\n..") for mail in messages)
        envelopes = [
            b"MAIL FROM:<support@paper.example> SIZE=%d\r\n" % len(mail.content)
            + f"RCPT TO:<{mail.recipient}>\r\n".encode()
            for mail in messages
        ]
        assert server.reads[1:] == [
            envelopes[0],
            b"DATA\r\n",
            first + b".\r\n" + envelopes[1],
            b"DATA\r\n",
            second + b".\r\n" + envelopes[2],
            b"DATA\r\n",
            last + b".\r\n",
        ]
        assert (server.mails, server.violations) == ([mail.content for mail in messages], [])


def test_without_pipelining_each_command_waits_for_the_reply_before(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=("SIZE 1000000",)) as server:
        mailer = mailer_to(server.url)
        assert send_all(mailer, emails(mailer, 3)) == ["250 2.0.0 Accepted"] * 3
        assert server.steps == ["EHLO", *[*ENVELOPE, "DATA", CONTENT] * 3]
        assert (len(server.reads), server.violations) == (1 + 3 * 4, [])


def test_without_pipelining_the_next_mail_command_leaves_once_an_email_is_accepted(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PLAIN) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        server.wait_for("MAIL", times=2)
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT, "MAIL"]
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert server.steps[5:] == [*ENVELOPE, "DATA", CONTENT]
        assert (ids(server), server.violations) == (["0", "1"], [])


def test_without_pipelining_the_next_recipient_is_named_while_the_caller_waits(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PLAIN) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        for _ in range(2):
            mailer.send_ahead()
        server.wait_for("RCPT", times=2)
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT, *ENVELOPE]
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert server.steps[5:] == [*ENVELOPE, "DATA", CONTENT]
        assert (ids(server), server.violations) == (["0", "1"], [])


@either
def test_there_is_nothing_to_send_ahead_without_a_next_email(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        [message] = emails(mailer, 1)
        mailer.send_ahead()
        assert server.connections == 0
        mailer.send(message)
        mailer.send_ahead()
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT]


def test_without_pipelining_a_refused_sender_has_no_recipient_behind_it(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PLAIN) as server:
        server.replies_once["MAIL"] = ["250 OK", "451 4.3.0 Later"]
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        mailer.send_ahead()
        with pytest.raises(ServerUnavailable, match="451"):
            mailer.send(second)
        assert (server.count("MAIL"), server.count("RCPT")) == (2, 1)


@either
def test_connection_that_is_lost_while_the_caller_waits_is_replaced(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        server.wait_for("MAIL", times=2)
        server.end_connections()
        # What MAIL was answered may have arrived before the end did.
        for _ in range(2):
            mailer.send_ahead()
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert (ids(server), server.connections) == (["0", "1"], 2)


def test_without_pipelining_an_email_that_is_refused_has_no_command_behind_it(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PLAIN) as server:
        server.replies_once[CONTENT] = ["554 5.7.1 Spam"]
        mailer = mailer_to(server.url)
        send_all(mailer, emails(mailer, 2))
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT, "RSET", *ENVELOPE, "DATA", CONTENT]


def test_without_pipelining_nothing_is_said_before_the_reply_to_what_was_sent_ahead(mailer_to: MakeMailer) -> None:
    def send_another(mailer: SmtpMailer) -> None:
        mailer.send(emails(mailer, 3)[2])

    for say in (SmtpMailer.connect, SmtpMailer.close, SmtpMailer.send_ahead, send_another):
        with RawSmtpServer(extensions=PLAIN) as server:
            mailer = mailer_to(server.url)
            # Long enough for a command that does not wait to arrive meanwhile.
            server.on_command = lambda step, server=server: (
                threading.Event().wait(0.3) if step == "MAIL" and server.count("MAIL") == 2 else None
            )
            send_first(mailer, of=2)
            say(mailer)
            server.wait_for("MAIL", times=2)
            assert (server.violations, server.connections) == ([], 1)


def test_accepted_email_stays_accepted_if_the_connection_is_lost_right_after_it(
    mailer_to: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The MAIL of the next email cannot be written any more."""
    write, lost = SmtpConnection._write, []

    def write_or_fail(connection: SmtpConnection, data: bytes) -> None:
        if data.startswith(b"MAIL") and connection.messages_sent > 1 and len(lost) < 2:
            lost.append(data)
            raise ConnectionResetError
        write(connection, data)

    monkeypatch.setattr(SmtpConnection, "_write", write_or_fail)
    with RawSmtpServer(extensions=PLAIN) as server:
        mailer = mailer_to(server.url)
        assert send_all(mailer, emails(mailer, 4)) == ["250 2.0.0 Accepted"] * 4
        assert (ids(server), server.connections, len(lost)) == (list("0123"), 3, 2)
        # Since it failed twice in a row, nothing is sent ahead any more.
        assert server.steps[-8:] == [*ENVELOPE, "DATA", CONTENT] * 2


def test_reply_is_returned_before_the_replies_to_the_next_envelope(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        mailer = mailer_to(server.url)
        first_is_sent = threading.Event()
        server.on_command = lambda step: (
            None if step != "MAIL" or server.count("MAIL") == 1 else first_is_sent.wait(60) and None
        )
        first, second = send_first(mailer, of=2)
        assert server.mails == [first.content]
        first_is_sent.set()
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert ids(server) == ["0", "1"]


@either
def test_multi_line_replies_are_told_apart(mailer_to: MakeMailer, extensions: tuple[str, ...]) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        server.replies |= {
            "MAIL": "250-2.1.0 Two\n250 2.1.0 lines",
            "RCPT": "250-2.1.5 Even\n250-2.1.5 three\n250 2.1.5 lines",
            CONTENT: "250-2.0.0 Queued\n250 2.0.0 as 17",
        }
        mailer = mailer_to(server.url)
        assert send_all(mailer, emails(mailer, 3)) == ["250 2.0.0 Queued 2.0.0 as 17"] * 3
        assert ids(server) == ["0", "1", "2"]


@either
@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("MAIL", "451 4.3.0 Later", ServerUnavailable),
        ("MAIL", "550-5.7.1 Not\n550 5.7.1 from you", ServerMisconfigured),
        ("RCPT", "450-4.2.1 Busy\n450 4.2.1 still", TemporaryFailure),
        ("RCPT", "550 5.1.1 No such reader", PermanentFailure),
        ("RCPT", "530 5.7.0 Log in first", ServerMisconfigured),
        ("DATA", "452 4.3.1 Disk full", TemporaryFailure),
        (CONTENT, "554 5.7.1 Spam", PermanentFailure),
        (CONTENT, "354 What?", UncertainDelivery),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_refusal_is_the_result_of_its_own_email_only(
    mailer_to: MakeMailer, step: str, reply: str, error: type[EmailError], number: int, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        recipient = f"reader-{number}@news.example"
        if step == "MAIL":
            server.replies_once["MAIL"] = ["250 OK"] * number + [reply]
        else:
            server.reply_for = lambda at, to: reply if (at, to) == (step, recipient) else None
        mailer = mailer_to(server.url)
        results = send_all(mailer, emails(mailer, 4))
        assert results[number].startswith(f"{error.__name__}: "), results
        assert reply[:3] in results[number]
        del results[number]
        assert results == ["250 2.0.0 Accepted"] * 3
        assert ids(server) == [name for name in "0123" if name != str(number)]
        assert server.violations == []


def test_refused_content_does_not_withdraw_the_next_envelope(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        server.replies_once[CONTENT] = ["554 5.7.1 Spam"]
        mailer = mailer_to(server.url)
        send_all(mailer, emails(mailer, 2))
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT, *ENVELOPE, "DATA", CONTENT]


@either
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("reply", [CLOSE, RESET, "421 4.4.2 Idle for too long"])
def test_connection_that_ends_before_a_prepared_email_is_replaced(
    mailer_to: MakeMailer, step: str, reply: str, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        server.replies_once[step] = ["354 Go" if step == "DATA" else "250 OK", reply]
        mailer = mailer_to(server.url)
        assert send_all(mailer, emails(mailer, 3)) == ["250 2.0.0 Accepted"] * 3
        assert (ids(server), server.connections) == (["0", "1", "2"], 2)


@either
def test_connection_that_ends_between_two_emails_is_replaced(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    """The server accepted what was sent ahead, and closed the connection while the last reply was recorded."""
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        server.wait_for("RCPT" if "PIPELINING" in extensions else "MAIL", times=2)
        server.end_connections()
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert (ids(server), server.connections) == (["0", "1"], 2)


def test_refused_contents_do_not_count_for_the_maximum_of_a_connection_twice(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PLAIN) as server:
        server.replies[CONTENT] = "554 5.7.1 Spam"
        mailer = mailer_to(server.url, max_per_connection=3)
        send_all(mailer, emails(mailer, 7))
        assert (server.count("MAIL"), server.connections) == (7, 3)


@either
@pytest.mark.parametrize("reply", [CLOSE, RESET])
def test_connection_that_ends_before_the_reply_leaves_only_that_email_uncertain(
    mailer_to: MakeMailer, reply: str, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        server.replies_once[CONTENT] = ["250 OK", reply]
        mailer = mailer_to(server.url)
        results = send_all(mailer, emails(mailer, 4))
        assert [result.split(":")[0] for result in results] == [
            "250 OK",
            "UncertainDelivery",
            *["250 2.0.0 Accepted"] * 2,
        ]
        assert (ids(server), server.connections) == (["0", "2", "3"], 2)


@either
def test_connection_that_ends_for_a_new_email_twice_is_unavailable(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        server.replies_once["MAIL"] = ["250 OK", CLOSE, CLOSE]
        mailer = mailer_to(server.url)
        results = send_all(mailer, emails(mailer, 2))
        assert results[0] == "250 2.0.0 Accepted"
        assert results[1].startswith("ServerUnavailable: connection lost")


@either
def test_server_that_ends_the_connection_for_what_is_sent_ahead_gets_no_more_of_it(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        server.replies_once["MAIL"] = ["250 OK", CLOSE, "250 OK", CLOSE]
        assert send_all(mailer, emails(mailer, 6)) == ["250 2.0.0 Accepted"] * 6
        assert ids(server) == list("012345")
        assert server.connections == 3
        # From the fourth email on, nothing is sent ahead.
        assert server.steps[-12:] == [*ENVELOPE, "DATA", CONTENT] * 3


def test_server_that_loses_what_was_sent_ahead_gets_no_more_of_it(
    mailer_to: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_client, "REPLY_TIMEOUT", 1)
    with RawSmtpServer(extensions=PIPELINING) as server:
        server.loses_pipelined = True
        mailer = mailer_to(server.url)
        assert send_all(mailer, emails(mailer, 5)) == ["250 2.0.0 Accepted"] * 5
        assert (ids(server), server.connections) == (list("01234"), 3)


@pytest.mark.parametrize("reply", ["502 5.5.1 Not implemented", "421 4.3.2 Closing", CLOSE])
def test_connection_that_fails_to_reset_is_replaced(mailer_to: MakeMailer, reply: str) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        server.replies["RSET"] = reply
        mailer = mailer_to(server.url)
        first, second = emails(mailer, 2)
        server.replies_once["RCPT"] = ["550 5.1.1 Unknown"]
        with pytest.raises(PermanentFailure):
            mailer.send(first)
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert (ids(server), server.connections) == (["1"], 2)


@pytest.mark.parametrize("reply", ["502 5.5.1 Not implemented", CLOSE])
def test_connection_that_failed_to_reset_is_found_by_connect(mailer_to: MakeMailer, reply: str) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        server.replies["RSET"] = reply
        mailer = mailer_to(server.url)
        first, second = emails(mailer, 2)
        server.replies_once["RCPT"] = ["550 5.1.1 Unknown"]
        with pytest.raises(PermanentFailure):
            mailer.send(first)
        mailer.connect()
        assert server.connections == 2
        assert mailer.send(second) == "250 2.0.0 Accepted"
        assert server.connections == 2


@either
def test_other_email_than_the_prepared_one_withdraws_its_envelope(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        _, second, third = send_first(mailer, of=3)
        mailer.send(third)
        mailer.send(second)
        assert (ids(server), server.connections, server.count("RSET")) == (["0", "2", "1"], 1, 1)
        assert server.violations == []


def test_hint_counts_for_one_email_only(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        server.replies_once["RCPT"] = ["550 5.1.1 Unknown"]
        mailer = mailer_to(server.url)
        first, second, third = emails(mailer, 3)
        mailer.prepare(second)
        with pytest.raises(PermanentFailure):
            mailer.send(first)
        mailer.send(third)
        assert server.steps == ["EHLO", *ENVELOPE, "RSET", *ENVELOPE, "DATA", CONTENT]


def test_prepared_email_outlives_a_check_of_the_connection(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        mailer.connect()
        mailer.send(second)
        assert server.steps == ["EHLO", *ENVELOPE, "DATA", CONTENT, *ENVELOPE, "NOOP", "DATA", CONTENT]


@either
def test_prepared_email_that_is_never_sent_ends_with_the_connection(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url)
        _, second = send_first(mailer, of=2)
        mailer.close()
        assert (server.steps[-1], ids(server)) == ("QUIT", ["0"])
        mailer.send(second)
        assert (ids(server), server.connections) == (["0", "1"], 2)


@either
def test_nothing_is_sent_ahead_over_the_maximum_of_a_connection(
    mailer_to: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=extensions) as server:
        mailer = mailer_to(server.url, max_per_connection=3)
        send_all(mailer, emails(mailer, 7))
        assert (ids(server), server.connections) == (list("0123456"), 3)
        assert (server.count("MAIL"), server.count("QUIT"), server.violations) == (7, 2, [])


def test_international_address_is_sent_ahead_or_fails_alone(mailer_to: MakeMailer) -> None:
    for extensions, expected in ((PIPELINING, ["0", "jürgen", "1"]), (PIPELINING[:1], ["0", "1"])):
        with RawSmtpServer(extensions=extensions) as server:
            mailer = mailer_to(server.url)
            first, last = emails(mailer, 2)
            other = mailer.render(reminder_email(to="jürgen@news.example", message_id="<jürgen@desk.test>"))
            results = send_all(mailer, [first, other, last])
            assert [result.split(":")[0] for result in results] == [
                "250 2.0.0 Accepted",
                "250 2.0.0 Accepted" if len(expected) == 3 else "PermanentFailure",
                "250 2.0.0 Accepted",
            ]
            assert len(server.mails) == len(expected)
            assert server.violations == []
            assert ("RCPT TO:<jürgen@news.example>" in server.log) == (len(expected) == 3)


def test_address_with_a_line_break_reaches_no_server(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        mailer = mailer_to(server.url)
        first, last = emails(mailer, 2)
        forged = RenderedEmail(message_id="<x@desk.test>", recipient="a@b.example>\r\nDATA\r\nx", content=b"x\r\n")
        mailer.prepare(forged)
        assert mailer.send(first) == "250 2.0.0 Accepted"
        mailer.prepare(last)
        with pytest.raises(ValueError, match="line break"):
            mailer.send(forged)
        assert mailer.send(last) == "250 2.0.0 Accepted"
        assert ids(server) == ["0", "1"]


def test_pipelining_over_tls(mailer_to: MakeMailer, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = make_server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with RawSmtpServer(extensions=(*PIPELINING, "STARTTLS"), starttls=context) as server:
        mailer = mailer_to(f"smtp://127.0.0.1:{server.port}?tls=starttls")
        assert send_all(mailer, emails(mailer, 3)) == ["250 2.0.0 Accepted"] * 3
        assert server.steps[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        assert (ids(server), server.violations) == (["0", "1", "2"], [])


def test_large_email_and_the_envelope_behind_it_arrive_whole(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=PIPELINING) as server:
        mailer = mailer_to(server.url)
        large = RenderedEmail(
            message_id="<0@desk.test>",
            recipient="reader@news.example",
            content=b"Message-ID: <0@desk.test>\r\n\r\n" + b".line\r\n" * 500_000,
        )
        [_, second] = emails(mailer, 2)
        assert send_all(mailer, [large, second]) == ["250 2.0.0 Accepted"] * 2
        assert server.mails[0] == large.content


REPLIES = {
    "RCPT": ["450 4.2.1 Busy", "550 5.1.1 Unknown", "250-Two\n250 lines", "530 5.7.0 Log in"],
    "DATA": ["452 4.3.1 Disk full", "554 5.5.1 No", "250 What?"],
    CONTENT: ["451 4.7.1 Greylisted", "554 5.7.1 Spam", "354 What?", CLOSE, "421 4.3.2 Closing"],
    "MAIL": ["451 4.3.0 Later", "550 5.7.1 Not you"],
}
FAULTS = st.lists(
    st.one_of(
        st.none(),
        *(st.tuples(st.just(step), st.sampled_from(replies)) for step, replies in REPLIES.items()),
    ),
    min_size=1,
    max_size=6,
)


def outcomes(faults: list, *, pipelining: bool, ahead: bool = True) -> tuple[list[str], list[str]]:
    """Return the results of emails with these faults, and the emails that the server accepted."""
    with RawSmtpServer(extensions=PIPELINING if pipelining else PIPELINING[1:]) as server:
        mail = settings_for("sqlite://", MAIL_URL=server.url).mail
        assert mail.server is not None
        mailer = SmtpMailer(mail.server, EmailRenderer("The Paper <a@b.example>", utc_now), per_connection=4)
        messages = emails(mailer, len(faults))
        sizes = {f"reader-{number}@news.example": fault for number, fault in enumerate(faults)}

        def reply_for(step: str, recipient: str | None) -> str | None:
            fault = sizes.get(recipient or "")
            return fault[1] if isinstance(fault, tuple) and fault[0] == step else None

        server.reply_for = reply_for
        results = send_all(mailer, messages, ahead=ahead)
        mailer.close()
        assert server.violations == []
        return results, ids(server)


@settings(max_examples=30, deadline=None)
@given(FAULTS)
def test_what_is_sent_ahead_changes_no_outcome(faults: list) -> None:
    expected = outcomes(faults, pipelining=False, ahead=False)
    assert outcomes(faults, pipelining=False) == expected
    assert outcomes(faults, pipelining=True) == expected
