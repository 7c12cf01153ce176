"""`mainstay emails check`, against a real mail server and a real name server on the loopback interface."""

import base64
import re
import subprocess
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli import KEYS, assert_cli_error, run_cli
from tests.dns_server import DnsTestServer
from tests.gateways.certificates import make_server_context
from tests.gateways.raw_smtp_server import CLOSE, CONTENT, GREETING, SILENCE, RawSmtpServer
from tests.processes import ROOT, free_port

YOU = "you@example.org"
DOMAIN = "paper.example"
SPF, DMARC = "v=spf1 include:spf.mail.example ~all", "v=DMARC1; p=quarantine; rua=mailto:dmarc@paper.example"
DKIM = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
ZONE = {DOMAIN: [SPF], f"_dmarc.{DOMAIN}": [DMARC], f"s7._domainkey.{DOMAIN}": [DKIM]}
ALL = ("--dkim-selector", "s7")


def check(url: str, *arguments: str, dns: DnsTestServer | None = None, **settings: str) -> Result:
    """Run the command with a mail server's URL; without `dns`, the name server knows no name."""
    if dns is None:
        with DnsTestServer() as empty:
            return check(url, *arguments, dns=empty, **settings)
    defaults = {"MAIL_FROM": f"The Paper <support@{DOMAIN}>", "PUBLIC_URL": "https://support.paper.example"}
    # The command needs no database.
    environment = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "MAIL_URL": url} | defaults | settings
    return run_cli("emails", "check", *arguments, "--nameserver", dns.address, **environment)


def untimed(output: str) -> str:
    return re.sub(r"\(\d+ ms\)", "(… ms)", output)


def test_every_step_is_shown_with_what_the_server_said() -> None:
    with RawSmtpServer(extensions=("SIZE 1000000", "AUTH PLAIN LOGIN")) as server, DnsTestServer(ZONE) as dns:
        server.replies |= {"AUTH": "235 2.7.0 Welcome", CONTENT: "250-2.0.0 Queued\n250 2.0.0 as 17"}
        url = f"smtp://desk:s3cret@127.0.0.1:{server.port}?tls=none"
        result = check(url, YOU, *ALL, dns=dns, MAIL_EHLO="desk.paper.example")
        assert result.exit_code == 0, result.output
        [size] = re.findall(r"SIZE=(\d+)", result.stdout)
        assert (
            untimed(result.stdout)
            == f"""\
MAIL_URL    127.0.0.1:{server.port}, tls=none, as desk
MAIL_FROM   The Paper <support@paper.example>
MAIL_EHLO   desk.paper.example

connect to 127.0.0.1:{server.port}  (… ms)
greeting  (… ms)
    220 raw.test ESMTP
EHLO desk.paper.example  (… ms)
    250 raw.test
    250 SIZE 1000000
    250 AUTH PLAIN LOGIN
AUTH  (… ms)
    235 2.7.0 Welcome
MAIL FROM:<support@paper.example> SIZE={size}  (… ms)
    250 2.1.0 OK
RCPT TO:<you@example.org>  (… ms)
    250 2.1.5 OK
DATA  (… ms)
    354 Go ahead
the email, {int(size):,} bytes  (… ms)
    250 2.0.0 Queued
    250 2.0.0 as 17
QUIT  (… ms)
    221 2.0.0 Bye

The mail server accepted the email (250 2.0.0 Queued 2.0.0 as 17). Is it in the inbox, or in spam?

SPF         ok       v=spf1 include:spf.mail.example ~all
DKIM        ok       s7._domainkey.paper.example has a key (rsa)
DMARC       ok       _dmarc.paper.example: v=DMARC1; p=quarantine; rua=mailto:dmarc@paper.example
"""
        )
        mail = message_from_bytes(server.mails[0], _class=EmailMessage, policy=modern)
        assert (mail["To"], mail["From"]) == (YOU, "The Paper <support@paper.example>")
        assert mail["Subject"] == "Test email from Mainstay"
        assert mail["Message-ID"].endswith("@paper.example>")
        assert all(part.defects == [] for part in mail.walk())


def test_command_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    with RawSmtpServer() as server, DnsTestServer(ZONE) as dns:
        settings = {"SECRET_KEYS": KEYS, "MAIL_URL": server.url, "MAIL_FROM": "support@paper.example"}
        command = [sys.executable, "-m", "service", "emails", "check", "-", "--nameserver", dns.address]
        completed = subprocess.run(
            command,
            input=f"{YOU}\n",
            env=settings | {"PYTHONPATH": str(ROOT), "DATABASE_URL": "postgresql://127.0.0.1:1/none"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (completed.returncode, completed.stderr) == (0, "")
        assert "RCPT TO:<you@example.org>" in completed.stdout
        assert len(server.mails) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_starttls_and_both_greetings_are_shown(tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = make_server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with RawSmtpServer(extensions=("STARTTLS",), starttls=context) as server:
        result = check(f"smtp://127.0.0.1:{server.port}?tls={tls}", YOU)
        if tls == "starttls":
            assert result.exit_code == 0, result.output
            steps = [line.split(" ")[0] for line in result.stdout.splitlines() if line.endswith(" ms)")]
            assert steps == [
                "connect",
                "greeting",
                "EHLO",
                "STARTTLS",
                "EHLO",
                "MAIL",
                "RCPT",
                "DATA",
                "the",
                "QUIT",
            ]
        else:
            # It speaks plain text, so the first byte is no TLS.
            assert result.exit_code == 1
            assert "TLS failed" in result.stderr
            assert "tls=starttls" in result.stderr


@pytest.mark.parametrize(
    ("step", "reply", "expected"),
    [
        (GREETING, "554 5.7.1 No", ("the server refuses us (greeting: 554 5.7.1 No)",)),
        (GREETING, CLOSE, ("cannot connect (greeting: closed without a reply)",)),
        (GREETING, b"SSH-2.0-x\r\n", ("not SMTP, SSH-2.0-x", "is no mail server")),
        ("EHLO", "421 4.7.1 Who?", ("EHLO desk.paper.example: 421 4.7.1 Who?", "set MAIL_EHLO")),
        ("EHLO", CLOSE, ("EHLO desk.paper.example: closed", "set MAIL_EHLO")),
        ("AUTH", "535 5.7.8 Wrong", ("AUTH: 535 5.7.8 Wrong", "the password in MAIL_URL")),
        ("MAIL", "550 5.7.1 Not verified", ("sender refused (550 5.7.1 Not verified)", "MAIL_FROM")),
        ("RCPT", "550 5.1.1 Unknown", ("The email was not accepted: recipient refused (550 5.1.1 Unknown)",)),
        ("RCPT", "450 4.2.1 Greylisted", ("The email was not accepted: recipient refused for now (450 4.2.1",)),
        ("DATA", "554 5.7.1 No", ("message refused (554 5.7.1 No)",)),
        (CONTENT, "554 5.7.1 Spam", ("content refused (554 5.7.1 Spam)",)),
        (CONTENT, CLOSE, ("It is not known whether the mail server accepted the email",)),
    ],
)
def test_refusal_is_shown_at_its_step_and_ends_with_exit_code_1(
    step: str, reply: str | bytes, expected: tuple[str, ...]
) -> None:
    with RawSmtpServer(extensions=("AUTH PLAIN",)) as server, DnsTestServer(ZONE) as dns:
        server.replies |= {"AUTH": "235 OK", step: reply}
        url = f"smtp://desk:s3cret@127.0.0.1:{server.port}?tls=none"
        result = check(url, YOU, dns=dns, MAIL_EHLO="desk.paper.example")
        assert (result.exit_code, server.mails) == (1, [])
        assert isinstance(result.exception, SystemExit)
        for text in expected:
            assert text in result.stderr
        if reply is not CLOSE and isinstance(reply, str):
            assert f"    {reply}" in result.stdout
        # DNS is looked up all the same.
        assert "SPF         ok" in result.stdout


@pytest.mark.parametrize("form", ["plain", "base64"])
def test_password_is_never_shown(form: str) -> None:
    secret = "s3cret-phrase" if form == "plain" else base64.b64encode(b"\0desk\0s3cret-phrase").decode()
    for code in ("235", "535"):
        with RawSmtpServer(extensions=("AUTH PLAIN",)) as server:
            server.replies["AUTH"] = f"{code} 2.7.0 {secret}"
            result = check(f"smtp://desk:s3cret-phrase@127.0.0.1:{server.port}?tls=none", YOU)
            assert secret not in result.output
            assert f"{code} 2.7.0 …" in result.output


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    with RawSmtpServer() as server:
        server.replies["RCPT"] = b"250 \x1b[31mred\x07\r\n"
        result = check(server.url, YOU)
        assert result.exit_code == 0
        assert "    250 [31mred" in result.stdout
        assert "\x1b" not in result.output


def test_no_send_connects_and_logs_in_only() -> None:
    with RawSmtpServer(extensions=("AUTH PLAIN",)) as server:
        server.replies["AUTH"] = "235 OK"
        url = f"smtp://desk:right@127.0.0.1:{server.port}?tls=none"
        for arguments in (("--no-send",), (YOU, "--no-send")):
            server.log.clear()
            result = check(url, *arguments)
            assert result.exit_code == 0, result.output
            assert "lets us in and accepted the login" in result.stdout
            assert server.steps == ["EHLO", "AUTH", "QUIT"]
        server.replies["AUTH"] = "535 Wrong"
        assert check(url, "--no-send").exit_code == 1


def test_server_that_cannot_be_reached_is_named() -> None:
    result = check(f"smtp://127.0.0.1:{free_port()}?tls=none", YOU)
    assert result.exit_code == 1
    assert "cannot connect (ConnectionRefusedError). Nothing listens there" in result.stderr
    result = check("smtp://mail.invalid:25?tls=none", YOU)
    assert result.exit_code == 1
    assert "The host of MAIL_URL is not in DNS" in result.stderr


def test_outbox_sends_nothing() -> None:
    with DnsTestServer(ZONE) as dns:
        result = check("outbox:", YOU, dns=dns)
        assert result.exit_code == 1
        assert "MAIL_URL is outbox:, so nothing leaves" in result.stderr
        assert "SPF         ok" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--no-send"),
        (("nobody",), "address"),
        ((YOU, "--nameserver", "dns.example"), "not an IP address"),
        ((YOU, "--nameserver", "127.0.0.1:0"), "not a port"),
    ],
)
def test_wrong_command_line_is_explained(arguments: tuple[str, ...], expected: str) -> None:
    assert_cli_error(run_cli("emails", "check", *arguments, MAIL_URL="outbox:"), expected)


def dns_lines(zone: dict, *arguments: str, aliases: dict[str, str] | None = None, **settings: str) -> list[str]:
    """Return what the command says of DNS, one line for each finding, its advice joined to it."""
    with DnsTestServer(zone, aliases) as dns:
        result = check("outbox:", YOU, *arguments, dns=dns, **settings)
    return re.sub(r"\n {2,}", " → ", result.stdout.strip("\n")).splitlines()


@pytest.mark.parametrize(
    ("records", "state", "said"),
    [
        ([], "MISSING", "paper.example has no TXT record that begins with v=spf1 → Add one at paper.example"),
        (["google-site-verification=x"], "MISSING", "has no TXT record"),
        (["v=spf10 -all"], "MISSING", "has no TXT record"),
        (["v=spf1"], "weak", "v=spf1 → It says nothing of other senders"),
        (["v=spf1 -all"], "ok", "v=spf1 -all"),
        (["V=SPF1 mx -ALL"], "ok", "V=SPF1 mx -ALL"),
        ([("v=spf1 include:a.exa", "mple ?all")], "ok", "v=spf1 include:a.example ?all"),
        (["other", "v=spf1 redirect=_spf.paper.example"], "ok", "redirect="),
        (["v=spf1 mx +all"], "WRONG", "v=spf1 mx +all → It ends with +all"),
        (["v=spf1 mx all"], "WRONG", "v=spf1 mx all → It ends with +all"),
        (["v=spf1 include:all.example ~all"], "ok", "include:all.example"),
        (
            ["v=spf1 -all", "v=spf1 mx ~all"],
            "WRONG",
            "has 2 records that begin with v=spf1, so none counts → Make",
        ),
    ],
)
def test_spf_is_found_or_said_to_be_missing(records: list, state: str, said: str) -> None:
    line = dns_lines(ZONE | {DOMAIN: records})[0]
    assert line.startswith(f"SPF         {state:<8} ")
    assert said in line


@pytest.mark.parametrize(
    ("records", "state", "said"),
    [
        ([DKIM], "ok", "s7._domainkey.paper.example has a key (rsa)"),
        (["k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], "ok", "has a key (ed25519)"),
        ([("v=DKIM1; p=MIIB", "IjAN")], "ok", "has a key (rsa)"),
        (["v=DKIM1; p="], "WRONG", "has an empty key: it was revoked"),
        (["v=DKIM2; p=x"], "WRONG", "begins with v=DKIM2"),
        ([DKIM, DKIM.replace("MIIB", "MIIC")], "WRONG", "has 2 keys"),
        (["some other text"], "MISSING", "s7._domainkey.paper.example has no key → Add the record"),
        (None, "MISSING", "s7._domainkey.paper.example has no key"),
    ],
)
def test_dkim_key_is_found_by_its_selector(records: list | None, state: str, said: str) -> None:
    zone = {name: texts for name, texts in ZONE.items() if "_domainkey" not in name}
    if records is not None:
        zone[f"s7._domainkey.{DOMAIN}"] = records
    line = dns_lines(zone, *ALL)[1]
    assert line.startswith(f"DKIM        {state:<8} ")
    assert said in line


def test_dkim_follows_an_alias_of_the_mail_service() -> None:
    zone = {DOMAIN: [SPF], "s7.dkim.mail.example": [DKIM]}
    lines = dns_lines(zone, *ALL, aliases={f"s7._domainkey.{DOMAIN}": "s7.dkim.mail.example"})
    assert lines[1].startswith("DKIM        ok ")


def test_each_selector_is_checked() -> None:
    lines = dns_lines(ZONE, *ALL, "--dkim-selector", "s8")
    assert lines[1].startswith("DKIM        ok ")
    assert lines[2].startswith("DKIM        MISSING  s8._domainkey.paper.example has no key")


def test_without_a_selector_those_usual_with_the_service_are_tried() -> None:
    [_, unknown, _] = dns_lines(ZONE)
    assert unknown.startswith("DKIM        unknown  not checked → DNS cannot list selectors: pass --dkim-selector")
    # Nothing of the service itself is reached: its name is not looked up in this name server.
    url = "smtp://smtp.sendgrid.net.invalid:25?tls=none"
    with DnsTestServer(ZONE) as dns:
        assert "not checked" in check(url, YOU, dns=dns).stdout


def test_usual_selectors_belong_to_the_end_of_the_host_name() -> None:
    from service.gateways.email.sender_dns import usual_selectors

    assert usual_selectors("smtp.SendGrid.net.") == ("s1", "s2")
    assert usual_selectors("sendgrid.net") == ("s1", "s2")
    assert usual_selectors("notsendgrid.net") == usual_selectors("sendgrid.net.example") == ()


@pytest.mark.parametrize(
    ("zone", "sender", "state", "said"),
    [
        (
            {"_dmarc.paper.example": ["v=DMARC1; p=reject"]},
            DOMAIN,
            "ok",
            "_dmarc.paper.example: v=DMARC1; p=reject",
        ),
        ({"_dmarc.paper.example": ["v=DMARC1;p=none"]}, DOMAIN, "ok", "p=none only watches"),
        ({"_dmarc.paper.example": [("v=DMARC1; p=re", "ject")]}, DOMAIN, "ok", "p=reject"),
        ({}, DOMAIN, "MISSING", "_dmarc.paper.example has no record → Add a TXT record at _dmarc.paper.example"),
        ({"_dmarc.paper.example": ["v=DMARC10; p=none"]}, DOMAIN, "MISSING", "has no record"),
        ({"_dmarc.paper.example": ["v=DMARC1"]}, DOMAIN, "WRONG", "It needs a policy"),
        ({"_dmarc.paper.example": ["v=DMARC1; p=maybe"]}, DOMAIN, "WRONG", "It needs a policy"),
        (
            {"_dmarc.paper.example": ["v=DMARC1; p=none"] * 1 + ["v=DMARC1; p=reject"]},
            DOMAIN,
            "WRONG",
            "has 2 records",
        ),
        ({"_dmarc.paper.example": ["v=DMARC1; p=reject"]}, f"news.{DOMAIN}", "ok", "_dmarc.paper.example"),
        ({"_dmarc.paper.example": ["v=DMARC1; p=reject; sp=none"]}, f"news.{DOMAIN}", "ok", "only watches"),
        (
            {"_dmarc.news.paper.example": ["v=DMARC1; p=none"], "_dmarc.paper.example": ["v=DMARC1; p=reject"]},
            f"news.{DOMAIN}",
            "ok",
            "_dmarc.news.paper.example: v=DMARC1; p=none",
        ),
    ],
)
def test_dmarc_is_that_of_the_domain_or_of_its_parent(zone: dict, sender: str, state: str, said: str) -> None:
    line = dns_lines({DOMAIN: [SPF], sender: [SPF]} | zone, MAIL_FROM=f"support@{sender}")[-1]
    assert line.startswith(f"DMARC       {state:<8} ")
    assert said in line


def test_domain_that_does_not_exist_is_said_at_once() -> None:
    [line] = dns_lines({"other.example": [SPF]})
    assert line.startswith("domain      MISSING  paper.example is not in DNS → Receivers refuse a sender without")


def test_international_domain_is_asked_for_in_ascii() -> None:
    lines = dns_lines({"xn--mller-kva.example": [SPF]}, MAIL_FROM="post@müller.example")
    assert lines[0].startswith("SPF         ok ")


def test_local_sender_is_not_looked_up() -> None:
    [line] = dns_lines(ZONE, MAIL_FROM="support@localhost")
    assert "localhost is no domain on the internet" in line


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", "silent", "closed"])
@pytest.mark.parametrize("accepted", [True, False])
def test_exit_code_is_that_of_the_email_if_dns_cannot_be_reached(fault: str, accepted: bool) -> None:
    rcode = fault if fault.isupper() else None
    with RawSmtpServer() as smtp, DnsTestServer(ZONE, rcode=rcode, is_silent=fault == "silent") as dns:
        smtp.replies["RCPT"] = "250 OK" if accepted else "550 5.1.1 Unknown"
        if fault == "closed":
            dns.address = f"127.0.0.1:{free_port()}"
        result = check(smtp.url, YOU, dns=dns)
        assert result.exit_code == (0 if accepted else 1), result.output
        assert len(smtp.mails) == accepted
        assert "DNS         can't be reached from here (" in result.stdout
        assert "was not checked" in result.stdout
        assert "SPF  " not in result.stdout


def test_silent_mail_server_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gateways.email.smtp_client.REPLY_TIMEOUT", 0.3)
    with RawSmtpServer() as server:
        server.replies[GREETING] = SILENCE
        result = check(server.url, YOU)
        assert result.exit_code == 1
        assert "needs tls=implicit in MAIL_URL" in result.stderr
