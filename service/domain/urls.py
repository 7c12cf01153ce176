"""The absolute URLs in emails and redirects, all under the deployment's public URL."""

import uuid
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from schemas.enums import Frequency
from service.db.models.campaign import Campaign


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class UrlBuilder:
    """Builds absolute URLs. `public_url` comes from the settings and never from a request."""

    public_url: str

    @property
    def host(self) -> str:
        """The name of the public host, for Message-IDs."""
        return urlsplit(self.public_url).hostname or "localhost"

    def campaign_url(self, campaign: Campaign) -> str:
        """Return the newsroom's own support page, else the hosted one."""
        return campaign.support_url or f"{self.public_url}/support/{campaign.slug}"

    def image_url(self, name: str) -> str:
        """Return the address of a stored image (see `campaigns.brand`)."""
        return f"{self.public_url}/brand/images/{name}"

    def support_page_url(
        self,
        campaign: Campaign,
        frequency: Frequency | None,
        amount_minor: int | None,
        reminder_token: str | None = None,
        *,
        currency: str | None = None,
    ) -> str:
        """Return the hosted support page with a choice preselected.

        The amount is in `currency`, else in the campaign's own. `reminder_token` attributes the pledge to a
        reminder (see `attribution.attribution_token`).
        """
        other = None if currency == campaign.currency else currency
        choice = {"frequency": frequency, "amount": amount_minor, "currency": other, "from": reminder_token}
        query = urlencode({name: value for name, value in choice.items() if value is not None})
        page = f"{self.public_url}/support/{campaign.slug}"
        return f"{page}?{query}" if query else page

    def thank_you_url(self, campaign: Campaign, pledge_id: uuid.UUID, token: str = "") -> str:
        """Return the page that shows a reader the status of their pledge.

        With the `token` of its checkout (see `pledges.links`) it says more.
        """
        page = f"{self.public_url}/support/{campaign.slug}/thank-you?pledge={pledge_id}"
        return f"{page}&link={token}" if token else page

    def checkout_return_url(self, campaign: Campaign, pledge_id: uuid.UUID, token: str = "") -> str:
        """Return the URL that a gateway sends a reader to after payment, possibly before its webhook arrives."""
        return f"{self.thank_you_url(campaign, pledge_id, token)}&checkout=done"

    def not_charged_url(self, campaign: Campaign, pledge_id: uuid.UUID) -> str:
        """Return the page for a reader who leaves a checkout without paying."""
        return f"{self.public_url}/support/{campaign.slug}/not-charged?pledge={pledge_id}"

    def manage_pledge_url(self, token: str) -> str:
        """Return the page for managing a pledge, linked from emails about it (see `pledges.links`)."""
        return f"{self.public_url}/p/{token}"

    def sign_in_url(self, token: str) -> str:
        """Return the page that a sign-in link opens."""
        return f"{self.public_url}/me/enter/{token}"

    def confirm_email_change_url(self, token: str) -> str:
        """Return the page that the link to a new address opens (see `email_changes`)."""
        return f"{self.public_url}/me/email/{token}"

    def undo_email_change_url(self, token: str) -> str:
        """Return the page that the link in the email to an old address opens."""
        return f"{self.public_url}/me/email/undo/{token}"

    def confirm_erasure_url(self, token: str) -> str:
        """Return the page that the link to confirm an erasure opens (see `erasure_requests`)."""
        return f"{self.public_url}/me/erase/{token}"

    def account_url(self) -> str:
        """Return the page on which readers see all their pledges."""
        return f"{self.public_url}/me"

    def statements_url(self) -> str:
        """Return the page on which readers download a year's receipt and other statements."""
        return f"{self.public_url}/me/statements"

    def manage_reminder_url(self, token: str) -> str:
        """Return the page for managing a reminder."""
        return f"{self.public_url}/r/{token}"

    def unsubscribe_url(self, token: str) -> str:
        """Return the URL that an email client posts to for one-click unsubscribing (RFC 8058)."""
        return f"{self.public_url}/v1/reminders/{token}/cancel"
