"""The addresses that mails and redirects point to, all under the deployment's own public address."""

import uuid
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from schemas.enums import Frequency
from service.db.models.campaign import Campaign


@dataclass(frozen=True)
class UrlBuilder:
    """Builds absolute links; `public_url` comes from the settings and never from a request."""

    public_url: str

    @property
    def host(self) -> str:
        """The public host's name, for Message-IDs."""
        return urlsplit(self.public_url).hostname or "localhost"

    def campaign_url(self, campaign: Campaign) -> str:
        """Where supporters of this campaign go without the widget."""
        return campaign.support_url or f"{self.public_url}/support/{campaign.slug}"

    def support_page_url(
        self,
        campaign: Campaign,
        frequency: Frequency | None,
        amount_minor: int | None,
        reminder_token: str | None = None,
        *,
        currency: str | None = None,
    ) -> str:
        """Return the hosted support page with a reader's earlier choice already made.

        The amount is in `currency`, else in the campaign's own.
        `reminder_token` is the token of the reminder that leads there (see `conversions.attribution_token`).
        """
        other = None if currency == campaign.currency else currency
        choice = {"frequency": frequency, "amount": amount_minor, "currency": other, "from": reminder_token}
        query = urlencode({name: value for name, value in choice.items() if value is not None})
        page = f"{self.public_url}/support/{campaign.slug}"
        return f"{page}?{query}" if query else page

    def thank_you_url(self, campaign: Campaign, pledge_id: uuid.UUID) -> str:
        """Where a reader arrives after paying, and reads what became of it."""
        return f"{self.public_url}/support/{campaign.slug}/thank-you?pledge={pledge_id}"

    def checkout_return_url(self, campaign: Campaign, pledge_id: uuid.UUID) -> str:
        """Where a gateway sends a reader who paid on its page, maybe before it has told us."""
        return f"{self.thank_you_url(campaign, pledge_id)}&checkout=done"

    def manage_pledge_url(self, token: str) -> str:
        """Where a reader comes from a mail about their pledge (see `pledges.open_account`)."""
        return f"{self.public_url}/p/{token}"

    def sign_in_url(self, token: str) -> str:
        """Where a reader comes from a mail with a link to sign in."""
        return f"{self.public_url}/me/enter/{token}"

    def account_url(self) -> str:
        """Where readers see all that they give."""
        return f"{self.public_url}/me"

    def manage_reminder_url(self, token: str) -> str:
        """Where a reader manages their reminder."""
        return f"{self.public_url}/r/{token}"

    def unsubscribe_url(self, token: str) -> str:
        """Return the address that a mail program posts to for one-click unsubscribing (RFC 8058)."""
        return f"{self.public_url}/v1/reminders/{token}/cancel"
