"""`mainstay emails check`: send one email through the settings, and show what the mail server and DNS say."""

import ipaddress
import sys
import uuid
from email.utils import parseaddr

import click

from service.db.clock import utc_now
from service.domain.email.addresses import normalise_address
from service.domain.ports import AlertEmail, EmailError, ServerUnavailable, UncertainDelivery
from service.gateways.email.renderer import EmailRenderer
from service.gateways.email.sender_dns import DnsUnreachable, Finding, SenderDns, State, usual_selectors
from service.gateways.email.smtp import SmtpMailer
from service.gateways.email.smtp_handshake import Exchange
from service.mail_settings import MailSettings, SmtpServer
from service.settings import read_settings

STATES: dict[State, str] = {
    "ok": "ok",
    "warning": "weak",
    "missing": "MISSING",
    "wrong": "WRONG",
    "unknown": "unknown",
}
# What an operator does about an error, by what its reason contains.
HINTS = {
    "gaierror": "The host of MAIL_URL is not in DNS, or DNS can't be reached from here.",
    "ConnectionRefusedError": "Nothing listens there: check the port of MAIL_URL.",
    "cannot connect (TimeoutError)": "Check the port of MAIL_URL, and whether a firewall or your host blocks it.",
    "not SMTP": "What answers there is no mail server: check the host and the port of MAIL_URL.",
    "TLS failed": "Ports such as 465 take tls=implicit, and 587 and 25 tls=starttls: check MAIL_URL.",
    "(EHLO": "If it dislikes the name, set MAIL_EHLO to the full name of this host.",
    "(AUTH": "Check the user and the password in MAIL_URL; special characters must be percent-encoded.",
    "certificate": "The host in MAIL_URL must be the name in the certificate.",
    "sender refused": "Verify the address or the domain of MAIL_FROM at your mail service.",
}


class _Nameserver(click.ParamType[tuple[str, int]]):
    """An IP address, with or without a port."""

    name = "address"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = value.partition(":") if value.count(":") == 1 else (value, "", "")
        try:
            address = str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            self.fail(f"{value!r} is not an IP address, such as 192.0.2.53 or 192.0.2.53:5353", param, ctx)
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            self.fail(f"{port!r} is not a port", param, ctx)
        return address, int(port or 53)


@click.command("check")
@click.argument("recipient", required=False)
@click.option("--no-send", is_flag=True, help="Only connect and log in; send nothing.")
@click.option(
    "--dkim-selector",
    "selectors",
    multiple=True,
    metavar="NAME",
    help="The selector of the DKIM key, as your mail service shows it; may be repeated.",
)
@click.option(
    "--nameserver", type=_Nameserver(), help="Ask this name server, such as 9.9.9.9; default: this machine's."
)
def check(
    recipient: str | None, no_send: bool, selectors: tuple[str, ...], nameserver: tuple[str, int] | None
) -> None:
    """Send a real test email to RECIPIENT, and show each step; - reads the address from standard input.

    It goes through MAIL_URL as every other email does, and every answer of the mail server is shown. Passwords are
    not. Then SPF, DKIM and DMARC of the sender's domain are looked up in DNS.

    The exit code is 0 if the mail server accepted the email (with --no-send: the login), and 1 if not, whatever
    DNS says. Neither the database nor a worker is needed.
    """
    if recipient is None and not no_send:
        raise click.UsageError("Name an address of yours, such as you@example.org, or use --no-send.")
    address = None if recipient is None else _address(recipient)
    settings = read_settings()
    mail = settings.mail
    failure = _no_server() if mail.server is None else _talk(mail, mail.server, None if no_send else address)
    click.echo()
    _check_dns(mail, selectors, nameserver)
    if failure is not None:
        raise click.ClickException(failure)


def _address(argument: str) -> str:
    return normalise_address(sys.stdin.readline() if argument == "-" else argument)


def _no_server() -> str:
    return (
        "MAIL_URL is outbox:, so nothing leaves: emails are stored in the database, and shown at /dev/outbox in "
        "development. Set MAIL_URL=smtp://user:password@host:587?tls=starttls to send them."
    )


def _talk(mail: MailSettings, server: SmtpServer, address: str | None) -> str | None:
    """Talk to the mail server, and print it; return what went wrong, or None."""
    renderer = EmailRenderer(mail.sender, utc_now)
    mailer = SmtpMailer(server, renderer, per_connection=1, on_exchange=_print_exchange)
    login = "without a login" if server.user is None else f"as {server.user}"
    click.echo(f"MAIL_URL    {server.address}, tls={server.tls}, {login}")
    click.echo(f"MAIL_FROM   {mail.sender}")
    click.echo(f"MAIL_EHLO   {server.ehlo_name}\n")
    try:
        if address is None:
            mailer.connect()
        else:
            reply = mailer.send(mailer.render(_test_email(address, renderer.sender_address, server)))
    except EmailError as error:
        return _explain(error)
    finally:
        mailer.close()
    if address is None:
        click.echo(f"\nThe mail server lets us in{'' if server.user is None else ' and accepted the login'}.")
    else:
        click.echo(f"\nThe mail server accepted the email ({reply}). Is it in the inbox, or in spam?")
    return None


def _test_email(address: str, sender: str, server: SmtpServer) -> AlertEmail:
    return AlertEmail(
        message_id=f"<check-{uuid.uuid4()}@{sender.rpartition('@')[2]}>",
        to=address,
        subject="Test email from Mainstay",
        paragraphs=(
            "This is the test email of mainstay emails check. Emails to readers leave the same way.",
            f"It came through {server.address}.",
            "If it was in your spam folder, look at what the command says of SPF, DKIM and DMARC.",
        ),
    )


def _explain(error: EmailError) -> str:
    """Return why the email was not accepted, and what to do about it if that is known."""
    if isinstance(error, UncertainDelivery):
        return f"It is not known whether the mail server accepted the email: {error}. Look into the inbox."
    what = (
        "The mail server can't be used" if isinstance(error, ServerUnavailable) else "The email was not accepted"
    )
    hint = next((hint for sign, hint in HINTS.items() if sign in str(error)), "")
    return f"{what}: {error}. {hint}".rstrip()


def _print_exchange(exchange: Exchange) -> None:
    click.echo(f"{exchange.said}  ({exchange.seconds * 1000:.0f} ms)")
    if exchange.reply is not None:
        for line in exchange.reply.printable_lines:
            click.echo(f"    {line}")


def _check_dns(mail: MailSettings, selectors: tuple[str, ...], nameserver: tuple[str, int] | None) -> None:
    domain = parseaddr(mail.sender)[1].rpartition("@")[2].lower()
    if "." not in domain:
        click.echo(
            f"DNS         {domain} is no domain on the internet; set MAIL_FROM to check SPF, DKIM and DMARC."
        )
        return
    guesses = usual_selectors(mail.server.host) if mail.server is not None else ()
    host, port = nameserver or (None, 53)
    try:
        dns = SenderDns(domain, nameserver=host, port=port)
        for finding in dns.findings(selectors=selectors or guesses, are_guesses=not selectors):
            _print_finding(finding)
    except DnsUnreachable as error:
        click.echo(
            f"DNS         can't be reached from here ({error}), so what {domain} says of SPF, DKIM and DMARC was "
            "not checked."
        )


def _print_finding(finding: Finding) -> None:
    click.echo(f"{finding.name:<11} {STATES[finding.state]:<8} {finding.found}")
    if finding.advice:
        click.echo(f"{'':<20} {finding.advice}")
