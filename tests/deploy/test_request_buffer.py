"""The request buffer finds the same end of a request as gunicorn's parser, however the bytes arrive."""

import contextlib
import itertools

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from service.gunicorn_connection import MAX_BUFFERED_BODY_BYTES, RequestBuffer

NEXT_REQUEST = b"GET /next HTTP/1.1\r\n\r\n"


def chunked(chunks: list[bytes], extension: bytes, trailer: bytes) -> bytes:
    sized = b"".join(b"%X%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk)
    return sized + b"0\r\n" + trailer + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a request, and its body."""
    name = draw(st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]))
    body = draw(st.binary(max_size=300))
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    if draw(st.booleans()):
        return head + name + b": %d\r\n\r\n" % len(body) + body, body
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=5)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    extension = draw(st.sampled_from([b"", b";a=b", b' ; q="x"']))
    trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(chunks, extension, trailer), body


@given(request=requests(), cuts=st.lists(st.integers(1, 700), max_size=20), has_next=st.booleans())
def test_end_of_request_is_found_in_any_pieces(
    request: tuple[bytes, bytes], cuts: list[int], has_next: bool
) -> None:
    data, body = request
    stream = data + (NEXT_REQUEST if has_next else b"")
    bounds = [0, *sorted(set(cuts) & set(range(len(stream)))), len(stream)]
    buffer, rest, position = RequestBuffer(), b"", 0
    for start, end in itertools.pairwise(bounds):
        assert not buffer.is_complete
        rest, position = buffer.feed(stream[start:end]), end
        if buffer.is_complete:
            break
    assert buffer.is_complete
    assert not buffer.is_truncated
    assert position - len(rest) == len(data)
    parser = RequestParser(Config(), buffer.rewind(), ("127.0.0.1", 1))
    assert next(parser).body.read() == body
    assert parser.unreader.read(1) == b""


@pytest.mark.parametrize("cut", range(1, 60))
def test_incomplete_request_is_not_complete(cut: int) -> None:
    buffer = RequestBuffer()
    buffer.feed((b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")[:-cut])
    assert not buffer.is_complete


def test_large_body_is_kept_in_a_file_up_to_a_limit() -> None:
    buffer = RequestBuffer()
    buffer.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n")
    while not buffer.is_complete:
        buffer.feed(b" " * 65536)
    assert buffer.is_truncated
    assert len(buffer) < MAX_BUFFERED_BODY_BYTES + 2 * 65536
    buffer.close()


@pytest.mark.parametrize(
    "length",
    [
        "5",
        "05",
        "0" * 30 + "5",
        "0" * 400 + "5 ",
        "5" * 19,
        "0" * 9 + "9" * 40,
        "+5",
        "5, 5",
        "0x5",
        "5;",
        "5\xa0",
        "",
    ],
)
def test_no_length_is_read_differently_from_gunicorn(length: str) -> None:
    stream = (
        b"POST / HTTP/1.1\r\nContent-Length: " + length.encode("latin-1") + b"\r\n\r\n0\r\n\r\n" + NEXT_REQUEST
    )
    parser, buffer = RequestParser(Config(), iter([stream]), ("127.0.0.1", 1)), RequestBuffer()
    rest = buffer.feed(stream)
    with contextlib.suppress(ParseException):
        next(parser).body.read()
        # Only a request that was buffered whole leaves its connection for another one.
        assert buffer.is_truncated or not buffer.is_complete or rest == parser.unreader.read() == NEXT_REQUEST
    buffer.close()
