"""A fake clock."""

import datetime


class FakeClock:
    """A clock that changes only by `advance`."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now

    def __call__(self) -> datetime.datetime:
        return self.now

    def advance(self, **duration: float) -> datetime.datetime:
        """Advance by `days=`, `hours=`, `seconds=` … and return the new time."""
        self.now += datetime.timedelta(**duration)
        return self.now
