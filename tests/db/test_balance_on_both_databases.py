"""The ledger of balance transactions and disputes on both databases, and what the release before left."""

import datetime
import uuid
from dataclasses import replace

from sqlalchemy import insert, select, text

from service.container import Container
from service.db.migration import _without_foreign_keys, migrate
from service.db.models.campaign import Campaign
from service.db.models.payment import BalanceCursor, BalanceTransaction, Dispute, Payment
from service.db.models.pledge import Pledge
from service.domain.ledger.balance import advance_cursor, book_balance_transactions, plan_listing
from service.domain.ports import GatewayBalanceTransaction
from tests.conftest import settings_for
from tests.db.sample_rows import NOW, PAYMENT, payment, pledge

CHARGE = GatewayBalanceTransaction(
    reference="txn_2",
    kind="charge",
    occurred_at=NOW,
    gross_minor=200,
    fee_minor=36,
    net_minor=164,
    currency="USD",
    intent="payment_1",
    charge="ch_1",
)
REFUND = replace(CHARGE, reference="txn_1", kind="refund", gross_minor=-50, fee_minor=0, net_minor=-50)
REFUND = replace(REFUND, intent=None, refund="re_1")
FOREIGN = replace(CHARGE, reference="txn_3", intent="pi_foreign", charge="ch_foreign")
HOUR = datetime.timedelta(hours=1)
# The revisions before the migrations under test.
BEFORE_TRANSACTIONS, BEFORE_DISPUTES = "0016", "0024"


def store_payment(container: Container) -> None:
    with container.database.transaction() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
        session.execute(insert(Pledge).values(pledge(campaign_id)))
        session.execute(insert(Payment).values(payment()))


def test_transactions_are_booked_once_and_the_cursor_moves_forward(any_database: Container) -> None:
    store_payment(any_database)
    for expected in (2, 0):
        with any_database.database.transaction() as session:
            result = book_balance_transactions(session, "sandbox", [REFUND, CHARGE, FOREIGN])
        assert (result.booked, result.unassigned) == (expected, [FOREIGN])
    with any_database.database.transaction() as session:
        plan = plan_listing(session, "sandbox")
        assert plan is not None
        assert plan.newest_payment_id == PAYMENT
        for until in (NOW + HOUR, NOW):
            advance_cursor(session, "sandbox", until, PAYMENT)
    with any_database.database.read_only() as session:
        assert session.scalars(select(BalanceCursor.listed_until)).one() == NOW + HOUR
        rows = session.scalars(select(BalanceTransaction).order_by(BalanceTransaction.gateway_reference)).all()
        assert [(row.kind, row.net_minor, row.payment_id) for row in rows] == [
            ("refund", -50, PAYMENT),
            ("charge", 164, PAYMENT),
        ]


def test_migration_keeps_the_transactions_of_the_release_before(empty_url: str, make_container) -> None:
    container = make_container(settings_for(empty_url))
    engine = container.database.engine
    migrate(engine, revision=BEFORE_TRANSACTIONS)
    row = {"id": uuid.uuid4().hex, "payment": uuid.uuid4().hex}
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(
                "INSERT INTO payments (id, pledge_id, status, amount_minor, currency, gateway, gateway_reference,"
                " paid_at) VALUES (:payment, :id, 'succeeded', 500, 'USD', 'stripe', 'pi_1', '2026-11-20 09:00')"
            ),
            row,
        )
        connection.execute(
            text(
                "INSERT INTO balance_transactions (id, payment_id, gateway_reference, gross_minor, fee_minor,"
                " net_minor, currency) VALUES (:id, :payment, 'txn_1', 500, 45, 455, 'USD')"
            ),
            row,
        )
    migrate(engine)
    with container.database.read_only() as session:
        found = session.scalars(select(BalanceTransaction)).one()
        assert (found.kind, found.net_minor, found.charge_reference) == ("charge", 455, None)
        assert found.occurred_at == session.scalars(select(Payment.paid_at)).one()
    migrate(engine, revision=BEFORE_TRANSACTIONS)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT net_minor FROM balance_transactions")).scalars().all() == [455]


def test_migration_keeps_what_disputes_withhold(empty_url: str, make_container) -> None:
    container = make_container(settings_for(empty_url))
    engine = container.database.engine
    migrate(engine, revision=BEFORE_DISPUTES)
    ids = {status: uuid.uuid4().hex for status in ("open", "won", "lost")}
    payment_id, pledge_id = uuid.uuid4().hex, uuid.uuid4().hex
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(
                "INSERT INTO payments (id, pledge_id, status, amount_minor, currency, gateway, gateway_reference,"
                " paid_at) VALUES (:payment, :pledge, 'disputed', 500, 'USD', 'stripe', 'pi_1', '2026-11-20')"
            ),
            {"payment": payment_id, "pledge": pledge_id},
        )
        connection.execute(
            text(
                "INSERT INTO gateway_events (id, gateway, reference, kind, source, status, pledge_id, attempts,"
                " occurred_at, received_at, next_attempt_at) VALUES (:id, 'stripe', 'evt_1',"
                " 'charge.dispute.closed', 'webhook', 'applied', :pledge, 0, '2026-11-22 09:00',"
                " '2026-11-22 09:00', '2026-11-22 09:00')"
            ),
            {"id": uuid.uuid4().hex, "pledge": pledge_id},
        )
        for status, dispute_id in ids.items():
            connection.execute(
                text(
                    "INSERT INTO disputes (id, payment_id, status, amount_minor, currency, gateway_reference,"
                    " opened_at) VALUES (:id, :payment, :status, 300, 'USD', :reference, '2026-11-21 09:00')"
                ),
                {"id": dispute_id, "payment": payment_id, "status": status, "reference": status},
            )
    migrate(engine)
    with container.database.read_only() as session:
        found = {dispute.status.value: dispute for dispute in session.scalars(select(Dispute))}
        assert {status: dispute.withheld_minor for status, dispute in found.items()} == {
            "open": 300,
            "won": 0,
            "lost": 300,
        }
        assert {status: dispute.status_at.day for status, dispute in found.items()} == {
            "open": 21,
            "won": 22,
            "lost": 22,
        }
    migrate(engine, revision=BEFORE_DISPUTES)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM disputes")).scalar() == 3
