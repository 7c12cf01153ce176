"""The settings of Stripe: our key there, and what proves that a webhook is its own."""

from dataclasses import dataclass, field

from environs import Env

from service.settings.addresses import public_url
from service.settings.reading import SettingsError, text

TEST_MODE = ("sk_test_", "rk_test_")
LIVE_MODE = ("sk_live_", "rk_live_")


@dataclass(frozen=True, kw_only=True)
class StripeSettings:
    """Our account at Stripe. Without `webhook_secrets` nothing that Stripe sends is believed.

    More than one secret is for the day on which the secret is rolled. `api_base` is for tests alone.
    """

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_base: str | None

    @property
    def is_live(self) -> bool:
        """Whether the key moves real money."""
        return self.secret_key.startswith(LIVE_MODE)


def stripe_settings(env: Env) -> StripeSettings:
    """Read them all; only a service that takes money by Stripe asks."""
    key = text(env, "STRIPE_SECRET_KEY", "")
    if not key.startswith(TEST_MODE + LIVE_MODE):
        raise SettingsError(
            "STRIPE_SECRET_KEY must be set with GATEWAY=stripe: a key that begins with sk_test_, sk_live_, "
            "rk_test_ or rk_live_."
        )
    secrets = tuple(one.strip() for one in text(env, "STRIPE_WEBHOOK_SECRET", "").split(",") if one.strip())
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise SettingsError("STRIPE_WEBHOOK_SECRET must begin with whsec_; mainstay stripe setup prints it.")
    base = text(env, "STRIPE_API_BASE")
    return StripeSettings(
        secret_key=key,
        webhook_secrets=secrets,
        api_base=None if base is None else public_url(base, name_of="STRIPE_API_BASE"),
    )
