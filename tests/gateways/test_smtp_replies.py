"""SMTP replies: which of them are hard bounces, and how they are redacted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.ports import PermanentFailure
from service.gateways.email.smtp_replies import MAX_REPLY_LENGTH, SmtpReply, Step, error_from_reply


@pytest.mark.parametrize(
    ("step", "code", "text", "dead"),
    [
        ("recipient", 550, "No such user", True),
        ("recipient", 550, "5.1.1 No such user", True),
        ("recipient", 553, "5.1.3 Bad address", True),
        ("recipient", 550, "5.1.2 No such domain", True),
        ("recipient", 550, "5.1.10 Its domain takes no mail", True),
        ("recipient", 556, "Its domain takes no mail", True),
        ("recipient", 550, "5.2.1 Mailbox closed", True),
        ("recipient", 550, "5.0.0 Unknown", True),
        ("recipient", 551, "Moved", True),
        ("recipient", 552, "Full", False),
        ("recipient", 552, "5.2.2 Full", False),
        ("recipient", 554, "Failed", False),
        ("recipient", 554, "5.0.0 Failed", False),
        ("recipient", 550, "5.2.3 Too large", False),
        ("recipient", 550, "5.3.2 Not now", False),
        ("recipient", 550, "5.4.4 No route", False),
        ("recipient", 550, "5.7.1 Policy", False),
        ("recipient", 554, "5.7.1 Relay access denied", False),
        ("recipient", 503, "Need MAIL", False),
        ("recipient", 501, "5.1.9 Relay", False),
        ("message", 550, "No such user", False),
        ("message", 554, "5.5.1 No valid recipients", False),
        ("content", 550, "No such user", False),
        ("content", 550, "5.1.1 No such user", True),
        ("content", 550, "5.2.1 Mailbox closed", False),
        ("content", 554, "5.7.1 Spam", False),
        ("content", 552, "5.3.4 Too large", False),
    ],
)
def test_hard_bounce_requires_a_reply_about_the_mailbox(step: Step, code: int, text: str, dead: bool) -> None:
    error = error_from_reply(step, SmtpReply(code, text.encode()))
    assert isinstance(error, PermanentFailure)
    assert error.is_hard_bounce is dead


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OK queued as 1", "250 OK queued as 1"),
        ("2.1.5 <reader@news.example> ok", "250 2.1.5 … ok"),
        ("to:reader@news.example, ok", "250 … ok"),
        ('"a reader"@news.example ok', "250 … ok"),
        ("jürgen@bücher.example ok", "250 … ok"),
        ("one\ntwo\r\n three\x00\x1b", "250 one two three"),
        ("", "250"),
    ],
)
def test_reply_is_redacted_to_one_line_without_addresses(text: str, expected: str) -> None:
    assert SmtpReply(250, text.encode()).redacted == expected


@given(st.binary(max_size=600))
def test_any_reply_can_be_redacted(text: bytes) -> None:
    redacted = SmtpReply(550, text).redacted
    assert "@" not in redacted
    assert redacted.isprintable()
    assert len(redacted) <= MAX_REPLY_LENGTH
