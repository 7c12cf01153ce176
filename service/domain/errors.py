"""The errors of the domain. Only `service.api.problems` knows the HTTP status of each."""

import datetime
import uuid
from collections.abc import Mapping


class DomainError(Exception):
    """A rule of the domain refused an operation.

    `code` is stable. `field` names the invalid field of the request, if there is one, and `retry_after_seconds`
    says when the same request may succeed, if that is known.
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


class ImageNotFound(DomainError):
    """A campaign's brand names an image that is not stored."""

    code = "image_not_found"


class CampaignClosed(DomainError):
    """The campaign is closed, so that it takes no pledges and no reminders."""

    code = "campaign_closed"


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
    """The campaign accepts this amount, but the gateway cannot charge it; the detail names amounts that it can."""

    code = "amount_not_chargeable"

    def __init__(self, detail: str, *, field: str | None = None, alternatives: tuple[int, ...] = ()) -> None:
        super().__init__(detail, field=field)
        self.alternatives = alternatives


class CurrencyNotAccepted(DomainError):
    """The campaign does not accept this currency."""

    code = "currency_not_accepted"


class ReturnUrlNotAllowed(DomainError):
    """The campaign does not list the host of the return URL."""

    code = "return_url_not_allowed"


class IdempotencyKeyReused(DomainError):
    """The idempotency key was used with a different request."""

    code = "idempotency_key_reused"


class RequestInProgress(DomainError):
    """The first request with this key is still running."""

    code = "request_in_progress"


class PaymentsUnavailable(DomainError):
    """The payment gateway cannot be reached, or cannot start a checkout now."""

    code = "payments_unavailable"


class PaymentRequestRejected(DomainError):
    """The payment gateway refused the operation for this pledge."""

    code = "order_refused"


class PaymentDeclined(DomainError):
    """The reader's card was declined, or their bank wants the payment confirmed."""

    code = "payment_declined"


class NothingToPay(DomainError):
    """The pledge has no open invoice: it is paid, or was given up."""

    code = "nothing_to_pay"


class GatewayMismatch(DomainError):
    """The pledge was made with another payment gateway than the one in use."""

    code = "other_gateway"


class SandboxCheckoutClosed(DomainError):
    """The checkout was opened in the sandbox, which is not the payment gateway in use."""

    code = "sandbox_closed"


class RecurringPledgeActive(DomainError):
    """The supporter has an active recurring pledge, and the request does not allow cancelling it."""

    code = "recurring_pledge_active"

    def __init__(self, detail: str, *, pledge_ids: tuple[uuid.UUID, ...] = ()) -> None:
        super().__init__(detail)
        self.pledge_ids = pledge_ids


class PledgeNotFound(DomainError):
    """No pledge has this id."""

    code = "pledge_not_found"


class ReceiptNotDeliverable(DomainError):
    """The receipt cannot be sent by email, because nobody's address is known or it gets no email."""

    code = "receipt_not_deliverable"


class PaymentNotFound(DomainError):
    """No payment has this id."""

    code = "payment_not_found"


class RefundNotFound(DomainError):
    """No refund has this id."""

    code = "refund_not_found"


class RefundAlreadyMade(DomainError):
    """The refund was made or has failed, or is being made right now, so it cannot be withdrawn."""

    code = "refund_already_made"


class RefundTooLarge(DomainError):
    """The refund is larger than what is left of the payment."""

    code = "refund_too_large"


class EventNotFound(DomainError):
    """No event of the payment gateway has this id."""

    code = "event_not_found"


class PaymentMismatch(DomainError):
    """The payment gateway reports a payment that contradicts the pledge or an earlier report."""

    code = "payment_mismatch"


class SignInLinkExpired(DomainError):
    """The sign-in link was used before, has expired, or never existed."""

    code = "sign_in_link_over"


class ReminderNotFound(DomainError):
    """The token is invalid or expired, or the reminder was erased."""

    code = "reminder_not_found"


class RemindersNotOffered(DomainError):
    """The campaign offers no reminders."""

    code = "reminders_not_offered"


class RemindersWaiting(DomainError):
    """Reminders are waiting that the campaign would no longer offer; the request must say what to do with them."""

    code = "reminders_waiting"

    def __init__(self, detail: str, *, field: str | None = None, count: int = 0) -> None:
        super().__init__(detail, field=field)
        self.count = count


class ReminderChoiceNotOffered(DomainError):
    """The campaign does not offer a reminder after this many months."""

    code = "reminder_choice_not_offered"


class DueDateOutOfRange(DomainError):
    """A reminder may be for a day from tomorrow until 12 months ahead."""

    code = "due_on_out_of_range"

    def __init__(self, earliest: datetime.date, latest: datetime.date) -> None:
        super().__init__(f"Choose a day from {earliest} to {latest}.", field="due_on")
        self.earliest, self.latest = earliest, latest


class InvalidAddress(DomainError):
    """The text is not a valid email address."""

    code = "invalid_email"


class EmailChangeLinkExpired(DomainError):
    """The link that confirms a new address was used before, has expired, is not the latest, or never existed."""

    code = "email_change_link_over"


class ErasureLinkExpired(DomainError):
    """The link that confirms an erasure was used before, has expired, or never existed."""

    code = "erasure_link_over"


class SupporterNotFound(DomainError):
    """No supporter has this id."""

    code = "supporter_not_found"


class EmailInUse(DomainError):
    """The address belongs to another supporter."""

    code = "email_in_use"


class ErasureUnderWay(DomainError):
    """The supporter is being erased, so that nothing of theirs can change."""

    code = "erasure_under_way"


class InvalidCursor(DomainError):
    """This service did not issue the cursor."""

    code = "invalid_cursor"


class EmailNotFound(DomainError):
    """No email in the outbox has this id."""

    code = "mail_not_found"


class StaffTokenNotFound(DomainError):
    """No active staff token has this name or id."""

    code = "token_not_found"


class StaffTokenNameTaken(DomainError):
    """An active staff token has this name already."""

    code = "token_name_taken"


class StaffTokenAmbiguous(DomainError):
    """More than one active staff token has this name; the detail lists their ids."""

    code = "token_ambiguous"


class AddressNotSupported(DomainError):
    """The address is valid, but the mail server does not accept addresses that are not ASCII."""

    code = "address_not_supported"


class UnknownTimezone(DomainError):
    """The name is not in the IANA time zone database."""

    code = "unknown_time_zone"


class UnparsableAmount(DomainError):
    """The locale of the text writes no amount so."""

    code = "unreadable_amount"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        text_name: str = "amount_invalid",
        values: Mapping[str, object] | None = None,
        suggested_minor: int | None = None,
    ) -> None:
        """`text_name` and `values` word it for the reader, who may have meant `suggested_minor`."""
        super().__init__(detail, field=field)
        self.text_name, self.values, self.suggested_minor = text_name, values or {}, suggested_minor


class InvalidTransition(DomainError):
    """The operation is not allowed in the current status."""

    code = "illegal_move"


class ChangeNotPossible(DomainError):
    """The payments of the pledge cannot be changed so, or not now."""

    code = "change_not_possible"


class PaymentsRescheduled(DomainError):
    """The payments are on other days, or of another frequency, than was shown."""

    code = "payments_rescheduled"


class LeaseLost(DomainError):
    """The worker no longer has the lease of the row that it works on."""

    code = "lease_lost"


class TooManyRequests(DomainError):
    """Rate limit exceeded for this client."""

    code = "too_many_requests"
