"""The mail itself: the headers that mail programs act on, and nothing that a reader could smuggle into them."""

import datetime

import pytest

from service.gateways.letters import LetterWriter
from tests.gateways.letters import LETTER, letter

NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)


@pytest.fixture
def writer() -> LetterWriter:
    return LetterWriter("The Paper <support@paper.example>", lambda: NOW)


def test_mail_programs_can_unsubscribe_with_one_click(writer: LetterWriter) -> None:
    message = writer.write(LETTER)
    assert message["List-Unsubscribe"] == f"<{LETTER.cancel_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_each_header_is_there_once(writer: LetterWriter) -> None:
    message = writer.write(LETTER)
    assert message["Message-ID"] == LETTER.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "The Paper <support@paper.example>"
    assert message["To"] == LETTER.to
    assert message["Date"].datetime == NOW
    assert message["Subject"]
    for name in set(message.keys()):
        assert len(message.get_all(name)) == 1, name


def test_the_mail_says_the_same_as_text_and_as_html(writer: LetterWriter) -> None:
    message = writer.write(LETTER)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for part in message.iter_parts():
        for link in (LETTER.give_url, LETTER.manage_url):
            assert link in part.get_content()


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r"])
def test_an_address_with_a_line_break_forges_no_header(writer: LetterWriter, sign: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|CR|invalid"):
        writer.write(letter(to=f"a@news.example{sign}Bcc: b@news.example"))


def test_a_page_address_with_a_line_break_forges_no_header(writer: LetterWriter) -> None:
    message = writer.write(letter(asked_where="https://paper.example/\r\nBcc: b@news.example"))
    assert message["Bcc"] is None


def test_what_a_reader_sent_is_text_in_the_html(writer: LetterWriter) -> None:
    message = writer.write(letter(asked_where="https://paper.example/<script>alert(1)</script>"))
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html


def test_no_line_is_longer_than_mail_allows(writer: LetterWriter) -> None:
    message = writer.write(
        letter(campaign_heading="word " * 400, asked_where="https://paper.example/" + "a" * 1900)
    )
    assert max(map(len, message.as_bytes().splitlines())) <= 998
