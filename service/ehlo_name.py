"""The name by which we introduce ourselves to a mail server: a domain or an address literal (RFC 5321, 4.1.3)."""

import ipaddress
import re
from urllib.parse import urlsplit

import idna

# RFC 1035, section 2.3.4.
MAX_NAME_LENGTH = 253

_LABEL = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LITERAL = re.compile(r"\[(?P<tag>IPv6:)?(?P<address>[0-9A-Fa-f:.]+)\]", re.IGNORECASE)


def default_ehlo_name(public_url: str) -> str:
    """Return the host of an origin, which is in ASCII already, as a mail server expects it."""
    host = urlsplit(public_url).hostname or "localhost"
    try:
        return address_literal(ipaddress.ip_address(host))
    except ValueError:
        return host


def parse_ehlo_name(name: str) -> str:
    """Return a name or an address literal in its usual form; a name in lower-case ASCII (IDNA 2008).

    Raises:
        ValueError: it is neither.
    """
    literal = _LITERAL.fullmatch(name)
    if literal is not None:
        address_class = ipaddress.IPv6Address if literal["tag"] else ipaddress.IPv4Address
        return address_literal(address_class(literal["address"]))
    # `idna.IDNAError` is a ValueError.
    host = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    labels = host.split(".")
    # A last label of digits is that of an address without brackets.
    if len(host) > MAX_NAME_LENGTH or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("not a domain name")
    return host


def address_literal(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an IP address as SMTP writes it in the place of a domain."""
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
