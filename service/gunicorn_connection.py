"""One client's connection: the request as it arrives, and the part of the response that the client has not taken.

A thread sees only complete requests and never waits for a client, so that slow clients cost memory and no threads.
"""

import contextlib
import contextvars
import enum
import re
import socket
import struct
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

MAX_HEAD_BYTES = 32 * 1024
# A larger body is in a file until a thread takes it.
MAX_BODY_BYTES_IN_MEMORY = 64 * 1024
# More than any route accepts, so that a longer body is refused for its size.
MAX_BUFFERED_BODY_BYTES = 1024 * 1024 + 64 * 1024
MAX_CHUNK_LINE_BYTES = 8190
# `struct linger`: on, for no time.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*0*([0-9]{1,18})[ \t]*(?=\r\n)")
TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding[ \t]*:")
EXPECT = re.compile(rb" http/1\.1\r\n(?:.*\r\n)?expect[ \t]*:", re.DOTALL)
EXPECT_CONTINUE = re.compile(rb" http/1\.1\r\n(?:.*\r\n)?expect[ \t]*:[ \t]*100-continue[ \t]*\r\n", re.DOTALL)


class State(enum.Enum):
    """What a connection waits for. Only a thread touches a connection in `RESPONDING`, only the loop any other."""

    IDLE = "the first byte of a request"
    READING = "the rest of a request"
    RESPONDING = "a thread"
    WRITING = "the client to take what was sent"
    LINGERING = "the client to close, after the last response"


class RequestBuffer:
    """Collects the bytes of one request and finds its end (RFC 9112, section 6).

    It checks nothing: gunicorn's parser reads the bytes afterwards and refuses what is malformed, and what this
    class cannot frame counts as complete.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._file: IO[bytes] | None = None
        self._chunks: _ChunkScanner | None = None
        self._missing_bytes = 0
        self._body_bytes = 0
        self.is_complete = False
        self.is_truncated = False
        self.has_oversized_head = False
        self.expects_continue = False

    def __len__(self) -> int:
        return len(self._head) + self._body_bytes

    @property
    def has_head(self) -> bool:
        """Whether the request line and all headers have arrived."""
        return self._file is not None

    def feed(self, data: bytes) -> bytes:
        """Add received bytes; return those that belong to the next request."""
        if self._file is not None:
            return self._feed_body(data)
        search_from = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", search_from)
        if end < 0:
            self.has_oversized_head = self.is_complete = len(self._head) > MAX_HEAD_BYTES
            return b""
        body = bytes(self._head[end + 4 :])
        del self._head[end + 4 :]
        self.has_oversized_head = end > MAX_HEAD_BYTES
        self._start_body()
        return self._feed_body(body) if not self.is_complete else body

    def starts_with(self, *prefixes: bytes) -> bool:
        """Whether the request line starts with one of these."""
        return self._head.startswith(prefixes)

    def rewind(self) -> "RequestBuffer":
        """Prepare the buffer for `recv`, from the first byte on."""
        if self._file is not None:
            self._file.seek(0)
        return self

    def recv(self, size: int) -> bytes:
        """Return the next bytes as a socket would; none after the last."""
        if self._head:
            data = bytes(self._head[:size])
            del self._head[:size]
            return data
        return self._file.read(size) if self._file is not None else b""

    def close(self) -> None:
        """Delete the file of a large body."""
        if self._file is not None:
            self._file.close()

    def _start_body(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MAX_BODY_BYTES_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        head = bytes(self._head).lower()
        lengths = CONTENT_LENGTH.findall(head)
        self.expects_continue = EXPECT_CONTINUE.search(head) is not None
        if TRANSFER_ENCODING.search(head):
            self._chunks = _ChunkScanner()
        elif len(lengths) == 1:
            self._missing_bytes = int(lengths[0])
            self.is_complete = self._missing_bytes == 0
            if self._missing_bytes > MAX_BUFFERED_BODY_BYTES:
                self.is_complete = self.is_truncated = True
        else:
            self.is_complete = True
            # gunicorn's parser could understand a length that this class did not.
            self.is_truncated = b"\r\ncontent-length" in head
        if not self.expects_continue and EXPECT.search(head):
            # The client waits for the refusal of what it expects.
            self.is_complete = self.is_truncated = True

    def _feed_body(self, data: bytes) -> bytes:
        end: int | None
        if self._chunks is not None:
            end = self._chunks.find_end(data)
        else:
            end = self._missing_bytes if len(data) >= self._missing_bytes else None
            self._missing_bytes -= len(data)
        body = data[:end]
        assert self._file is not None  # noqa: S101 - `feed` calls this only after the head
        self._file.write(body)
        self._body_bytes += len(body)
        if end is not None:
            self.is_complete = True
            return data[end:]
        if self._body_bytes > MAX_BUFFERED_BODY_BYTES:
            self.is_complete = self.is_truncated = True
        return b""


class _ChunkScanner:
    """Finds the end of a chunked body (RFC 9112, section 7.1) piece by piece."""

    def __init__(self) -> None:
        self._line = b""
        self._skip_bytes = 0
        self._is_in_trailers = False

    def find_end(self, data: bytes) -> int | None:
        """Return the offset after the body's last byte, or of the first malformed line; None if it continues."""
        position = 0
        while position < len(data):
            if self._skip_bytes:
                step = min(self._skip_bytes, len(data) - position)
                self._skip_bytes -= step
                position += step
                continue
            end_of_line = data.find(b"\n", position)
            if end_of_line < 0:
                self._line += data[position:]
                return len(data) if len(self._line) > MAX_CHUNK_LINE_BYTES else None
            line = (self._line + data[position:end_of_line]).strip(b"\r")
            self._line = b""
            position = end_of_line + 1
            if self._is_in_trailers:
                if not line:
                    return position
                continue
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                return len(data)
            if size < 0:
                return len(data)
            self._is_in_trailers = size == 0
            # The chunk and the CRLF after it.
            self._skip_bytes = size + 2 if size else 0
        return None


class ClientDisconnected(Exception):
    """The client closed the connection while it was being answered."""


class Outbox:
    """Sends without waiting, and keeps what the client's socket does not take.

    It has the methods of a socket that gunicorn's response calls.
    """

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._pending: deque[memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._pending)

    def sendall(self, data: bytes) -> None:
        """Send the data, or keep the rest of it for `flush`."""
        self._pending.append(memoryview(data))
        if len(self._pending) == 1:
            self.flush()

    def flush(self) -> int:
        """Send as much as the socket takes; return how many bytes.

        Raises:
            ClientDisconnected: the connection is closed.
        """
        total = 0
        try:
            while self._pending:
                data = self._pending[0]
                sent = self._client.send(data)
                total += sent
                if sent < len(data):
                    self._pending[0] = data[sent:]
                    break
                self._pending.popleft()
        except BlockingIOError:
            pass
        except OSError as error:
            raise ClientDisconnected from error
        return total


@dataclass
class Exchange:
    """A request that is being answered: gunicorn's parser and response, and the chunks of the application."""

    parser: Any
    response: Any
    chunks: Any
    iterator: Iterator[bytes]


class Connection:
    """One client's connection. `deadline` (of `time.monotonic`) is when the client must have done its part."""

    def __init__(self, client: socket.socket, address: Any, server: Any, *, opened_at: float) -> None:
        client.setblocking(False)
        self.socket = client
        self.address = address
        self.server = server
        self.state = State.IDLE
        self.buffer = RequestBuffer()
        self.outbox = Outbox(client)
        self.exchange: Exchange | None = None
        # A response may be continued by another thread, with the context variables of the first.
        self.context = contextvars.Context()
        self.unread = b""
        self.keeps_alive = False
        self.is_cut_off = False
        self.is_watched = False
        self.since = self.deadline = opened_at
        # Of the current window, see `ClientLimits.bytes_per_window`.
        self.waited_seconds = 0.0
        self.taken_bytes = 0

    def close(self) -> None:
        """Close the socket and delete the buffered request."""
        self.buffer.close()
        with contextlib.suppress(OSError):
            if self.outbox or self.exchange is not None:
                # The client must not take half a response for a whole one, and the kernel must not keep the rest.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.socket.close()
