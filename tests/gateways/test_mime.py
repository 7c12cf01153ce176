"""Our MIME serialiser, compared with the standard library's: every header, both parts, and every limit."""

import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.gateways.email.mime import build_message
from tests.gateways.reference_message import stdlib_message

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
MAIL: dict[str, Any] = {
    "sender": "The Paper <support@paper.example>",
    "to": "reader@news.example",
    "subject": "Your reminder",
    "date": NOON,
    "message_id": "<reminder-1-1@desk.test>",
    "unsubscribe_url": "https://desk.test/v1/reminders/token/cancel",
    "lang": "en",
    "text": "Hello,\n",
    "html": "<p>Hello,</p>\n",
}

# Texts as campaigns write them, and characters with a meaning in an email.
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
TEXTS = st.text(st.one_of(CHARACTERS, st.sampled_from('aЯжé🎈👩‍🚀 .,;:=_?"\\<>()@"')), max_size=150)
LINES = st.lists(
    st.one_of(
        TEXTS, st.sampled_from(["", ".", "..", ".end", "From here", "--=_letter--", "end ", "a" * 2000, "ж" * 90])
    )
)
BODIES = st.builds(lambda lines, end: end.join(lines), LINES, st.sampled_from(["\n", "\r\n", "\r"]))
ATOMS = st.text(st.sampled_from("abcXYZ0189!#$%&'*+-/=?^_`{|}~"), min_size=1, max_size=20)
INTERNATIONAL = st.text(st.sampled_from("ünîжд例🎈a-1"), min_size=1, max_size=12)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ADDRESSES = st.builds(
    lambda names, labels: f"{'.'.join(names)}@{'.'.join(labels)}",
    st.lists(st.one_of(ATOMS, INTERNATIONAL), min_size=1, max_size=3),
    st.lists(LABELS, min_size=2, max_size=3),
)


def read(content: bytes) -> EmailMessage:
    """Parse a message, which must have no defects."""
    message = message_from_bytes(content, _class=EmailMessage, policy=modern)
    for part in message.walk():
        assert part.defects == []
    return message


def parts(message: EmailMessage) -> list[tuple[str, str, str]]:
    return [(part.get_content_type(), part.get_content_charset(), plain(part)) for part in message.iter_parts()]


def plain(part: EmailMessage) -> str:
    # A text's end of line is the mail's, not the renderer's.
    return part.get_content().replace("\r\n", "\n").rstrip("\n")


@settings(deadline=None)
@given(subject=TEXTS, text=BODIES, html=BODIES, to=ADDRESSES, lang=st.sampled_from(["en", "ru", "pt-BR"]))
def test_message_parses_like_the_standard_librarys(subject: str, text: str, html: str, to: str, lang: str) -> None:
    fields = MAIL | {"subject": subject, "text": text, "html": html, "to": to, "lang": lang}
    ours, theirs = read(build_message(**fields)), read(stdlib_message(**fields).as_bytes())
    assert sorted(ours.keys()) == sorted(theirs.keys())
    for name in ours:
        if name == "Subject":
            assert ours[name] == " ".join(subject.split())
        elif name != "Content-Type":
            assert ours[name] == theirs[name], name
    assert ours.get_content_type() == theirs.get_content_type()
    assert parts(ours) == parts(theirs)


@settings(deadline=None)
@given(subject=TEXTS, text=BODIES, html=BODIES, to=ADDRESSES)
def test_message_respects_smtp_line_limits(subject: str, text: str, html: str, to: str) -> None:
    content = build_message(**MAIL | {"subject": subject, "text": text, "html": html, "to": to})
    assert content.isascii() or not to.isascii()
    assert b"\0" not in content
    lines = content.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    head, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76


ANYTHING = st.text(st.one_of(st.characters(), st.sampled_from("\r\n\0\t <>@,;:.")), max_size=60)


@settings(deadline=None)
@given(name=st.sampled_from(["to", "subject", "message_id", "unsubscribe_url", "lang"]), value=ANYTHING)
def test_no_input_injects_a_header(name: str, value: str) -> None:
    fields = MAIL | {name: value}
    try:
        content = build_message(**fields)
    except ValueError:
        return
    head = content.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"List-Unsubscribe",
        b"List-Unsubscribe-Post",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Language",
    ]


@pytest.mark.parametrize("name", ["to", "message_id", "unsubscribe_url"])
@pytest.mark.parametrize(
    "sign", ["\r\n", "\n", "\r", "\0", " ", "\t", "\x0b", "\x85", "\u2028", ">", "<", "\ud800"]
)
def test_special_character_is_rejected(name: str, sign: str) -> None:
    good = MAIL[name]
    for value in (f"{good[:3]}{sign}{good[3:]}", f"{good}{sign}Bcc:b@news.example", f"{good}{sign}"):
        with pytest.raises(ValueError, match="invalid"):
            build_message(**MAIL | {name: value})


@pytest.mark.parametrize(
    "address",
    [
        "",
        "reader",
        "@news.example",
        "reader@",
        "a@b@news.example",
        "a..b@news.example",
        ".a@news.example",
        "a,b@news.example",
        "<a@news.example>",
        "A <a@news.example>",
        '"a b"@news.example',
        "a@[127.0.0.1]",
        "a:b@news.example;",
        f"{'a' * 310}@news.example",
    ],
)
def test_invalid_address_is_rejected(address: str) -> None:
    with pytest.raises(ValueError, match="invalid address"):
        build_message(**MAIL | {"to": address})


def test_rejection_does_not_repeat_the_address() -> None:
    with pytest.raises(ValueError, match="invalid") as caught:
        build_message(**MAIL | {"to": "reader@news.example\r\nRCPT TO:<b@news.example>"})
    assert "news.example" not in str(caught.value)


def test_non_ascii_host_is_accepted() -> None:
    message = read(build_message(**MAIL | {"unsubscribe_url": "https://bücher.example/cancel"}))
    assert message["List-Unsubscribe"] == "<https://bücher.example/cancel>"
