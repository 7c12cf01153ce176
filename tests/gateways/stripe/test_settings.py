"""The Stripe settings: what they accept, and which values stop the start."""

import pytest

from service.bootstrap import build_container
from service.setting_values import SettingsError
from service.settings import Settings, read_settings

ENVIRONMENT = {
    "GATEWAY": "stripe",
    "STRIPE_SECRET_KEY": "sk_test_51Mainstay",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "SECRET_KEYS": "a-key-that-only-the-tests-know-0123456789",
}


def settings(**changes: str) -> Settings:
    return read_settings(ENVIRONMENT | changes)


def test_key_prefix_decides_test_or_live_mode() -> None:
    for kind in ("sk", "rk"):
        test, live = (settings(STRIPE_SECRET_KEY=f"{kind}_{mode}_51").stripe for mode in ("test", "live"))
        assert test is not None
        assert live is not None
        assert (test.is_live, live.is_live) == (False, True)


def test_two_webhook_secrets_are_accepted_during_rotation() -> None:
    stripe = settings(STRIPE_WEBHOOK_SECRET=" whsec_new , whsec_old,").stripe
    assert stripe is not None
    assert stripe.webhook_secrets == ("whsec_new", "whsec_old")


def test_repr_hides_key_and_webhook_secret() -> None:
    representation = repr(settings(STRIPE_SECRET_KEY="sk_live_hidden", STRIPE_WEBHOOK_SECRET="whsec_hidden"))
    assert "hidden" not in representation


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", ""),
        ("STRIPE_SECRET_KEY", "pk_live_public"),
        ("STRIPE_SECRET_KEY", "whsec_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "sk_live_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_good,bad"),
        ("STRIPE_API_BASE", "api.stripe.com"),
        ("DISPUTE_ENDS_SUPPORT", "always"),
    ],
)
def test_invalid_value_is_reported_by_setting_name_without_the_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        settings(**{name: value})
    assert "mixed_up" not in str(raised.value)


def test_sandbox_ignores_stripe_settings() -> None:
    parsed = read_settings({"STRIPE_SECRET_KEY": "nonsense", "SECRET_KEYS": ENVIRONMENT["SECRET_KEYS"]})
    assert (parsed.gateway, parsed.stripe) == ("sandbox", None)
    container = build_container(parsed)
    assert (container.gateway.name, container.gateway.hosted_origins, container.event_source) == (
        "sandbox",
        (),
        None,
    )


def test_container_uses_stripe_gateway_and_its_hosted_origins() -> None:
    container = build_container(settings())
    assert container.gateway.name == "stripe"
    assert container.gateway.hosted_origins == (
        "https://checkout.stripe.com",
        "https://billing.stripe.com",
        "https://invoice.stripe.com",
    )
    assert container.event_source is not None
    assert container.event_source.name == "stripe"
    with_api_base = build_container(settings(STRIPE_API_BASE="http://127.0.0.1:9"))
    assert with_api_base.gateway.hosted_origins[-1] == "http://127.0.0.1:9"
