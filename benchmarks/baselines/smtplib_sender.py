"""Bare loops over smtplib with one connection that is kept: no rate, no second try, and mostly no database.

It reads a mail of ours from standard input and sends as many like it as it is told. *ready*: all are made before
the first leaves, so that nothing but the sending is left. *built*: each is an EmailMessage that is made when its
turn comes, of texts that are ready, as one would write it without us. *recorded*: ready, but a row is committed
before each leaves, which is the least that whoever must not mail anybody twice has to do.
"""

import smtplib
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as RFC_5321
from email.utils import parseaddr

import psycopg

from benchmarks.dataset import address

# These come with the content, in whatever form it takes.
CONTENT_HEADERS = ("mime-version", "content-type", "content-transfer-encoding")


def main() -> None:
    """Send `argv[3]` mails to the port `argv[2]` in the way `argv[1]`; `argv[4]` is the database for a record."""
    way, port, count, url = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    sample = message_from_bytes(sys.stdin.buffer.read(), policy=RFC_5321)
    assert isinstance(sample, EmailMessage)
    with smtplib.SMTP("127.0.0.1", port) as connection, psycopg.connect(url, autocommit=True) as database:
        if way == "built":
            for mail in _built(sample, count):
                connection.send_message(mail)
            return
        database.execute("CREATE TABLE IF NOT EXISTS bare_record (recipient text, at timestamptz DEFAULT now())")
        sender = parseaddr(sample["From"])[1]
        ready = [(mail["To"], mail.as_bytes()) for mail in _built(sample, count)]
        for recipient, content in ready:
            if way == "recorded":
                database.execute("INSERT INTO bare_record (recipient) VALUES (%s)", [recipient])
            connection.sendmail(sender, [recipient], content)


def _built(sample: EmailMessage, count: int) -> Iterator[EmailMessage]:
    """Yield mails with the headers and texts of the sample, each to another reader under another Message-ID."""
    text, html = (_text_of(sample, kind) for kind in ("plain", "html"))
    headers = [(name, str(value)) for name, value in sample.items() if name.lower() not in CONTENT_HEADERS]
    for number in range(count):
        own = {"to": address(number), "message-id": f"<reminder-{number}-1@paper.example>"}
        mail = EmailMessage(policy=RFC_5321)
        for name, value in headers:
            mail[name] = own.get(name.lower(), value)
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
        yield mail


def _text_of(sample: EmailMessage, kind: str) -> str:
    part = sample.get_body((kind,))
    assert part is not None
    return str(part.get_content())


if __name__ == "__main__":
    main()
