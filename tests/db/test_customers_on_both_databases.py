"""The customer that a supporter pays as, on both databases."""

import pytest
from sqlalchemy import insert, select

from schemas.enums import Frequency
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.pledges.customers import pledges_with_same_supporter, reusable_customer, shares_customer
from tests.db.sample_rows import PLEDGE, SUPPORTER, pledge, supporter

# The pledges of one supporter, the oldest first: status, frequency, currency, customer.
RUNNING = ("active", "monthly", "USD", "cus_running")
ENDED = ("cancelled", "annual", "USD", "cus_ended")
EUROS = ("past_due", "monthly", "EUR", "cus_euros")
ONCE = ("completed", "once", "JPY", "cus_once")
ON_ITS_WAY = ("processing", "monthly", "USD", "cus_running")
ONCE_ON_ITS_WAY = ("processing", "once", "USD", "cus_once")
UNKNOWN = ("completed", "once", "USD", None)


def store_pledges(container: Container, rows: list[tuple[str, str, str, str | None]], gateway: str) -> None:
    with container.database.transaction() as session:
        campaign_id = session.scalars(select(Campaign.id)).one()
        session.execute(insert(Supporter).values(supporter()))
        for number, (status, frequency, currency, customer) in enumerate(rows):
            changes = {
                "status": status,
                "frequency": frequency,
                "currency": currency,
                "customer_reference": customer,
            }
            references = {"gateway_reference": f"cs_{number}", "subscription_reference": f"sub_{number}"}
            row_id = PLEDGE if number == 0 else new_id()
            ids = {"id": row_id, "supporter_id": SUPPORTER, "gateway": gateway}
            session.execute(insert(Pledge).values(pledge(campaign_id, **changes, **references, **ids)))


@pytest.mark.parametrize(
    ("rows", "frequency", "currency", "expected"),
    [
        ([], "monthly", "USD", None),
        ([UNKNOWN], "monthly", "USD", None),
        ([ONCE], "monthly", "USD", "cus_once"),
        ([RUNNING, ENDED, ONCE], "annual", "USD", "cus_running"),
        ([ENDED, ONCE], "once", "USD", "cus_once"),
        ([RUNNING, EUROS], "monthly", "USD", "cus_running"),
        ([RUNNING, EUROS], "monthly", "EUR", "cus_euros"),
        ([RUNNING, EUROS], "monthly", "JPY", None),
        ([RUNNING, EUROS], "once", "JPY", "cus_euros"),
        ([ENDED], "monthly", "EUR", None),
    ],
)
def test_running_customer_in_the_same_currency_comes_first(
    any_database: Container, rows: list, frequency: str, currency: str, expected: str | None
) -> None:
    store_pledges(any_database, rows, "stripe")
    with any_database.database.read_only() as session:
        found = reusable_customer(
            session, SUPPORTER, gateway="stripe", frequency=Frequency(frequency), currency=currency
        )
        of_another_gateway = reusable_customer(
            session, SUPPORTER, gateway="sandbox", frequency=Frequency(frequency), currency=currency
        )
    assert found == expected
    assert of_another_gateway is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([RUNNING], None),
        ([RUNNING, ENDED, ONCE], None),
        ([RUNNING, RUNNING], True),
        ([RUNNING, EUROS], False),
        ([RUNNING, RUNNING, EUROS], False),
        ([RUNNING, ON_ITS_WAY], True),
        ([EUROS, ON_ITS_WAY], False),
        ([RUNNING, ONCE_ON_ITS_WAY], None),
    ],
)
def test_card_is_shared_by_running_pledges_of_one_customer(
    any_database: Container, rows: list, expected: bool | None
) -> None:
    store_pledges(any_database, rows, "stripe")
    with any_database.database.read_only() as session:
        first = session.get_one(Pledge, PLEDGE)
        assert shares_customer(first, pledges_with_same_supporter(session, first)) is expected
