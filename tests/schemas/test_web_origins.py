"""Origins and hosts as staff type them become what browsers send; the rest is refused with what was understood."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.web_origins import InvalidOrigin, normalise_origin, parse_host, parse_origin


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("*", "*"),
        ("https://paper.example", "https://paper.example"),
        ("https://paper.example/", "https://paper.example"),
        ("https://paper.example:443", "https://paper.example"),
        ("https://paper.example:443/", "https://paper.example"),
        ("https://paper.example:0443", "https://paper.example"),
        ("https://paper.example:", "https://paper.example"),
        ("http://paper.example:80", "http://paper.example"),
        ("http://paper.example:443", "http://paper.example:443"),
        ("https://paper.example:80/", "https://paper.example:80"),
        ("https://paper.example:8443", "https://paper.example:8443"),
        ("HTTPS://Paper.EXAMPLE", "https://paper.example"),
        (" https://paper.example ", "https://paper.example"),
        ("https:paper.example", "https://paper.example"),
        ("https:\\\\paper.example", "https://paper.example"),
        ("https:///paper.example", "https://paper.example"),
        ("https://zeitung-münchen.example", "https://xn--zeitung-mnchen-osb.example"),
        ("https://ZEITUNG-MÜNCHEN.example:443/", "https://xn--zeitung-mnchen-osb.example"),
        ("https://zeitung-mu\u0308nchen.example", "https://xn--zeitung-mnchen-osb.example"),
        ("https://xn--zeitung-mnchen-osb.example", "https://xn--zeitung-mnchen-osb.example"),
        # Browsers keep ß (UTS 46, nontransitional), unlike IDNA 2003.
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://газета.рф", "https://xn--80aahjj1e.xn--p1ai"),
        ("https://新聞。example", "https://xn--efvv70d.example"),
        ("https://ｐａｐｅｒ．example", "https://paper.example"),
        ("https://p%61per.example", "https://paper.example"),
        ("https://my_paper.example", "https://my_paper.example"),
        ("https://paper.example.", "https://paper.example."),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://0x7f.1", "http://127.0.0.1"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
    ],
)
def test_origin_is_normalised_as_browsers_do(typed: str, origin: str) -> None:
    assert parse_origin(typed) == origin
    assert parse_origin(origin) == origin


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("paper.example", "https://paper.example"),
        ("Paper.example/", "https://paper.example"),
        ("paper.example:8443", "https://paper.example"),
        ("//paper.example", "https://paper.example"),
        ("https://paper.example/news", "understood as https://paper.example"),
        ("https://Paper.example:443//", "understood as https://paper.example"),
        ("https://paper.example?a=b", "understood as https://paper.example"),
        ("https://paper.example#top", "understood as https://paper.example"),
        ("https://zeitung-münchen.example/x", "understood as https://xn--zeitung-mnchen-osb.example"),
        ("https://*.paper.example", "https://www.paper.example"),
        ("https://*", "no pattern"),
        ("*.paper.example", "paper.example"),
        ("ftp://paper.example", "Only http and https"),
        ("null", "https://null"),
        ("https://user:secret@paper.example", "no user name"),
        ("https://", "such as https://paper.example"),
        ("https://:443", "such as https://paper.example"),
        ("https://.", "such as https://paper.example"),
        ("https://a..example", "such as https://paper.example"),
        ("https://paper.example:99999", "no port"),
        ("https://paper.example:" + "9" * 5000, "no port"),
        ("https://paper.example:x", "such as https://paper.example"),
        ("https://pa per.example", "such as https://paper.example"),
        ("https://paper.example, https://other.example", "such as https://paper.example"),
        ("https://xn--\u00fc.example", "such as https://paper.example"),
        ("https://300.1.1.1", "no IPv4 address"),
        ("https://[::1", "such as https://paper.example"),
        ("https://[::zz]", "such as https://paper.example"),
        ("https://[fe80::1%25eth0]", "such as https://paper.example"),
        ("https://[fe80::1%eth0]", "such as https://paper.example"),
        (f"https://{'a' * 64}.example", "63 between two dots"),
        (f"https://{'a' * 60}ü.example", "such as https://paper.example"),
        (f"https://{'a.' * 128}", "253 characters"),
        ("https://paper%2Fexample", "such as https://paper.example"),
        ("**", "https://www.paper.example"),
        ("", "such as https://paper.example"),
    ],
)
def test_what_is_no_origin_is_refused_with_what_was_understood(typed: str, says: str) -> None:
    with pytest.raises(InvalidOrigin) as refused:
        parse_origin(typed)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert normalise_origin(typed) == typed


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("Paper.EXAMPLE", "paper.example"),
        ("zeitung-münchen.example", "xn--zeitung-mnchen-osb.example"),
        ("127.0.0.1", "127.0.0.1"),
        (" paper.example ", "paper.example"),
        ("[::1]", "[::1]"),
    ],
)
def test_host_is_normalised_as_browsers_do(typed: str, host: str) -> None:
    assert parse_host(typed) == parse_host(host) == host


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("https://paper.example", "understood as paper.example"),
        ("https://Zeitung-München.example/danke", "understood as xn--zeitung-mnchen-osb.example"),
        ("paper.example:443", "understood as paper.example"),
        ("paper.example/", "understood as paper.example"),
        ("*.paper.example", "www.paper.example"),
        ("*", "no pattern"),
        ("pa per.example", "such as paper.example"),
        ("", "such as paper.example"),
    ],
)
def test_what_is_no_host_is_refused_with_what_was_understood(typed: str, says: str) -> None:
    with pytest.raises(InvalidOrigin) as refused:
        parse_host(typed)
    assert says in str(refused.value)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ahtps:/\\.*@[]0%xß？。-ü#? ") | st.characters(), max_size=30))
def test_any_text_is_an_origin_that_stays_the_same_or_is_refused(text: str) -> None:
    for typed, parse in itertools.product((text, f"https://{text}"), (parse_origin, parse_host)):
        with suppress(InvalidOrigin):
            understood = parse(typed)
            assert parse(understood) == understood
            assert understood.isascii()
