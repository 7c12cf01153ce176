"""The in-process rate limiter: the same rule as in Redis, and an exact wait."""

import gc
import weakref

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from limits import parse

from service.db.keyring import Keyring
from service.domain.errors import TooManyRequests
from service.gateways.rate_limit import MemoryCounter, SlidingWindowRateLimiter


class Key(str):
    """A key that supports weak references."""


class Seconds:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.now = 600_000.0

    def __call__(self) -> float:
        return self.now


def test_burst_across_a_window_boundary_is_limited() -> None:
    seconds = Seconds()
    counter = MemoryCounter(parse("10/minute"), now=seconds)
    seconds.now += 59
    assert [counter.hit("remind", "a reader") for _ in range(10)] == [0] * 10
    seconds.now += 2
    assert counter.hit("remind", "a reader") > 0


def test_keys_and_actions_are_counted_separately() -> None:
    counter = MemoryCounter(parse("1/minute"), now=Seconds())
    keys = [("remind", "a reader"), ("remind", "another"), ("give", "a reader")]
    assert [counter.hit(*each) for each in keys] == [0, 0, 0]
    assert all(counter.hit(*each) > 0 for each in keys)


def test_keys_are_dropped_after_two_windows() -> None:
    seconds = Seconds()
    counter = MemoryCounter(parse("9/minute"), now=seconds)
    keys = [Key(f"reader {number}") for number in range(100)]
    for key in keys:
        counter.hit("remind", key)
    stored = [weakref.ref(key) for key in keys]
    del keys, key
    seconds.now += 60
    counter.hit("remind", "one")
    assert all(key() is not None for key in stored)
    seconds.now += 60
    counter.hit("remind", "one")
    gc.collect()
    assert not any(key() for key in stored)


@given(most=st.integers(1, 20), gaps=st.lists(st.floats(0, 150), max_size=60))
@example(most=1, gaps=[0, 0])
def test_retry_after_is_exact(most: int, gaps: list[float]) -> None:
    seconds = Seconds()
    counter = MemoryCounter(parse(f"{most}/minute"), now=seconds)
    for gap in gaps:
        seconds.now += gap
        wait = counter.hit("remind", "a reader")
        if wait > 0:
            refused_at = seconds.now
            seconds.now = refused_at + wait - 0.01
            assert counter.hit("remind", "a reader") > 0
            seconds.now = refused_at + wait + 0.01
            assert counter.hit("remind", "a reader") == 0


def test_limiter_counts_by_itself_when_redis_is_down() -> None:
    rate_limiter = SlidingWindowRateLimiter("2/minute", Keyring(("a-secret",)), redis_url="redis://127.0.0.1:1/0")
    for _ in range(2):
        rate_limiter.check("reminder", "203.0.113.9")
    with pytest.raises(TooManyRequests):
        rate_limiter.check("reminder", "203.0.113.9")
