"""Asks the gateway what it kept of each payment."""

import threading
from collections.abc import Mapping

import structlog

from service.container import Container
from service.domain.ledger.records import payments_missing_balance, record_balance_transaction
from service.domain.ports import GatewayUnavailable

log = structlog.get_logger()


def fetch_balance_transactions(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Ask for a batch; return how many are known by now. None where the gateway is our own.

    A gateway that does not answer is left alone until the next run.
    """
    if container.event_source is None:
        return None
    with container.database.read_only() as session:
        unknown = payments_missing_balance(session, container.gateway.name, now=container.clock())
    known = 0
    for payment in unknown:
        if stop.is_set():
            break
        try:
            balance = container.gateway.get_balance_transaction(payment.reference)
        except GatewayUnavailable as error:
            log.warning("balances_put_off", reason=str(error))
            break
        if balance is not None:
            with container.database.transaction() as session:
                known += record_balance_transaction(session, payment.payment_id, balance)
    return {"fetched": known}
