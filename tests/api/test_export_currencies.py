"""The export with several currencies, each with its own decimals and fees."""

import csv
import io

from flask.testing import FlaskClient

from service.container import Container
from tests.api.client import auth_headers, post_pledge, update_campaign
from tests.currencies import DINARS, DOLLAR_FEES, EUROS, YEN
from tests.pages.html import parse_forms, path_of


def test_export_amount_is_pledged_and_total_is_paid(client: FlaskClient, container: Container) -> None:
    update_campaign(container, other_currencies=[EUROS, YEN, DINARS], cover_fees=DOLLAR_FEES)
    for currency, amount in (("USD", 1000), ("EUR", 1005), ("JPY", 500), ("KWD", 1505)):
        pledge = post_pledge(client, frequency="once", currency=currency, amount=amount, cover_fees=True).json
        checkout = path_of(pledge["checkout_url"])
        [form] = parse_forms(client.get(checkout).text)
        assert client.post(checkout, data=form.fields | {"outcome": "pay"}).status_code == 303
    file = client.get("/v1/admin/pledges/export?bom=0", headers=auth_headers(container, "export"))
    rows = [
        (row["currency"], row["amount"], row["amount_minor"], row["paid_total"])
        for row in csv.DictReader(io.StringIO(file.text, newline=""))
    ]
    # (1005 + 25) / 0.985 is 1045.69; 500 / 0.964 is 518.7; the dinar option has no fees to cover.
    assert rows == [
        ("USD", "10.00", "1000", "10.61"),
        ("EUR", "10.05", "1005", "10.46"),
        ("JPY", "500", "500", "519"),
        ("KWD", "1.505", "1505", "1.505"),
    ]
