"""The counts in this process: the same rule as in Redis, and a wait that is the truth."""

import gc
import weakref

from hypothesis import example, given
from hypothesis import strategies as st
from limits import parse

from service.db.keyring import Keyring
from service.gateways.rate_limit import MemoryCounter, SlidingWindowRateLimiter


class Name(str):
    """Who asks; Python says of it whether anybody still holds it."""


class Seconds:
    """A clock that reads in seconds."""

    def __init__(self) -> None:
        self.now = 600_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_at_the_turn_of_a_window_is_no_way_around_the_limit() -> None:
    seconds = Seconds()
    counts = MemoryCounter(parse("10/minute"), now=seconds)
    seconds.now += 59
    assert [counts.hit("remind", "a reader") for _ in range(10)] == [0] * 10
    seconds.now += 2
    assert counts.hit("remind", "a reader") > 0


def test_readers_and_actions_are_counted_apart() -> None:
    counts = MemoryCounter(parse("1/minute"), now=Seconds())
    asked = [("remind", "a reader"), ("remind", "another"), ("give", "a reader")]
    assert [counts.hit(*each) for each in asked] == [0, 0, 0]
    assert all(counts.hit(*each) > 0 for each in asked)


def test_nothing_is_kept_of_who_asked_two_windows_ago() -> None:
    seconds = Seconds()
    counts = MemoryCounter(parse("9/minute"), now=seconds)
    asked = [Name(f"reader {number}") for number in range(100)]
    for who in asked:
        counts.hit("remind", who)
    kept = [weakref.ref(who) for who in asked]
    del asked, who
    seconds.now += 60
    counts.hit("remind", "one")
    assert all(name() is not None for name in kept)
    seconds.now += 60
    counts.hit("remind", "one")
    gc.collect()
    assert not any(name() for name in kept)


@given(most=st.integers(1, 20), gaps=st.lists(st.floats(0, 150), max_size=60))
@example(most=1, gaps=[0, 0])
def test_a_refused_request_is_let_through_after_the_wait_and_not_before(most: int, gaps: list[float]) -> None:
    seconds = Seconds()
    counts = MemoryCounter(parse(f"{most}/minute"), now=seconds)
    for gap in gaps:
        seconds.now += gap
        wait = counts.hit("remind", "a reader")
        if wait > 0:
            refused_at = seconds.now
            seconds.now = refused_at + wait - 0.01
            assert counts.hit("remind", "a reader") > 0
            seconds.now = refused_at + wait + 0.01
            assert counts.hit("remind", "a reader") == 0


def test_readers_come_before_the_count_when_redis_is_away() -> None:
    rate_limiter = SlidingWindowRateLimiter("1/minute", Keyring(("a-secret",)), redis_url="redis://127.0.0.1:1/0")
    for _ in range(3):
        rate_limiter.check("reminder", "203.0.113.9")
