"""Parse pages as a browser without scripts does: their forms and their visible text."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@dataclass
class Form:
    """A form: its action, its initial values, and its buttons as (name, value, label)."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.is_in_form = False
        self.button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
            self.is_in_form = True
        elif not self.is_in_form:
            return
        elif tag == "button":
            self.button = (values.get("name", ""), values.get("value", ""))
        elif tag == "input" and (values.get("type") not in ("radio", "checkbox") or "checked" in values):
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_data(self, data: str) -> None:
        if self.button is not None:
            self.forms[-1].buttons.append((*self.button, data.strip()))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_in_form = False
        elif tag == "button":
            self.button = None


def parse_forms(page: str) -> list[Form]:
    """Return the page's forms, in order."""
    parser = _FormParser()
    parser.feed(page)
    return parser.forms


def without_signature(location: str) -> str:
    """Return where a redirect leads, without the signature of what a form has done."""
    return re.sub(r"signed=[\w.-]+&", "", location)


def visible_text(page: str) -> str:
    """Return a page's visible text, with whitespace collapsed."""
    markup = re.sub(r"<(style|script|title).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def find_tag(page: str, attribute: str) -> str:
    """Return the first tag whose source contains `attribute`."""
    match = re.search(rf"<[^>]*{re.escape(attribute)}[^>]*>", page)
    assert match is not None, attribute
    return match[0]


def path_of(url: str) -> str:
    """Return a URL's path and query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
