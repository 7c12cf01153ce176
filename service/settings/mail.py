"""The settings of the mail: the server, the sender, how fast, and what to do in doubt."""

from dataclasses import dataclass, field
from email.utils import parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

from environs import Env

from service.settings.reading import SettingsError, one_of, text, whole


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where `smtp` mail goes. `tls` is `starttls`, `implicit` or `none`."""

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class MailSettings:
    """How mails leave.

    `rate` is mails a second by all workers together, None for as fast as they can. Each worker opens
    `connections`; each carries `per_connection` mails and is then opened anew. `holds_doubtful` holds
    back for staff a mail that may or may not have left when its worker died. `keeps_hours` sends late mails only
    within a campaign's sending hours. A worker without a sign of life for `lease_seconds` loses what it holds.
    The last two are what two mail services must prove to report bounces; without one, its endpoint does not exist.
    """

    server: MailServer | None = field(repr=False)
    sender: str
    rate: float | None
    connections: int
    per_connection: int
    holds_doubtful: bool
    keeps_hours: bool
    lease_seconds: int
    postmark_login: str | None = field(repr=False)
    mailgun_key: str | None = field(repr=False)


def mail_settings(env: Env, *, in_a_hurry: bool) -> MailSettings:
    """Read them all; in a hurry, as when a month lasts a minute, no mail waits for the morning."""
    hours = text(env, "SENDING_HOURS", "any" if in_a_hurry else "campaign")
    return MailSettings(
        server=_server(text(env, "MAIL_URL", "outbox:")),
        sender=_sender(text(env, "MAIL_FROM", "Mainstay <support@localhost>")),
        rate=_rate(text(env, "MAIL_RATE")),
        connections=whole(env, "MAIL_CONNECTIONS", 1, lowest=1, highest=32),
        per_connection=whole(env, "MAIL_PER_CONNECTION", 100, lowest=1, highest=100_000),
        holds_doubtful=one_of("MAIL_IN_DOUBT", text(env, "MAIL_IN_DOUBT", "resend"), ("resend", "hold")) == "hold",
        keeps_hours=one_of("SENDING_HOURS", hours, ("campaign", "any")) == "campaign",
        lease_seconds=whole(env, "LEASE_SECONDS", 60, lowest=10, highest=3600),
        postmark_login=_login(text(env, "POSTMARK_WEBHOOK_LOGIN")),
        mailgun_key=text(env, "MAILGUN_WEBHOOK_KEY"),
    )


def _server(url: str) -> MailServer | None:
    if url in ("outbox:", "outbox"):
        return None
    wish = "MAIL_URL must be outbox: or smtp://user:password@host:port?tls=starttls, implicit or none"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{wish}.") from error
    options = parse_qs(parts.query, keep_blank_values=True)
    tls = options.pop("tls", ["implicit" if port == 465 else "starttls"])[0]
    if parts.scheme != "smtp" or not parts.hostname or options or tls not in ("starttls", "implicit", "none"):
        raise SettingsError(f"{wish}.")
    return MailServer(
        host=parts.hostname,
        port=port or {"implicit": 465, "starttls": 587, "none": 25}[tls],
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _sender(sender: str) -> str:
    name, _, host = parseaddr(sender)[1].rpartition("@")
    # A host must begin like one, or the library that writes headers takes offence at every single mail.
    if not name or not host[:1].isalnum() or any(ord(sign) < 32 for sign in sender):
        raise SettingsError(
            f"MAIL_FROM must be an address such as 'The Paper <support@paper.example>', not {sender!r}."
        )
    return sender


def _rate(written: str | None) -> float | None:
    if written is None or written == "off":
        return None
    try:
        rate = float(written)
    except ValueError:
        rate = 0
    # The comparison is false for "nan" as well.
    if not 0.01 <= rate <= 10_000:
        raise SettingsError(f"MAIL_RATE must be off or mails a second from 0.01 to 10000, not {written[:40]!r}.")
    return rate


def _login(login: str | None) -> str | None:
    user, separator, password = (login or ":").partition(":")
    if login is not None and not (user and separator and password):
        raise SettingsError(
            "POSTMARK_WEBHOOK_LOGIN must be user:password, as in the webhook's address at Postmark."
        )
    return login
