"""A server that does not let us in: what the reason says, and when it counts as one that refuses us."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.domain.ports import ServerMisconfigured, ServerUnavailable
from service.gateways.email import smtp_client
from service.gateways.email.smtp import SmtpMailer
from service.gateways.email.smtp_refusals import ConnectRefusals
from tests.gateways.certificates import make_server_context
from tests.gateways.raw_smtp_server import CLOSE, GREETING, RESET, SILENCE, RawSmtpServer

MakeMailer = Callable[..., SmtpMailer]


def refusal(mailer: SmtpMailer) -> ServerUnavailable:
    """Connect, and return the error."""
    with pytest.raises(ServerUnavailable) as caught:
        mailer.connect()
    return caught.value


def refusals(mailer: SmtpMailer, tries: int = 4) -> list[tuple[type[ServerUnavailable], str]]:
    """Connect several times; return the class and reason of each error."""
    return [(type(error), str(error)) for error in (refusal(mailer) for _ in range(tries))]


@pytest.mark.parametrize(
    ("step", "reply", "said"),
    [
        (GREETING, "421 4.7.0 Too many connections", "greeting: 421 4.7.0 Too many connections"),
        (GREETING, "450-Come\n450 later", "greeting: 450 Come later"),
        (GREETING, CLOSE, "greeting: closed without a reply"),
        (GREETING, RESET, "greeting: closed without a reply"),
        (GREETING, b"SSH-2.0-OpenSSH_9.2p1\r\n", "greeting: not SMTP, SSH-2.0-OpenSSH_9.2p1"),
        (GREETING, b"\x15\x03\x01\x00\x02\x02\x16\r\n", "greeting: not SMTP, "),
        (GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n", "greeting: not SMTP, HTTP/1.1 400 Bad Request"),
        (GREETING, b"\r\n", "greeting: not SMTP"),
        (GREETING, b"220-" + b"x" * 100_000, "greeting: not SMTP, a reply without an end"),
        (GREETING, b"220-x\r\n" * 20_000, "greeting: not SMTP, a reply without an end"),
        ("EHLO", "421 4.7.1 No FQDN", "EHLO desk.paper.example: 421 4.7.1 No FQDN; before that greeting: 220 raw"),
        ("EHLO", "450 4.7.1 Not yet", "EHLO desk.paper.example: 450 4.7.1 Not yet; before that greeting: 220 raw"),
        (
            "EHLO",
            CLOSE,
            "EHLO desk.paper.example: closed without a reply; before that greeting: 220 raw",
        ),
        (
            "EHLO",
            RESET,
            "EHLO desk.paper.example: closed without a reply; before that greeting: 220 raw",
        ),
        ("EHLO", b"\xff\xfe\r\n", "EHLO desk.paper.example: not SMTP, "),
    ],
)
def test_third_refusal_in_a_row_means_misconfigured(
    mailer_to: MakeMailer, step: str, reply: str | bytes, said: str
) -> None:
    with RawSmtpServer() as server:
        server.replies[step] = reply
        found = refusals(mailer_to(server.url, ehlo="desk.paper.example"))
        assert [kind for kind, _ in found[2:]] == [ServerMisconfigured] * 2
        assert not any(issubclass(kind, ServerMisconfigured) for kind, _ in found[:2])
        assert all(reason.startswith(f"cannot connect ({said}") for _, reason in found[:2]), found
        assert all(reason.startswith(f"the server refuses us ({said}") for _, reason in found[2:]), found
        assert (server.connections, server.mails) == (4, [])


@pytest.mark.parametrize(
    ("step", "reply", "said"),
    [
        (GREETING, "554 5.7.1 No mail from you", "greeting: 554 5.7.1 No mail from you"),
        (
            "EHLO",
            "550 5.7.1 Who are you?",
            "EHLO desk.paper.example: 550 5.7.1 Who are you?; before that",
        ),
        ("EHLO", "555-Two\n555 lines", "EHLO desk.paper.example: 555 Two lines; before that greeting"),
    ],
)
def test_permanent_refusal_means_misconfigured_at_once(
    mailer_to: MakeMailer, step: str, reply: str, said: str
) -> None:
    with RawSmtpServer() as server:
        server.replies[step] = reply
        [(kind, reason)] = refusals(mailer_to(server.url, ehlo="desk.paper.example"), tries=1)
        assert kind is ServerMisconfigured
        assert reason.startswith(f"the server refuses us ({said}")


def test_server_that_lets_us_in_ends_the_row(mailer_to: MakeMailer) -> None:
    with RawSmtpServer() as server:
        mailer = mailer_to(server.url)
        for _ in range(3):
            server.replies["EHLO"] = CLOSE
            assert {kind for kind, _ in refusals(mailer, tries=2)}.isdisjoint({ServerMisconfigured})
            server.replies.clear()
            mailer.connect()
            mailer.close()


def test_silence_between_two_refusals_does_not_end_the_row(
    mailer_to: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_client, "REPLY_TIMEOUT", 0.2)
    with RawSmtpServer() as server:
        server.replies_once[GREETING] = ["421 Busy", SILENCE, CLOSE, "421 Busy"]
        kinds = [kind for kind, _ in refusals(mailer_to(server.url))]
        assert kinds == [ServerUnavailable, ServerUnavailable, ServerUnavailable, ServerMisconfigured]


def test_silent_server_is_unavailable_however_often(
    mailer_to: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_client, "REPLY_TIMEOUT", 0.2)
    with RawSmtpServer() as server:
        for step in (GREETING, "EHLO"):
            server.replies = {step: SILENCE}
            found = refusals(mailer_to(server.url))
            assert {kind for kind, _ in found} == {ServerUnavailable}
            assert all("no reply within" in reason for _, reason in found)
            assert ("tls=implicit" in found[0][1]) == (step == GREETING)


def test_mailers_of_a_process_count_refusals_together(mailer_to: MakeMailer) -> None:
    with RawSmtpServer() as server:
        server.replies[GREETING] = "421 4.3.2 Going down"
        shared = ConnectRefusals()
        first, second = (mailer_to(server.url, refusals=shared) for _ in range(2))
        kinds = [type(refusal(mailer)) for mailer in (first, second, first)]
        assert kinds == [ServerUnavailable, ServerUnavailable, ServerMisconfigured]


def test_simultaneous_refusals_count_as_one_try(mailer_to: MakeMailer) -> None:
    """A server with a limit of connections refuses some of eight at once, and that is no fault of the settings."""
    together = threading.Barrier(8)
    with RawSmtpServer() as server, ThreadPoolExecutor(8) as pool:
        server.replies[GREETING] = "421 4.7.0 Too many connections"
        # The first reply is sent once all have connected.
        server.on_command = lambda _: together.wait(timeout=60)
        shared = ConnectRefusals()
        tries = [pool.submit(refusal, mailer_to(server.url, refusals=shared)) for _ in range(8)]
        assert {type(each.result()) for each in tries} == {ServerUnavailable}
        server.on_command = lambda _: None
        kinds = [type(refusal(mailer_to(server.url, refusals=shared))) for _ in range(2)]
        assert kinds == [ServerUnavailable, ServerMisconfigured]


def test_server_that_knows_no_ehlo_gets_helo(mailer_to: MakeMailer) -> None:
    with RawSmtpServer() as server:
        server.replies["EHLO"] = "502 5.5.1 Not implemented"
        mailer_to(server.url, ehlo="desk.paper.example").connect()
        assert server.log == ["EHLO desk.paper.example", "HELO desk.paper.example"]


@pytest.mark.parametrize(("helo", "kind"), [("550 No", ServerMisconfigured), (CLOSE, ServerUnavailable)])
def test_refused_helo_names_what_ehlo_got(mailer_to: MakeMailer, helo: str, kind: type[ServerUnavailable]) -> None:
    with RawSmtpServer() as server:
        server.replies |= {"EHLO": "502 5.5.1 Not implemented", "HELO": helo}
        error = refusal(mailer_to(server.url, ehlo="desk.paper.example"))
        assert isinstance(error, kind)
        assert "HELO desk.paper.example: " in str(error)
        assert "EHLO desk.paper.example: 502 5.5.1 Not implemented" in str(error)


LOGIN = ("AUTH PLAIN LOGIN",)


def login_url(server: RawSmtpServer, password: str = "s3cret-phrase") -> str:
    return f"smtp://desk:{password}@127.0.0.1:{server.port}?tls=none"


@pytest.mark.parametrize("reply", ["421 4.7.0 Try again later", "454 4.7.0 Temporary failure", CLOSE])
def test_refused_login_counts_and_is_quoted(mailer_to: MakeMailer, reply: str) -> None:
    with RawSmtpServer(extensions=LOGIN) as server:
        server.replies["AUTH"] = reply
        found = refusals(mailer_to(login_url(server)), tries=3)
        quoted = (
            f"AUTH: {'closed without a reply' if reply is CLOSE else reply}; before that EHLO desk.test: 250 raw"
        )
        assert [quoted in reason for _, reason in found] == [True] * 3
        assert [issubclass(kind, ServerMisconfigured) for kind, _ in found] == [False, False, True]


@pytest.mark.parametrize("form", ["plain", "base64", "base64 of the whole login"])
def test_login_that_the_server_repeats_is_in_no_reason(mailer_to: MakeMailer, form: str) -> None:
    secret = {
        "plain": "s3cret-phrase",
        "base64": base64.b64encode(b"s3cret-phrase").decode(),
        "base64 of the whole login": base64.b64encode(b"\0desk\0s3cret-phrase").decode(),
    }[form]
    with RawSmtpServer(extensions=LOGIN) as server:
        server.replies["AUTH"] = f"535 5.7.8 {secret} is wrong for desk@paper.example"
        error = refusal(mailer_to(login_url(server)))
        assert type(error) is ServerMisconfigured
        assert "AUTH: 535 5.7.8 … is wrong for …" in str(error)
        assert secret not in str(error)


def test_missing_login_or_encryption_quotes_what_ehlo_got(mailer_to: MakeMailer) -> None:
    with RawSmtpServer(extensions=("SIZE 1000",)) as server:
        for url in (login_url(server), f"smtp://127.0.0.1:{server.port}?tls=starttls"):
            error = refusal(mailer_to(url))
            assert type(error) is ServerMisconfigured
            assert "(EHLO desk.test: 250 raw.test SIZE 1000)" in str(error)


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "421 4.3.2 Closing", CLOSE])
def test_refused_starttls_counts_and_is_quoted(mailer_to: MakeMailer, reply: str) -> None:
    with RawSmtpServer(extensions=("STARTTLS",)) as server:
        server.replies["STARTTLS"] = reply
        found = refusals(mailer_to(f"smtp://127.0.0.1:{server.port}?tls=starttls"), tries=3)
        assert all(f"STARTTLS: {'closed' if reply is CLOSE else reply}" in reason for _, reason in found)
        assert [issubclass(kind, ServerMisconfigured) for kind, _ in found] == [False, False, True]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_failed_tls_counts_and_is_named(mailer_to: MakeMailer, tls: str) -> None:
    with RawSmtpServer(extensions=("STARTTLS",)) as server:
        # It goes on in plain text where TLS should begin.
        server.replies["STARTTLS"] = "220 Ready\n220 to fail"
        found = refusals(mailer_to(f"smtp://127.0.0.1:{server.port}?tls={tls}"), tries=3)
        assert all("TLS failed, WRONG_VERSION_NUMBER" in reason for _, reason in found), found
        assert [issubclass(kind, ServerMisconfigured) for kind, _ in found] == [False, False, True]


def test_refusal_after_starttls_is_quoted(mailer_to: MakeMailer, tmp_path: Path, monkeypatch) -> None:
    context, authority = make_server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with RawSmtpServer(extensions=("STARTTLS",), starttls=context) as server:
        server.replies_once["EHLO"] = ["250-raw.test\n250 STARTTLS", "421 4.7.1 Not by this name"]
        error = refusal(mailer_to(f"smtp://127.0.0.1:{server.port}?tls=starttls", ehlo="desk.paper.example"))
        assert "EHLO desk.paper.example: 421 4.7.1 Not by this name; before that STARTTLS: 220" in str(error)


def test_ehlo_uses_the_setting(mailer_to: MakeMailer) -> None:
    for ehlo in ("desk.paper.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"):
        with RawSmtpServer() as server:
            mailer_to(server.url, ehlo=ehlo).connect()
            assert server.log == [f"EHLO {ehlo}"]
