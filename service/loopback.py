"""Which hosts and addresses mean the machine itself."""

import ipaddress
import re
import socket

NUMERIC_IPV4 = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)


def is_loopback_address(address: str) -> bool:
    """Whether an IP address is of the loopback interface, also as an IPv6 socket shows an IPv4 peer."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host, without brackets, is a name (RFC 6761) or an address of the loopback interface.

    An IPv4 address counts in every form that browsers take, such as `127.1` and `2130706433`.
    """
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback_address(_address(name))


def is_unspecified_host(host: str) -> bool:
    """Whether a URL's host is `0.0.0.0` or `::`, which stand for every address of this machine."""
    try:
        ip = ipaddress.ip_address(_address(host.lower()))
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_unspecified


def _address(name: str) -> str:
    """Return an IPv4 address in its usual form; anything else as it is."""
    if not NUMERIC_IPV4.fullmatch(name):
        return name
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name
