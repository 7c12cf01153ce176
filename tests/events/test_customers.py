"""One customer at Stripe for each supporter: who pays as which, and which card is charged."""

import datetime
import uuid
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from schemas.enums import Frequency
from service.db.models.pledge import Pledge
from service.domain.pledges.attribution import IDENTITY_TTL, attribution_token, giver_token
from service.domain.pledges.checkout import PledgeCheckout
from service.domain.pledges.customers import reusable_customer
from service.domain.privacy.merging import merge_supporters
from service.domain.supporters import erase_supporter
from tests.api.client import (
    campaign_definition,
    new_idempotency_key,
    only_reminder,
    post_pledge,
    post_reminder,
    update_campaign,
)
from tests.events.stripe_fixture import StripeScenario
from tests.pages.accounts import form_to, page, pledge_link, sign_in
from tests.pages.html import BROWSER, parse_forms, visible_text
from tests.stripe_double.account import StripeJson

EMAIL = "reader@example.org"
OTHER_EMAIL = "friend@example.org"


def pay(scenario: StripeScenario, checkout: PledgeCheckout, *, email: str = EMAIL) -> Pledge:
    """Pay a checkout as a reader with this address, apply the events, and return the pledge."""
    return pay_session(scenario, scenario.session_of(checkout), email=email)


def pay_session(scenario: StripeScenario, session: str, *, email: str = EMAIL) -> Pledge:
    event_count = len(scenario.stripe.events)
    scenario.stripe.pay(session, email=email)
    apply_events(scenario, event_count)
    with scenario.container.database.read_only() as db:
        return db.scalars(select(Pledge).where(Pledge.gateway_reference == session)).one()


def apply_events(scenario: StripeScenario, event_count: int = 0) -> None:
    scenario.deliver_webhooks(*scenario.stripe.events[event_count:])
    scenario.run_until_idle()


def latest_session(scenario: StripeScenario) -> StripeJson:
    found: StripeJson = scenario.stripe.account.all("checkout.session")[-1]
    return found


def give_again(
    scenario: StripeScenario, first: Pledge, frequency: Frequency = Frequency.MONTHLY, **options
) -> Pledge:
    """Create and pay another pledge of a signed-in supporter."""
    return pay(scenario, scenario.create_checkout(frequency, supporter_id=first.supporter_id, **options))


def card_of(scenario: StripeScenario, pledge: Pledge) -> str:
    """Return the card that the next renewal of a pledge is charged to."""
    charge: StripeJson = scenario.stripe.renew(pledge.subscription_reference)
    return charge["payment_method"]


def link_of_reminder(scenario: StripeScenario, client: FlaskClient, first: Pledge) -> str:
    post_reminder(client, email=EMAIL)
    return attribution_token(scenario.container.database.keyring, only_reminder(scenario.container))


def link_of_pledge(scenario: StripeScenario, client: FlaskClient, first: Pledge) -> str:
    return giver_token(scenario.container.database.keyring, first, now=scenario.container.clock())


LINKS = [link_of_reminder, link_of_pledge]
Link = Callable[[StripeScenario, FlaskClient, Pledge], str]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("frequency", ["once", "monthly"])
def test_reader_who_comes_by_our_link_pays_as_the_same_customer(
    scenario: StripeScenario, client: FlaskClient, link: Link, frequency: str
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    response = post_pledge(client, frequency=frequency, amount=5000, reminder=link(scenario, client, first))
    assert response.status_code == 201
    assert latest_session(scenario)["customer"] == first.customer_reference
    second = pay_session(scenario, latest_session(scenario)["id"])
    assert (second.customer_reference, second.supporter_id) == (first.customer_reference, first.supporter_id)
    assert len(scenario.stripe.account.all("customer")) == 1


def test_signed_in_reader_pays_as_the_same_customer(scenario: StripeScenario, client: FlaskClient) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    sign_in(scenario.container, client, EMAIL)
    form = {"frequency": "monthly", "other_amount": "5", "key": new_idempotency_key(), "currency": "USD"}
    assert client.post("/support/default", data=form).status_code == 303
    assert latest_session(scenario)["customer"] == first.customer_reference
    client.post("/me/leave")
    client.post("/support/default", data=form | {"key": new_idempotency_key()})
    assert latest_session(scenario)["customer"] is None


def test_page_of_an_ended_pledge_leads_to_the_same_customer(scenario: StripeScenario, client: FlaskClient) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    event_count = len(scenario.stripe.events)
    scenario.stripe.cancel_now(first.subscription_reference)
    apply_events(scenario, event_count)
    html = page(client, pledge_link(scenario.container, str(first.id)))
    [link] = [part.split('"')[0] for part in html.split('href="') if "/support/default?" in part]
    support = page(client, link.replace("&amp;", "&").partition("desk.test")[2])
    form = form_to(support, "/support/default")
    client.post("/support/default", data=form.fields)
    assert latest_session(scenario)["customer"] == first.customer_reference


def test_same_typed_address_gets_another_customer(scenario: StripeScenario, client: FlaskClient) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    second = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    assert first.supporter_id == second.supporter_id
    assert first.customer_reference != second.customer_reference
    post_reminder(client, email=EMAIL)
    post_pledge(client)
    assert latest_session(scenario)["customer"] is None


@pytest.mark.parametrize("link", LINKS)
def test_old_link_identifies_nobody(scenario: StripeScenario, client: FlaskClient, link: Link) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    token = link(scenario, client, first)
    scenario.container.clock.now += datetime.timedelta(days=31) + IDENTITY_TTL
    post_pledge(client, reminder=token)
    assert latest_session(scenario)["customer"] is None


@pytest.mark.parametrize("link", LINKS)
def test_link_of_an_erased_supporter_identifies_nobody(
    scenario: StripeScenario, client: FlaskClient, link: Link
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    token = link(scenario, client, first)
    with scenario.container.database.transaction() as session:
        erase_supporter(session, EMAIL, now=scenario.container.clock())
    post_pledge(client, reminder=token)
    assert latest_session(scenario)["customer"] is None


@pytest.mark.parametrize("token", ["nonsense", "gift.nonsense"])
def test_forged_link_identifies_nobody(scenario: StripeScenario, client: FlaskClient, token: str) -> None:
    pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    assert post_pledge(client, reminder=token).status_code == 201
    assert latest_session(scenario)["customer"] is None


def test_one_time_giver_has_a_customer_for_a_monthly_pledge(scenario: StripeScenario) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.ONCE, amount=5000))
    assert first.customer_reference is not None
    second = give_again(scenario, first)
    assert scenario.stripe.get(second.subscription_reference)["customer"] == first.customer_reference


@pytest.mark.parametrize("frequency", Frequency)
def test_customer_that_was_deleted_at_stripe_is_replaced(scenario: StripeScenario, frequency: Frequency) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.ONCE, amount=5000))
    scenario.stripe.client().v1.customers.delete(first.customer_reference)
    second = give_again(scenario, first, frequency, amount=5000)
    assert second.customer_reference == latest_session(scenario)["customer"]
    assert second.customer_reference not in (None, first.customer_reference)
    third = give_again(scenario, first, frequency, amount=5000)
    assert third.customer_reference == second.customer_reference


def test_recurring_pledge_in_another_currency_has_another_customer(scenario: StripeScenario) -> None:
    definition = campaign_definition(scenario.container)
    euros = {"currency": "EUR", "frequencies": definition["frequencies"]}
    update_campaign(scenario.container, other_currencies=[euros])
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    once = give_again(scenario, first, Frequency.ONCE, amount=5000, currency="EUR")
    assert once.customer_reference == first.customer_reference
    monthly = give_again(scenario, first, currency="EUR")
    assert monthly.customer_reference != first.customer_reference
    # Each currency keeps its customer.
    for currency, customer in (("EUR", monthly.customer_reference), ("USD", first.customer_reference)):
        again = give_again(scenario, first, Frequency.ANNUAL, amount=5000, currency=currency)
        assert again.customer_reference == customer
    assert len(scenario.stripe.account.all("customer")) == 2


def test_customer_in_another_currency_at_stripe_is_replaced(scenario: StripeScenario) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.ONCE, amount=5000))
    # A shop on the same account has sold the customer a subscription.
    scenario.stripe.get(first.customer_reference)["currency"] = "eur"
    second = give_again(scenario, first)
    assert second.customer_reference not in (None, first.customer_reference)


def test_merged_supporters_share_their_customers(scenario: StripeScenario) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    other = pay(scenario, scenario.create_checkout(Frequency.ONCE, amount=5000), email=OTHER_EMAIL)
    with scenario.container.database.transaction() as session:
        merge_supporters(
            session, kept=other.supporter_id, duplicate=first.supporter_id, now=scenario.container.clock()
        )
        # The customer that is charged each month comes first, although the other is newer.
        customer = reusable_customer(
            session, other.supporter_id, gateway="stripe", frequency=Frequency.ANNUAL, currency="USD"
        )
    assert customer == first.customer_reference


def update_card(client: FlaskClient, scenario: StripeScenario, pledge: Pledge) -> StripeJson:
    """Save a card on the portal that the pledge's page leads to; return the card."""
    response = client.post(f"{pledge_link(scenario.container, str(pledge.id))}/card")
    assert response.status_code == 303
    portal = scenario.stripe.account.all("billing_portal.session")[-1]
    assert response.headers["Location"] == portal["url"]
    return scenario.stripe.update_card(portal["customer"])


def test_new_card_is_charged_for_all_pledges_of_the_customer(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    second = give_again(scenario, first, Frequency.ANNUAL, amount=5000)
    third = give_again(scenario, first, amount=900)
    card = update_card(client, scenario, second)
    assert {card_of(scenario, pledge) for pledge in (first, third, second)} == {card["id"]}
    assert "A new card will be used for all your" in page(client, pledge_link(scenario.container, str(first.id)))


def test_new_card_is_charged_for_support_whose_first_bank_debit_is_on_its_way(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    checkout = scenario.create_checkout(Frequency.MONTHLY, amount=900, supporter_id=first.supporter_id)
    start = len(scenario.stripe.events)
    scenario.stripe.pay_by_bank_debit(scenario.session_of(checkout))
    apply_events(scenario, start)
    second = scenario.snapshot(checkout.id)["pledge"]
    assert second["status"] == "processing"
    assert "A new card will be used for all your" in page(client, pledge_link(scenario.container, str(first.id)))
    update_card(client, scenario, first)
    assert scenario.stripe.get(second["subscription_reference"])["default_payment_method"] is None


def test_card_of_the_latest_checkout_is_charged_until_another_is_saved(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    scenario.container.clock.now += datetime.timedelta(days=1)
    second = give_again(scenario, first, amount=900)
    latest = scenario.stripe.get(second.subscription_reference)["default_payment_method"]
    # The reader opens the portal and leaves without a new card.
    client.post(f"{pledge_link(scenario.container, str(first.id))}/card")
    assert {card_of(scenario, pledge) for pledge in (first, second)} == {latest}


def test_pledges_of_two_customers_keep_two_cards_and_the_page_says_so(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    second = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    before = scenario.stripe.get(second.subscription_reference)["default_payment_method"]
    sign_in(scenario.container, client, EMAIL)
    assert page(client, "/me").count("This support is paid with another card.") == 2
    card = update_card(client, scenario, first)
    assert (card_of(scenario, first), card_of(scenario, second)) == (card["id"], before)


def press_one_card(client: FlaskClient, scenario: StripeScenario, action: str) -> StripeJson:
    """Press a button of the page about one card; check the way back, and save a card at Stripe."""
    response = client.post(action, data={"back": "card"}, headers=BROWSER)
    portal = scenario.stripe.account.all("billing_portal.session")[-1]
    assert (response.status_code, response.location) == (303, portal["url"])
    assert portal["return_url"] == "http://desk.test/me/card"
    start = len(scenario.stripe.events)
    card = scenario.stripe.update_card(portal["customer"])
    apply_events(scenario, start)
    return card


def test_one_card_is_entered_once_for_all_support_of_one_customer(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    sign_in(scenario.container, client, EMAIL)
    assert "/me/card" not in page(client, "/me")
    second = give_again(scenario, first, Frequency.ANNUAL, amount=5000)
    assert "/me/card" in page(client, "/me")
    html = page(client, "/me/card?lang=en")
    assert "$5 a month" in visible_text(html)
    assert "$50 a year" in visible_text(html)
    [action] = [form.action for form in parse_forms(html) if form.action.partition("?")[0].endswith("/card")]
    card = press_one_card(client, scenario, action)
    assert "Last changed on" in visible_text(page(client, "/me/card?lang=en"))
    assert {card_of(scenario, pledge) for pledge in (first, second)} == {card["id"]}


def test_one_card_is_entered_once_for_each_customer_and_the_page_shows_which_are_done(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    pledges = [pay(scenario, scenario.create_checkout(Frequency.MONTHLY)) for _ in range(2)]
    sign_in(scenario.container, client, EMAIL)
    html = page(client, "/me/card?lang=en")
    assert "Card 2 of 2" in visible_text(html)
    actions = [form.action for form in parse_forms(html) if form.action.partition("?")[0].endswith("/card")]
    cards = set()
    for number, action in enumerate(actions):
        assert visible_text(page(client, "/me/card?lang=en")).count("Last changed on") == number
        cards.add(press_one_card(client, scenario, action)["id"])
    assert {card_of(scenario, pledge) for pledge in pledges} == cards
    assert len(cards) == 2


def test_support_whose_customer_is_not_reported_yet_has_a_card_of_its_own(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    """Two of them are not of one card, as far as anybody knows."""
    for _ in range(2):
        pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    sign_in(scenario.container, client, EMAIL)
    with scenario.container.database.transaction() as session:
        session.execute(update(Pledge).values(customer_reference=None))
    assert "Card 2 of 2" in visible_text(page(client, "/me/card?lang=en"))


def test_page_about_one_card_needs_a_session_and_something_to_pay(
    scenario: StripeScenario, client: FlaskClient
) -> None:
    pay(scenario, scenario.create_checkout(Frequency.ONCE, amount=5000))
    for _ in range(2):
        response = client.get("/me/card", headers=BROWSER)
        assert (response.status_code, response.location) == (303, "/me")
        sign_in(scenario.container, client, EMAIL)


def test_crash_between_the_calls_for_one_card_loses_no_card(scenario: StripeScenario, client: FlaskClient) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    second = give_again(scenario, first, amount=900)
    sign_in(scenario.container, client, EMAIL)
    action = f"/me/pledges/{first.id}/card"
    latest = scenario.stripe.get(second.subscription_reference)["default_payment_method"]
    scenario.stripe.faults.respond(503, "POST /v1/subscriptions/{id}", times=2)
    assert client.post(action, data={"back": "card"}, headers=BROWSER).status_code == 503
    scenario.stripe.faults.clear()
    scenario.container.clock.advance(minutes=5)
    assert card_of(scenario, second) == latest
    sign_in(scenario.container, client, EMAIL)
    card = press_one_card(client, scenario, action)
    assert {card_of(scenario, pledge) for pledge in (first, second)} == {card["id"]}


def test_subscription_of_another_product_keeps_its_card(scenario: StripeScenario, client: FlaskClient) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    second = give_again(scenario, first, amount=900)
    foreign = scenario.stripe.get(second.subscription_reference)
    with scenario.container.database.transaction() as session:
        session.get_one(Pledge, second.id).subscription_reference = "sub_another"
    update_card(client, scenario, first)
    assert foreign["default_payment_method"] is not None


def test_events_in_any_order_store_the_customer(scenario: StripeScenario) -> None:
    first = pay(scenario, scenario.create_checkout(Frequency.MONTHLY))
    event_count = len(scenario.stripe.events)
    checkout = scenario.create_checkout(Frequency.MONTHLY, supporter_id=first.supporter_id)
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    events = scenario.stripe.events[event_count:]
    for event in reversed(events):
        scenario.deliver_webhooks(event)
        scenario.run_event_job()
    scenario.run_until_idle()
    with scenario.container.database.read_only() as session:
        pledges = session.scalars(select(Pledge)).all()
    assert {pledge.customer_reference for pledge in pledges} == {first.customer_reference}
    assert {pledge.supporter_id for pledge in pledges} == {first.supporter_id}


def test_id_of_a_supporter_is_no_identity(client: FlaskClient) -> None:
    assert post_pledge(client, supporter_id=str(uuid.uuid4())).status_code == 422
