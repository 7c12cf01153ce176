"""A baseline: a loop over smtplib with one connection, without rate limit or retries.

It reads one of our emails from standard input and sends copies of it, by one of three strategies:

* *prebuilt*: all emails are built before the first is sent, so that only the sending is measured.
* *built*: each email is an EmailMessage that is built from finished texts just before it is sent.
* *recorded*: like prebuilt, but before each email a row is changed by its id and committed, the minimum for
  sending none twice.
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

# `set_content` and `add_alternative` set these headers themselves.
CONTENT_HEADERS = ("mime-version", "content-type", "content-transfer-encoding")


def main() -> None:
    """Send `argv[3]` emails to the port `argv[2]` by the strategy `argv[1]`; `argv[4]` is the database's URL."""
    strategy, port, count, url = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    sample = message_from_bytes(sys.stdin.buffer.read(), policy=RFC_5321)
    assert isinstance(sample, EmailMessage)
    with smtplib.SMTP("127.0.0.1", port) as connection, psycopg.connect(url, autocommit=True) as database:
        if strategy == "built":
            for message in _build(sample, count):
                connection.send_message(message)
            return
        _create_rows(database, count)
        sender = parseaddr(sample["From"])[1]
        prebuilt = [(message["To"], message.as_bytes()) for message in _build(sample, count)]
        for number, (recipient, content) in enumerate(prebuilt):
            if strategy == "recorded":
                database.execute("UPDATE baseline_record SET started_at = now() WHERE id = %s", [number])
            connection.sendmail(sender, [recipient], content)


def _create_rows(database: psycopg.Connection, count: int) -> None:
    """Create the table of the rows to change, with one for each email."""
    database.execute("DROP TABLE IF EXISTS baseline_record")
    database.execute(
        "CREATE TABLE baseline_record (id integer PRIMARY KEY, recipient text, started_at timestamptz)"
    )
    with database.cursor().copy("COPY baseline_record (id, recipient) FROM STDIN") as copy:
        for number in range(count):
            copy.write_row((number, address(number)))
    database.execute("ANALYZE baseline_record")


def _build(sample: EmailMessage, count: int) -> Iterator[EmailMessage]:
    """Yield copies of the sample, each with a recipient and a Message-ID of its own."""
    text, html = (_text_of(sample, kind) for kind in ("plain", "html"))
    headers = [(name, str(value)) for name, value in sample.items() if name.lower() not in CONTENT_HEADERS]
    for number in range(count):
        overrides = {"to": address(number), "message-id": f"<reminder-{number}-1@paper.example>"}
        message = EmailMessage(policy=RFC_5321)
        for name, value in headers:
            message[name] = overrides.get(name.lower(), value)
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        yield message


def _text_of(sample: EmailMessage, kind: str) -> str:
    part = sample.get_body((kind,))
    assert part is not None
    return str(part.get_content())


if __name__ == "__main__":
    main()
