"""When a subscription's periods end: the anchor's day of the month, or the month's last."""

import calendar
import datetime

MONTHS = {"month": 1, "year": 12}


def period_end(anchor: int, start: int, interval: str, count: int) -> int:
    """Return the first end of a period after `start`, counted from the anchor so that the 31st comes back.

    All are whole seconds since 1970; `interval` is `month` or `year`, and a period is `count` of them.
    """
    first = datetime.datetime.fromtimestamp(anchor, datetime.UTC)
    step, passed, end = MONTHS[interval] * count, 0, anchor
    while end <= start:
        passed += step
        years, month = divmod(first.month - 1 + passed, 12)
        last = calendar.monthrange(first.year + years, month + 1)[1]
        end = int(first.replace(year=first.year + years, month=month + 1, day=min(first.day, last)).timestamp())
    return end
