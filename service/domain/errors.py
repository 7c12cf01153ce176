"""What can go wrong, in the newsroom's words. Only `service.api.problems` knows which HTTP status each becomes."""


class DomainError(Exception):
    """A rule refused.

    `code` is stable; `field` names the request field at fault, where one is; `retry_after_seconds` says when
    the same request may succeed, where that is known.
    """

    code = "refused"

    def __init__(self, detail: str, *, field: str | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after_seconds = retry_after_seconds


class CampaignNotFound(DomainError):
    """No campaign has this slug."""

    code = "campaign_not_found"


class OriginNotAllowed(DomainError):
    """The campaign does not list the site whose page sent the request."""

    code = "origin_not_allowed"


class FrequencyNotOffered(DomainError):
    """The campaign does not offer this frequency."""

    code = "frequency_not_offered"


class AmountBelowMinimum(DomainError):
    """The amount is under the campaign's minimum for the frequency."""

    code = "amount_below_minimum"


class AmountAboveMaximum(DomainError):
    """The amount is over the campaign's maximum for the frequency."""

    code = "amount_above_maximum"


class AmountNotChargeable(DomainError):
    """The campaign accepts this amount, but the gateway cannot charge it; it can charge the `alternatives`."""

    code = "amount_not_chargeable"

    def __init__(self, detail: str, *, field: str | None = None, alternatives: tuple[int, ...] = ()) -> None:
        super().__init__(detail, field=field)
        self.alternatives = alternatives


class CurrencyNotAccepted(DomainError):
    """The campaign takes other currencies."""

    code = "currency_not_accepted"


class ReturnUrlNotAllowed(DomainError):
    """The campaign does not list the host that the reader would be sent back to."""

    code = "return_url_not_allowed"


class IdempotencyKeyReused(DomainError):
    """The key was sent before with another request."""

    code = "idempotency_key_reused"


class RequestInProgress(DomainError):
    """The first request with this key still runs."""

    code = "request_in_progress"


class PaymentsUnavailable(DomainError):
    """The gateway cannot start a checkout now."""

    code = "payments_unavailable"


class PaymentRequestRejected(DomainError):
    """The gateway understood what was ordered for a pledge, and said no."""

    code = "order_refused"


class GatewayMismatch(DomainError):
    """The pledge was made with another gateway than the one that is in use."""

    code = "other_gateway"


class PledgeNotFound(DomainError):
    """No pledge has this id."""

    code = "pledge_not_found"


class PaymentNotFound(DomainError):
    """No payment has this id."""

    code = "payment_not_found"


class RefundTooLarge(DomainError):
    """More is to go back than is left of the payment."""

    code = "refund_too_large"


class EventNotFound(DomainError):
    """No event that a gateway told of has this id."""

    code = "event_not_found"


class PaymentMismatch(DomainError):
    """The gateway reports money that contradicts the pledge or what was reported before."""

    code = "payment_mismatch"


class SignInLinkExpired(DomainError):
    """The link to sign in was used before, is too old, or never was one."""

    code = "sign_in_link_over"


class ReminderNotFound(DomainError):
    """The token is altered or expired, or the reminder was erased."""

    code = "reminder_not_found"


class RemindersNotOffered(DomainError):
    """The campaign offers no reminders."""

    code = "reminders_not_offered"


class ReminderChoiceNotOffered(DomainError):
    """The campaign does not offer a reminder after this many months."""

    code = "reminder_choice_not_offered"


class InvalidAddress(DomainError):
    """The text is not an e-mail address that mail can be sent to."""

    code = "invalid_email"


class InvalidCursor(DomainError):
    """The cursor is not one that this service gave out."""

    code = "invalid_cursor"


class EmailNotFound(DomainError):
    """The outbox holds no mail with this id."""

    code = "mail_not_found"


class StaffTokenNotFound(DomainError):
    """No staff token in use has this name."""

    code = "token_not_found"


class UnknownTimezone(DomainError):
    """The name is not in the IANA time zone database."""

    code = "unknown_time_zone"


class UnparsableAmount(DomainError):
    """The text is not an amount, or could be read as two different ones."""

    code = "unreadable_amount"


class InvalidTransition(DomainError):
    """The pledge or reminder cannot do this from where it stands."""

    code = "illegal_move"


class LeaseLost(DomainError):
    """The worker no longer holds the reminder it works on."""

    code = "lease_lost"


class TooManyRequests(DomainError):
    """One client asks more often than a reader would."""

    code = "too_many_requests"
