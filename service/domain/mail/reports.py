"""What mail services report about our readers' addresses: such an address gets no more mail, at once."""

import datetime
from collections.abc import Iterable

from sqlalchemy.orm import Session

from service.domain.addresses import normalise_address
from service.domain.errors import InvalidAddress
from service.domain.ports import BounceReport
from service.domain.suppression import suppress


def apply_bounce_reports(session: Session, reports: Iterable[BounceReport], *, now: datetime.datetime) -> int:
    """Suppress every address that is reported, for all campaigns; return how many there are.

    The same report again changes nothing and is counted again. What is no address is passed over: no mail of ours
    can have gone there. Mails that wait need no touching, because the worker asks before each one.
    """
    suppressed = 0
    # In one order, so that two batches at once cannot wait for one another.
    for report in sorted(reports, key=lambda report: report.address):
        try:
            address = normalise_address(report.address)
        except InvalidAddress:
            continue
        # A report may come hours late. What a reader took back by asking again in between must stay taken back;
        # but nothing has happened in the future, whatever another machine's clock says.
        at = min(report.at or now, now)
        suppress(session, address, reason=report.reason, now=at)
        suppressed += 1
    return suppressed
