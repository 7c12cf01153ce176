"""Asks the gateway what it kept of each payment."""

import threading
from collections.abc import Mapping

import structlog

from service.desk import Desk
from service.domain.ledger.balances import find_unknown_balances
from service.domain.ledger.recording import record_balance
from service.domain.ports import GatewayUnavailable

log = structlog.get_logger()


def fetch_balances(desk: Desk, stop: threading.Event) -> Mapping[str, int] | None:
    """Ask for a batch; return how many are known by now. None where the gateway is our own.

    A gateway that does not answer is left alone until the next run.
    """
    if desk.gateway_events is None:
        return None
    with desk.database.reading() as session:
        unknown = find_unknown_balances(session, desk.gateway.name, now=desk.clock())
    known = 0
    for payment in unknown:
        if stop.is_set():
            break
        try:
            balance = desk.gateway.find_balance(payment.reference)
        except GatewayUnavailable as error:
            log.warning("balances_put_off", reason=str(error))
            break
        if balance is not None:
            with desk.database.transaction() as session:
                known += record_balance(session, payment.payment_id, balance)
    return {"fetched": known}
