"""The address of a client as proxies write it, and the networks that are counted as one client."""

import pytest

from service.client_address import client_network, parse_client_address, wide_network


@pytest.mark.parametrize(
    ("written", "client", "wide"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("203.0.113.7:4711", "203.0.113.7/32", "203.0.113.0/24"),
        ("203.0.113.7:", "203.0.113.7/32", "203.0.113.0/24"),
        (" 203.0.113.7 ", "203.0.113.7/32", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("::FFFF:cb00:7107", "203.0.113.7/32", "203.0.113.0/24"),
        ("[::ffff:203.0.113.7]:4711", "203.0.113.7/32", "203.0.113.0/24"),
        ("64:ff9b::203.0.113.7", "203.0.113.7/32", "203.0.113.0/24"),
        ("[64:FF9B::cb00:7107]:4711", "203.0.113.7/32", "203.0.113.0/24"),
        ("64:ff9b:0:0:1::203.0.113.7", "64:ff9b::/64", "64:ff9b::/48"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("[2001:db8:1:2:3::4]", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("[fe80::1%25eth0]:80", "fe80::/64", "fe80::/48"),
        # Two clients whose address nobody can read are not two clients.
        ("", "unknown", "unknown"),
        ("unknown", "unknown", "unknown"),
        ("_hidden", "unknown", "unknown"),
        ("203.0.113.7.9", "unknown", "unknown"),
        ("203.0.113.7:port", "unknown", "unknown"),
        ("[2001:db8::1", "unknown", "unknown"),
        ("2001:db8::1]:80", "unknown", "unknown"),
        ("1" * 10_000, "unknown", "unknown"),
    ],
)
def test_client_and_its_wider_network(written: str, client: str, wide: str) -> None:
    address = parse_client_address(written)
    assert (client_network(address), wide_network(address)) == (client, wide)
