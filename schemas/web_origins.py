"""Origins and host names in the form in which browsers write them (WHATWG URL; UTS 46 for names in any script).

Staff type them, and browsers compare them with the `Origin` header, so both must be the same text.
"""

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import unquote

import idna

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535
# RFC 1035, section 2.3.4.
MAX_HOST_LENGTH, MAX_LABEL_LENGTH = 253, 63
# As browsers read it: any number of slashes, or backslashes, after the scheme.
URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>[/\\]*)(?P<authority>[^/\\?#]*)(?P<rest>.*)", re.DOTALL
)
PORT = re.compile(r"(?P<host>.*?)(:(?P<port>[0-9]*))?", re.DOTALL)
# Browsers read a name that ends with a number as an IPv4 address, also in octal and hexadecimal.
ENDS_WITH_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
# What no host name may contain after decoding (WHATWG URL, section 3.2), and what a file would hold by mistake.
FORBIDDEN = re.compile(r"[\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f]")
EXAMPLE_ORIGIN, EXAMPLE_HOST = "https://paper.example", "paper.example"


class InvalidOrigin(ValueError):
    """This is no origin or host name; the message says what was understood and what to write."""


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it, or `*`.

    Raises:
        InvalidOrigin: the message is for the person who typed it.
    """
    text = text.strip()
    if text == "*":
        return text
    match = URL.fullmatch(text)
    if "*" in text and (match is None or not match["slashes"]):
        raise InvalidOrigin(_no_wildcard(text, "origin"))
    # "paper.example:8080" looks like a scheme with a path.
    if match is None or not (match["slashes"] or match["scheme"].lower() in DEFAULT_PORTS):
        host = _host_of(text)
        raise InvalidOrigin(
            f"An origin begins with its scheme: write https://{host}." if host else _example(EXAMPLE_ORIGIN)
        )
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidOrigin(f"Only http and https can embed a campaign, not {scheme}: write {EXAMPLE_ORIGIN}.")
    origin = f"{scheme}://{_parse_authority(match['authority'], scheme, EXAMPLE_ORIGIN)}"
    if match["rest"] not in ("", "/"):
        raise InvalidOrigin(
            f"This was understood as {origin} with {match['rest']!r} after it, but an origin has no path: "
            f"write {origin}."
        )
    return origin


def parse_host(text: str) -> str:
    """Return a host name as browsers write it, without a scheme or port.

    Raises:
        InvalidOrigin: the message is for the person who typed it.
    """
    text = text.strip()
    host = _host_of(text)
    if host is None or "/" in text or "\\" in text or (":" in text and not host.startswith("[")):
        understood = f"This was understood as {host}. " if host else ""
        raise InvalidOrigin(f"{understood}Give the host name alone, such as {host or EXAMPLE_HOST}.")
    if "*" in host:
        raise InvalidOrigin(_no_wildcard(host, "host"))
    return _parse_host(text, EXAMPLE_HOST)


@lru_cache(maxsize=1024)
def normalise_origin(text: str) -> str:
    """Return an origin as browsers write it; one that cannot be read is returned as it is, and matches nothing."""
    try:
        return parse_origin(text)
    except InvalidOrigin:
        return text


@lru_cache(maxsize=1024)
def normalise_host(text: str) -> str:
    """Return a host name as browsers write it; one that cannot be read is returned in lower case."""
    try:
        return _parse_host(f"[{text}]" if ":" in text and not text.startswith("[") else text, EXAMPLE_HOST)
    except InvalidOrigin:
        return text.lower()


def _parse_authority(authority: str, scheme: str, example: str) -> str:
    if "@" in authority:
        raise InvalidOrigin(f"An origin has no user name or password: {_example(example)}")
    if "*" in authority:
        raise InvalidOrigin(_no_wildcard(authority, "origin"))
    match = PORT.fullmatch(authority)
    if match is None:
        raise InvalidOrigin(_example(example))
    host = _parse_host(match["host"], example)
    port = int(match["port"]) if match["port"] and len(match["port"]) < 10 else None
    if match["port"] and (port is None or port > MAX_PORT):
        raise InvalidOrigin(f"{match['port'][:20]} is no port: give a number up to {MAX_PORT}.")
    return host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def _parse_host(text: str, example: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError as error:
            raise InvalidOrigin(_example(example)) from error
        # A zone names an interface of one machine, so browsers refuse it.
        if address.scope_id is not None:
            raise InvalidOrigin(_example(example))
        return f"[{address}]"
    decoded = unquote(text, errors="replace")
    try:
        host = decoded.lower() if decoded.isascii() else idna.encode(decoded, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidOrigin(f"No browser accepts the host name {decoded[:100]!r}. {_example(example)}") from error
    if not host.strip(".") or ".." in host or FORBIDDEN.search(host):
        raise InvalidOrigin(_example(example))
    if len(host.rstrip(".")) > MAX_HOST_LENGTH or max(map(len, host.split("."))) > MAX_LABEL_LENGTH:
        raise InvalidOrigin(
            f"A host name has at most {MAX_HOST_LENGTH} characters, and {MAX_LABEL_LENGTH} between two dots. "
            f"{_example(example)}"
        )
    if ENDS_WITH_NUMBER.fullmatch(host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError as error:
            raise InvalidOrigin(f"{host[:100]} is no IPv4 address. {_example(example)}") from error
    return host


def _host_of(text: str) -> str | None:
    """Return the host of a text that may be a URL or a host with a port, for an error message."""
    authority = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:[/\\]+", "", text)
    authority = re.split(r"[/\\?#]", authority.lstrip("/\\"), maxsplit=1)[0].rpartition("@")[2]
    match = PORT.fullmatch(authority)
    if match is None:
        return None
    if "*" in match["host"]:
        return match["host"]
    try:
        return _parse_host(match["host"], EXAMPLE_HOST)
    except InvalidOrigin:
        return None


def _no_wildcard(text: str, kind: str) -> str:
    rest = text.replace("*.", "").replace("*", "")
    return (
        f"This was understood as every {kind} like {text[:100]!r}, but no pattern is allowed: list each {kind}, "
        f"such as {'https://' if kind == 'origin' else ''}www.{rest or EXAMPLE_HOST}."
    )


def _example(example: str) -> str:
    if example == EXAMPLE_HOST:
        return f"Give a host name such as {example}."
    return f"Give an origin such as {example}, or *."
