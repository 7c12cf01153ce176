"""The IP address of a client, as a proxy writes it, and the networks that are counted as one client."""

import ipaddress
import re

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64_NETWORK = ipaddress.IPv6Network("64:ff9b::/96")
# Some proxies append the port (RFC 7239, section 6): "203.0.113.7:4711" or "[2001:db8::1]:4711".
ADDRESS = re.compile(r"\[(?P<ipv6>[^\]]+)\](:[0-9]*)?|(?P<ipv4>[0-9.]+):[0-9]*|(?P<plain>.*)", re.DOTALL)


def parse_client_address(text: str) -> IPAddress | None:
    """Return the address without a port; None if it is none.

    An IPv4 address in an IPv6 one (RFC 4291, section 2.5.5.2; RFC 6052, section 2.1) is returned as IPv4.
    """
    match = ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    # The zone of a link-local address names an interface of this machine.
    name = (match["ipv6"] or match["ipv4"] or match["plain"]).partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # Otherwise all clients with IPv4 that a translator leads here would be one client.
        if address in NAT64_NETWORK:
            return ipaddress.IPv4Address(address.packed[-4:])
        return address.ipv4_mapped or address
    return address


def client_network(address: IPAddress | None) -> str:
    """Return what is counted as one client: an IPv4 address, or the /64 of a household (RFC 6177)."""
    return _network(address, ipv4_prefix=32, ipv6_prefix=64)


def wide_network(address: IPAddress | None) -> str:
    """Return what one customer of a provider may have at most: an IPv4 /24, or an IPv6 /48 (RFC 6177)."""
    return _network(address, ipv4_prefix=24, ipv6_prefix=48)


def _network(address: IPAddress | None, *, ipv4_prefix: int, ipv6_prefix: int) -> str:
    # Clients whose address nobody can read share one count.
    if address is None:
        return "unknown"
    prefix = ipv4_prefix if address.version == 4 else ipv6_prefix
    return str(ipaddress.ip_network((address.packed, prefix), strict=False))
