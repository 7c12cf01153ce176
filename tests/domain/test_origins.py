"""Origins are compared as browsers write them."""

import pytest

from service.domain.campaigns.origins import origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Paper.Example/a?b#c", "https://paper.example"),
        ("https://paper.example:443/", "https://paper.example"),
        ("http://paper.example:80", "http://paper.example"),
        ("http://paper.example:8080/a", "http://paper.example:8080"),
        ("https://paper.example:80/", "https://paper.example:80"),
        ("http://[::1]:8000/a", "http://[::1]:8000"),
    ],
)
def test_origin_is_scheme_host_and_non_default_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin
