"""A small IMAP server over TLS on 127.0.0.1, with one folder, as far as reading a mailbox needs (RFC 9051)."""

import base64
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from service.gateways.imap import ImapReportMailbox
from tests.conftest import settings_for
from tests.gateways.certificates import make_server_context

FETCH = re.compile(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)")
STORE = re.compile(r"UID STORE (\d+) \+FLAGS\.SILENT \(\\Seen\)")
USER, PASSWORD = 'reports "at" news.example', "pass\\word: é/@"


@dataclass
class ImapTestServer:
    """Serves `messages`; `seen` are the numbers of those that were marked as read, from 1."""

    port: int
    trusted: Path
    messages: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    offers_plain: bool = True
    folder: str = "INBOX"
    # After this command, the server closes the connection without an answer.
    breaks_at: str | None = None
    # After this command, the server is silent.
    hangs_at: str | None = None
    password: str = PASSWORD
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, *, user: str = USER, password: str = PASSWORD, folder: str = "") -> str:
        """Return an ARF_MAILBOX_URL."""
        return f"imaps://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(folder)}"

    def mailbox(self, *, timeout_seconds: float = 60, **parts: str) -> ImapReportMailbox:
        """Return a mailbox that trusts this server's authority only."""
        settings = settings_for("sqlite://", ARF_MAILBOX_URL=self.url(**parts)).mail.report_mailbox
        assert settings is not None
        context = ssl.create_default_context(cafile=str(self.trusted))
        return ImapReportMailbox(settings, context=context, timeout_seconds=timeout_seconds)


class _Connection(socketserver.StreamRequestHandler):
    state: ImapTestServer

    def handle(self) -> None:
        self._send(b"* OK ready")
        for line in self.rfile:
            tag, _, command = line.decode().strip().partition(" ")
            name = command.upper().split(" ")[1 if command.upper().startswith("UID ") else 0]
            self.state.commands.append(name)
            if name == self.state.breaks_at:
                return
            if name == self.state.hangs_at:
                self.state.released.wait(60)
                return
            status = self._answer(name, command)
            self._send(f"{tag} {status}".encode())
            if name == "LOGOUT":
                return

    def _answer(self, name: str, command: str) -> str:
        state = self.state
        match name:
            case "CAPABILITY":
                self._send(b"* CAPABILITY IMAP4rev1" + (b" AUTH=PLAIN" if state.offers_plain else b""))
            case "AUTHENTICATE":
                self._send(b"+ ")
                credentials = base64.b64decode(self.rfile.readline())
                if credentials != f"\0{USER}\0{state.password}".encode():
                    return "NO [AUTHENTICATIONFAILED] reader@example.org has no access"
            case "LOGIN":
                user, password = re.findall(r'"((?:[^"\\]|\\.)*)"', command)
                if (re.sub(r"\\(.)", r"\1", user), re.sub(r"\\(.)", r"\1", password)) != (USER, state.password):
                    return "NO [AUTHENTICATIONFAILED] reader@example.org has no access"
            case "SELECT":
                if command != f'SELECT "{state.folder}"':
                    return "NO [NONEXISTENT] no such mailbox"
                self._send(f"* {len(state.messages)} EXISTS".encode())
            case "SEARCH":
                unread = [str(number) for number in range(1, len(state.messages) + 1) if number not in state.seen]
                self._send(" ".join(["* SEARCH", *unread]).encode())
            case "FETCH":
                [(uid, size)] = FETCH.findall(command)
                content = state.messages[int(uid) - 1][: int(size)]
                self._send(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(content)}}}\r\n".encode() + content + b")")
            case "STORE":
                [uid] = STORE.findall(command)
                state.seen.add(int(uid))
            case "LOGOUT":
                self._send(b"* BYE")
        return "OK done"

    def _send(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def serve_imap(folder: Path) -> Iterator[ImapTestServer]:
    """Run a server until the block ends."""
    context, trusted = make_server_context(folder)

    class Connection(_Connection):
        state: ImapTestServer

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # A client that gives up is no error of the test.
    server.handle_error = lambda *_args: None
    Connection.state = ImapTestServer(port=server.server_address[1], trusted=trusted)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Connection.state
    finally:
        Connection.state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
