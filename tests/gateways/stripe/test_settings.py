"""What a newsroom sets to take money by Stripe, and what is refused before anything starts."""

import pytest

from service.bootstrap import build_container
from service.settings import Settings, SettingsError, read_settings

GIVEN = {
    "GATEWAY": "stripe",
    "STRIPE_SECRET_KEY": "sk_test_51Mainstay",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "SECRET_KEYS": "a-key-that-only-the-tests-know-0123456789",
}


def settings(**changes: str) -> Settings:
    return read_settings(GIVEN | changes)


def test_a_test_key_and_a_live_key_are_told_apart() -> None:
    for kind in ("sk", "rk"):
        test, live = (settings(STRIPE_SECRET_KEY=f"{kind}_{mode}_51").stripe for mode in ("test", "live"))
        assert test is not None
        assert live is not None
        assert (test.is_live, live.is_live) == (False, True)


def test_a_secret_that_is_rolled_stands_beside_the_one_before() -> None:
    stripe = settings(STRIPE_WEBHOOK_SECRET=" whsec_new , whsec_old,").stripe
    assert stripe is not None
    assert stripe.webhook_secrets == ("whsec_new", "whsec_old")


def test_neither_key_nor_secret_is_ever_shown() -> None:
    shown = repr(settings(STRIPE_SECRET_KEY="sk_live_hidden", STRIPE_WEBHOOK_SECRET="whsec_hidden"))
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", ""),
        ("STRIPE_SECRET_KEY", "pk_live_public"),
        ("STRIPE_SECRET_KEY", "whsec_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "sk_live_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_good,bad"),
        ("STRIPE_API_BASE", "api.stripe.com"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name_and_never_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        settings(**{name: value})
    assert "mixed_up" not in str(refused.value)


def test_the_sandbox_asks_for_none_of_it() -> None:
    found = read_settings({"STRIPE_SECRET_KEY": "nonsense", "SECRET_KEYS": GIVEN["SECRET_KEYS"]})
    assert (found.gateway, found.stripe) == ("sandbox", None)
    container = build_container(found)
    assert (container.gateway.name, container.gateway.hosted_origins, container.event_source) == (
        "sandbox",
        (),
        None,
    )


def test_the_desk_takes_money_by_stripe_and_leads_to_its_pages_alone() -> None:
    container = build_container(settings())
    assert container.gateway.name == "stripe"
    assert container.gateway.hosted_origins == ("https://checkout.stripe.com", "https://billing.stripe.com")
    assert container.event_source is not None
    assert container.event_source.name == "stripe"
    in_tests = build_container(settings(STRIPE_API_BASE="http://127.0.0.1:9"))
    assert in_tests.gateway.hosted_origins[-1] == "http://127.0.0.1:9"
