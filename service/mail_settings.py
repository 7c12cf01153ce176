"""The settings of emails: how they are sent, and which services report deliveries and bounces."""

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import idna
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from environs import Env, ValidationError, validate

from service.ehlo_name import default_ehlo_name, parse_ehlo_name
from service.setting_values import SettingsError, get_int, listed, one_of

OUTBOX_URLS = ("outbox:", "outbox")
POSTMARK_LOGIN = validate.Regexp(
    "(?s)[^:]+:.",
    error="POSTMARK_WEBHOOK_LOGIN must be user:password, as in the webhook's address at Postmark.",
)
BREVO_TOKEN = validate.Regexp(
    r"[!-~]{16,}\Z",
    error="BREVO_WEBHOOK_TOKEN must be 16 or more letters, digits and other characters of ASCII, without spaces.",
)
# The region becomes part of a host name, which these letters keep from being any other host.
SES_TOPIC = re.compile(
    r"arn:(?P<partition>aws|aws-us-gov|aws-cn):sns:(?P<region>[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2})"
    r":[0-9]{12}:[A-Za-z0-9_-]{1,256}\Z"
)
SES_TOPIC_ARN = validate.Regexp(
    SES_TOPIC,
    error="SES_TOPIC_ARN must be the ARN of a standard topic of Amazon SNS, such as "
    "arn:aws:sns:eu-west-1:123456789012:mainstay.",
)


# What may stand on either side of an address's @: atoms with dots between them (RFC 5322 and 6531).
_ATOM = r"[^\x00- \x7f-\xa0()<>\[\]\\,;:@\".]+"
_ATOMS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = "[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# An address alone, or in angle brackets after a name. Unquoted punctuation could begin a second address.
_MAILBOX = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*"|[^",;:<>@()\[\]\\]*?)\s*<(?P<bracketed>[^<>\s]+)>|(?P<bare>[^<>\s]+)'
)
MAX_ADDRESS_LENGTH = 254


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """The SMTP server of MAIL_URL. `tls` is `starttls`, `implicit` or `none`.

    `ehlo_name` is how we introduce ourselves to it: a domain name or an address literal.
    """

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None = field(repr=False)
    ehlo_name: str

    @property
    def address(self) -> str:
        """The host and port, by which the database knows what this server supports."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class ImapMailbox:
    """The mailbox of ARF_MAILBOX_URL, which is reached by TLS only."""

    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    folder: str


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """How emails are sent.

    `rate` is emails a second for all workers together; None means no limit. Each worker opens `connections` and
    reopens each after `max_per_connection` emails. `hold_uncertain` fails an email for staff to retry if it may
    have been sent when its worker died. `respect_sending_hours` delays late emails to a campaign's sending hours.
    A lease expires after `lease_seconds`. `postmark_credentials`, `mailgun_key`, `ses_topic`, `sendgrid_key` and
    `brevo_token` authenticate the webhooks of these services; without them, the webhook route does not exist.
    Abuse reports are read from `report_mailbox`. `alert_recipients` are the addresses of the staff who get alerts,
    and `sandbox_recipients` the only ones that get emails about pledges in the sandbox.
    """

    server: SmtpServer | None = field(repr=False)
    sender: str
    rate: float | None
    connections: int
    max_per_connection: int
    hold_uncertain: bool
    respect_sending_hours: bool
    lease_seconds: int
    postmark_credentials: str | None = field(repr=False)
    mailgun_key: str | None = field(repr=False)
    ses_topic: str | None = None
    sendgrid_key: str | None = None
    brevo_token: str | None = field(default=None, repr=False)
    report_mailbox: ImapMailbox | None = None
    alert_recipients: tuple[str, ...] = field(default=(), repr=False)
    sandbox_recipients: tuple[str, ...] = field(default=(), repr=False)

    @property
    def server_address(self) -> str | None:
        """The host and port of the server; None if emails are kept in the development outbox."""
        return None if self.server is None else self.server.address


def mail_settings(env: Env, *, public_url: str, demo_clock: bool) -> MailSettings:
    """Read the email settings; with `demo_clock`, emails ignore the sending hours by default."""
    ehlo_name = env.str("MAIL_EHLO", None)
    hours = one_of("SENDING_HOURS", "campaign", "any")
    in_doubt = one_of("MAIL_IN_DOUBT", "resend", "hold")
    return MailSettings(
        server=_server(
            env.str("MAIL_URL", OUTBOX_URLS[0]),
            ehlo_name=default_ehlo_name(public_url) if ehlo_name is None else _ehlo_name(ehlo_name),
        ),
        sender=_sender(env.str("MAIL_FROM", "Mainstay <support@localhost>")),
        rate=_rate(env.str("MAIL_RATE", "off")),
        connections=get_int(env, "MAIL_CONNECTIONS", 1, minimum=1, maximum=32),
        max_per_connection=get_int(env, "MAIL_PER_CONNECTION", 100, minimum=1, maximum=100_000),
        hold_uncertain=env.str("MAIL_IN_DOUBT", "resend", validate=in_doubt) == "hold",
        respect_sending_hours=env.str("SENDING_HOURS", "any" if demo_clock else "campaign", validate=hours)
        == "campaign",
        lease_seconds=get_int(env, "LEASE_SECONDS", 60, minimum=10, maximum=3600),
        postmark_credentials=env.str("POSTMARK_WEBHOOK_LOGIN", None, validate=POSTMARK_LOGIN),
        mailgun_key=env.str("MAILGUN_WEBHOOK_KEY", None),
        ses_topic=env.str("SES_TOPIC_ARN", None, validate=SES_TOPIC_ARN),
        sendgrid_key=env.str("SENDGRID_WEBHOOK_KEY", None, validate=_check_sendgrid_key),
        brevo_token=env.str("BREVO_WEBHOOK_TOKEN", None, validate=BREVO_TOKEN),
        report_mailbox=_report_mailbox(env.str("ARF_MAILBOX_URL", None)),
        alert_recipients=_recipients(env, "ALERT_EMAIL"),
        sandbox_recipients=_recipients(env, "SANDBOX_RECIPIENTS"),
    )


def _server(url: str, *, ehlo_name: str) -> SmtpServer | None:
    if url in OUTBOX_URLS:
        return None
    usage = "MAIL_URL must be outbox: or smtp://user:password@host:port?tls=starttls, implicit or none"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{usage}.") from error
    options = parse_qs(parts.query, keep_blank_values=True)
    tls = options.pop("tls", ["implicit" if port == 465 else "starttls"])[0]
    if parts.scheme != "smtp" or not parts.hostname or options or tls not in ("starttls", "implicit", "none"):
        raise SettingsError(f"{usage}.")
    return SmtpServer(
        host=parts.hostname,
        port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ehlo_name=ehlo_name,
    )


def _ehlo_name(name: str) -> str:
    try:
        return parse_ehlo_name(name)
    except ValueError as error:
        raise SettingsError(
            "MAIL_EHLO must be the full name of this host, such as mail.paper.example, or its address in "
            f"brackets, as [192.0.2.1] or [IPv6:2001:db8::1], not {name[:80]!r}."
        ) from error


def _sender(sender: str) -> str:
    """Return the sender with its host in ASCII (IDNA), so that an email to an ASCII address needs no SMTPUTF8."""
    match = _MAILBOX.fullmatch(sender)
    address = "" if match is None else _ascii_address(match["bracketed"] or match["bare"])
    if match is None or not address or any(ord(character) < 32 for character in sender):
        raise SettingsError(
            "MAIL_FROM must be one address, such as 'The Paper <support@paper.example>', with the name in double "
            f"quotes if it has a comma or other punctuation, not {sender!r}."
        )
    return address if match["bare"] else f"{match['name']} <{address}>".lstrip()


def _ascii_address(address: str) -> str:
    """Return an email address with its host in lower-case ASCII (IDNA 2008); an empty string if it is none."""
    local_part, _, host = address.rpartition("@")
    try:
        ascii_host = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return ""
    valid = _ATOMS.fullmatch(local_part) and _HOST.fullmatch(ascii_host)
    return f"{local_part}@{ascii_host}" if valid and len(address) <= MAX_ADDRESS_LENGTH else ""


def _report_mailbox(url: str | None) -> ImapMailbox | None:
    """Return the mailbox of a URL; the message of an error does not repeat it, because it has a password in it."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        folder = unquote(parts.path.removeprefix("/")) or "INBOX"
        valid = parts.scheme == "imaps" and parts.hostname and user and password and not parts.query
    except ValueError:
        valid = None
    # A line break would begin another command, and IMAP has an encoding of its own for names that are not ASCII.
    if not valid or port == 0 or not (f"{user}{password}{folder}".isprintable() and folder.isascii()):
        raise SettingsError(
            "ARF_MAILBOX_URL must be imaps://user:password@host/INBOX; write an @ in the user or password as %40."
        )
    return ImapMailbox(host=parts.hostname or "", port=port or 993, user=user, password=password, folder=folder)


def _check_sendgrid_key(text: str) -> None:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValidationError(
            "SENDGRID_WEBHOOK_KEY must be the verification key of SendGrid's signed Event Webhook, which begins "
            "with MFkw."
        )


def _recipients(env: Env, name: str) -> tuple[str, ...]:
    addresses = {typed: _ascii_address(typed) for typed in listed(env, name)}
    for typed, address in addresses.items():
        if not address:
            raise SettingsError(
                f"{name} must be one or more email addresses with commas between them, such as "
                f"treasurer@paper.example, not {typed!r}."
            )
    return tuple(dict.fromkeys(addresses.values()))


def _rate(text: str) -> float | None:
    if text == "off":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    # The comparison is also false for "nan".
    if not 0.01 <= rate <= 10_000:
        raise SettingsError(f"MAIL_RATE must be off or emails a second from 0.01 to 10000, not {text[:40]!r}.")
    return rate
