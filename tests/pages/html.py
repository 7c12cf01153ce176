"""Reads our pages as a browser without scripts does: what a form would send, and what a person sees."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@dataclass
class Form:
    """A form as it would be sent: its address, its fields, and its buttons' own values."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.inside = False
        self.button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
            self.inside = True
        elif not self.inside:
            return
        elif tag == "button":
            self.button = (given.get("name", ""), given.get("value", ""))
        elif tag == "input" and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            self.found[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.button is not None:
            self.found[-1].buttons.append((*self.button, data.strip()))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "button":
            self.button = None


def parse_forms(page: str) -> list[Form]:
    """Return the page's forms, in order."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


def visible_text(page: str) -> str:
    """Return what a person reads on a page, on one line."""
    shown = re.sub(r"<(style|script|title).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def find_tag(page: str, attribute: str) -> str:
    """Return the whole tag that holds an attribute, as it is written."""
    found = re.search(rf"<[^>]*{re.escape(attribute)}[^>]*>", page)
    assert found is not None, attribute
    return found[0]


def path_of(url: str) -> str:
    """Return the path and query of an address."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
