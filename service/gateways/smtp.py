"""The mailer that sends, over one connection that is reused for so many mails."""

import ssl
from collections.abc import Callable

from service.domain.ports import (
    Letter,
    Mail,
    MailDoubtful,
    MailRefused,
    MailServerAway,
    MailServerRefusesUs,
    MailTrouble,
    MailWithheld,
)
from service.gateways.letters import LetterWriter
from service.gateways.smtp_line import SmtpLine
from service.gateways.smtp_replies import GOODBYE, Reply, Step, trouble_in
from service.settings import MailServer


class SmtpMailer:
    """Sends mails to the configured server (RFC 5321), and tells apart whom each failure is about.

    | what happens | what it means |
    |---|---|
    | cannot connect, connection lost before the mail was handed over, goodbye (421) | MailServerAway |
    | login, certificate or sender refused | MailServerRefusesUs |
    | not to leave after all, which is asked once the recipient is accepted | MailWithheld |
    | recipient or message refused for now (4xx) | MailDelayed |
    | recipient or message refused for good (5xx) | MailRefused |
    | connection lost after the mail was handed over, and before the reply | MailDoubtful |
    """

    def __init__(self, server: MailServer, writer: LetterWriter, *, per_connection: int) -> None:
        self._server = server
        self._writer = writer
        self._per_connection = per_connection
        self._line: SmtpLine | None = None
        self._context: ssl.SSLContext | None = None

    def write(self, letter: Letter) -> Mail:
        """Return the letter as a mail; whatever it raises is the letter's fault."""
        return self._writer.write(letter)

    def open(self) -> None:
        """Make sure that the server listens: an open connection is asked, for it may have ended meanwhile.

        Raises:
            MailServerAway, MailServerRefusesUs: it does not.
        """
        if self._line is not None:
            try:
                if self._line.ask("NOOP").is_within(2):
                    return
            except MailServerAway:
                pass
            self._hang_up()
        self._connected()

    def send(self, mail: Mail, *, may_leave: Callable[[], bool] = lambda: True) -> str:
        """Send one mail, unless it may not leave; return what the server said when it accepted it.

        Raises:
            MailTrouble: as the table above says.
        """
        try:
            return self._send(mail, may_leave)
        except (MailServerAway, MailDoubtful):
            self._hang_up()
            raise
        except MailTrouble:
            self._start_over()
            raise
        except BaseException:
            # Nobody can say how far this got, and the next mail must not go on from there.
            self._hang_up()
            raise

    def close(self) -> None:
        """Say goodbye and let go of the connection."""
        line, self._line = self._line, None
        if line is not None:
            line.quit()

    def _send(self, mail: Mail, may_leave: Callable[[], bool]) -> str:
        line = self._begin(mail)
        _expect(2, "recipient", line.ask(f"RCPT TO:<{mail.recipient}>"))
        if not may_leave():
            raise MailWithheld("it was not to leave after all")
        _expect(3, "message", line.ask("DATA"))
        reply = line.hand_over(mail.content)
        _expect(2, "content", reply)
        return reply.said

    def _begin(self, mail: Mail) -> SmtpLine:
        """Name the sender, and return the connection on which it was accepted.

        A server may have ended a connection that was kept. No part of the mail has left then, so that a new one
        is opened and nobody need know.
        """
        if self._line is not None and self._line.mails >= self._per_connection:
            self.close()
        was_kept = self._line is not None
        line, reply = self._connected(), None
        try:
            reply = self._name_sender(line, mail)
        except MailServerAway:
            if not was_kept:
                raise
        if reply is None or (was_kept and reply.code == GOODBYE):
            self._hang_up()
            line = self._connected()
            reply = self._name_sender(line, mail)
        # For an address in another script more is asked for, which can be refused for that mail alone.
        _expect(2, "sender" if mail.recipient.isascii() else "message", reply)
        return line

    def _name_sender(self, line: SmtpLine, mail: Mail) -> Reply:
        sender = self._writer.sender_address
        options = f" SIZE={len(mail.content)}" if line.offers("size") else ""
        if not (sender + mail.recipient).isascii():
            if not line.offers("smtputf8"):
                self._refuse_other_scripts(sender)
            line.speak_utf8()
            options += " SMTPUTF8 BODY=8BITMIME"
        line.mails += 1
        return line.ask(f"MAIL FROM:<{sender}>{options}")

    def _refuse_other_scripts(self, sender: str) -> None:
        if not sender.isascii():
            raise MailServerRefusesUs("the server cannot send from international addresses")
        raise MailRefused("the server cannot send to international addresses")

    def _connected(self) -> SmtpLine:
        if self._line is None:
            if self._context is None and self._server.tls != "none":
                # Reading every authority that we trust takes longer than writing a hundred mails.
                self._context = ssl.create_default_context()
            self._line = SmtpLine(self._server, self._context)
        return self._line

    def _start_over(self) -> None:
        """Make the connection ready for the next mail, or let go of it."""
        try:
            if self._line is not None and self._line.ask("RSET").is_within(2):
                return
        except MailServerAway:
            pass
        self._hang_up()

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.drop()


def _expect(hundred: int, step: Step, reply: Reply) -> None:
    if not reply.is_within(hundred):
        raise trouble_in(step, reply)
