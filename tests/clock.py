"""A clock that tests advance by hand."""

import datetime


class FakeClock:
    """Stands still until `advance` is called."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now

    def __call__(self) -> datetime.datetime:
        return self.now

    def advance(self, **duration: float) -> datetime.datetime:
        """Advance by `days=`, `hours=`, `seconds=` … and return the new instant."""
        self.now += datetime.timedelta(**duration)
        return self.now
