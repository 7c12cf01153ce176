"""What a screen reader comes across in each state of the box, in order, and what has the focus."""

import re

from tests.browser.support_box import NOT_READY_BUTTON, REMIND_BUTTON, REMINDER_SET, SupportBox

# Labels are also the names of their fields.
LEFT_OUT = re.compile(r"(text|/url|option)\b.*|region|status|group|paragraph")
DATE = re.compile(r"[A-Z][a-z]+ \d{1,2}(, \d{4})?")
LENGTH = 60
FOCUSED = """(box) => {
    const focused = box.shadowRoot.activeElement;
    return focused && (focused.textContent || focused.labels?.[0]?.textContent);
}"""

CLOSE, BACK, TRY_AGAIN = 'button "Close": ×', 'button "Back"', 'button "Try again"'


def titled(heading: str) -> list[str]:
    return [f'region "{heading}"', CLOSE, f'heading "{heading}" [level=2]']


APPEAL, ERROR = "This paper is yours to keep", "Something went wrong"
MESSAGE = [
    "paragraph: The Harbour Lantern has no owner to please and no",
    'paragraph: "Their money pays for the slow part of the work: ',
    "paragraph: If you can, chip in. Two dollars a month is a rea",
]
FREQUENCIES = ['group "How often"', 'radio "Once"', 'radio "Monthly" [checked]', 'radio "Annual"']
AMOUNTS = ['group "Amount"', 'radio "$2"', 'radio "$7" [checked]', 'radio "$15"']
NO_PRESET = ['group "Amount"', 'radio "$2"', 'radio "$7"', 'radio "$15"']
OTHER, CONTINUE = 'textbox "Other amount"', 'button "Continue – $7 a month"'
NOT_READY = f'button "{NOT_READY_BUTTON}"'
MANAGE = 'link "Manage your support"'
LINKS = [NOT_READY, MANAGE]
CHOICE = [*FREQUENCIES, *AMOUNTS, OTHER, CONTINUE, *LINKS]
FORM = [*titled(APPEAL), *MESSAGE, *CHOICE]
FALLBACK = 'link "Support our work"'
WAIT = 'button "Try again in 10 minutes" [disabled]'
REMINDER_TITLE = [*titled(REMIND_BUTTON), "status: We’ll email you once, around DATE."]
CONSENT = "paragraph: We’ll only use your email for this reminder."
CALENDAR = 'button "Put it in my own calendar instead"'
SET_REMINDER = [CONSENT, f'button "{REMIND_BUTTON}"', CALENDAR]
EMAIL = 'textbox "Email address"'
TYPED_EMAIL = f"{EMAIL}: reader@example.org"
HIDDEN = ["status: Hidden.", 'button "Undo"']
UNREACHABLE = "status: We couldn’t reach our server. Check your connection "
EMAIL_LABEL, AMOUNT_LABEL = "Email address", "Other amount$"

# By state: what has the focus, and what is read out.
TREES: dict[str, tuple[str | None, list[str]]] = {
    "loading": (None, ["status: One moment…", FALLBACK]),
    "loading_failed": (None, ["status: We couldn’t load this form.", FALLBACK, WAIT]),
    "form": (
        AMOUNT_LABEL,
        [
            *titled(APPEAL),
            *MESSAGE,
            *FREQUENCIES,
            *NO_PRESET,
            f'{OTHER}: "2.50"',
            'button "Continue – $2.50 a month"',
            *LINKS,
        ],
    ),
    "invalid": (
        AMOUNT_LABEL,
        [
            *titled(APPEAL),
            *MESSAGE,
            *FREQUENCIES,
            *NO_PRESET,
            f'{OTHER} [invalid]: "1.000"',
            "paragraph: Enter at most 2 decimals, such as 7.50.",
            'button "Continue"',
            *LINKS,
        ],
    ),
    "suggested": (
        AMOUNT_LABEL,
        [
            *titled(APPEAL),
            *MESSAGE,
            *FREQUENCIES,
            *NO_PRESET,
            f"{OTHER} [invalid]: 12,50",
            'button "Use $12.50"',
            'button "Continue"',
            *LINKS,
        ],
    ),
    "submitting": (
        "Taking you to checkout…",
        [
            *titled(APPEAL),
            *MESSAGE,
            *(line if line.startswith("group") else f"{line} [disabled]" for line in FREQUENCIES + AMOUNTS),
            f"{OTHER} [disabled]",
            'button "Taking you to checkout…" [disabled]',
            *LINKS,
        ],
    ),
    "error": (
        ERROR,
        [
            *titled(ERROR),
            "status: The problem is on our side. Please try again. You ha",
            TRY_AGAIN,
            BACK,
            NOT_READY,
        ],
    ),
    "rate_limited": (
        ERROR,
        [*titled(ERROR), "status: We’re very busy right now. Please try again a little", WAIT, BACK, NOT_READY],
    ),
    "payments_unavailable": (
        ERROR,
        [
            *titled(ERROR),
            "status: We can’t take payments right now. You haven’t been c",
            WAIT,
            BACK,
            'button "Remind me later"',
        ],
    ),
    "checkout_not_loaded": (
        ERROR,
        [*titled(ERROR), UNREACHABLE, TRY_AGAIN, BACK, 'link "Continue on our support page"'],
    ),
    "reminder_not_loaded": (ERROR, [*titled(ERROR), UNREACHABLE, TRY_AGAIN, BACK, 'link "Remind me later"']),
    "reminder_form": (EMAIL_LABEL, [*REMINDER_TITLE, TYPED_EMAIL, *SET_REMINDER, BACK]),
    "calendar_saved": (
        "Put it in my own calendar instead",
        [
            *REMINDER_TITLE,
            TYPED_EMAIL,
            *SET_REMINDER,
            "status: Your calendar file for DATE is ready. Open it to add",
            BACK,
        ],
    ),
    "reminder_invalid": (
        EMAIL_LABEL,
        [*REMINDER_TITLE, f"{EMAIL} [invalid]", "paragraph: Enter your email address.", *SET_REMINDER, BACK],
    ),
    "reminder_submitting": (
        "Setting your reminder…",
        [
            *REMINDER_TITLE,
            f"{EMAIL} [disabled]: reader@example.org",
            CONSENT,
            'button "Setting your reminder…" [disabled]',
            CALENDAR,
            BACK,
        ],
    ),
    "reminder_set": (
        REMINDER_SET,
        [
            *titled(REMINDER_SET),
            "status: Look out for one email from us on DATE.",
            'button "Wrong address? Change it"',
        ],
    ),
    "address_to_change": (
        EMAIL_LABEL,
        [
            *REMINDER_TITLE,
            "paragraph: The reminder to reader@example.org is still set. ",
            TYPED_EMAIL,
            *SET_REMINDER,
            BACK,
        ],
    ),
    "dismissed": ("Hidden.", HIDDEN),
    "banner": (None, [*titled(APPEAL), 'button "Continue"']),
    "banner_opened": (APPEAL, FORM),
    "banner_dismissed": ("Hidden.", HIDDEN),
    "dialog": (APPEAL, [f'dialog "{APPEAL}"', *FORM]),
    # The browser returns the focus to where it was before the dialog.
    "dialog_dismissed": (None, HIDDEN),
    "compact": (None, [*titled(APPEAL), *CHOICE]),
    "undone": (APPEAL, FORM),
    "read_more": ("Read more", FORM),
    "impact": (
        None,
        [
            *titled(APPEAL),
            *MESSAGE,
            *FREQUENCIES,
            *AMOUNTS,
            "status: $7 pays for one records request",
            OTHER,
            CONTINUE,
            *LINKS,
        ],
    ),
    "changed_offer": (
        APPEAL,
        [
            *titled(APPEAL),
            "status: The choices here have just changed. Please check you",
            *MESSAGE,
            *CHOICE,
        ],
    ),
    "other_page": (
        ERROR,
        [
            *titled(ERROR),
            "status: This form can’t be used on this page any more. You c",
            'link "Continue on our support page"',
            BACK,
        ],
    ),
    "closed": (None, [*titled(APPEAL), *MESSAGE, MANAGE]),
    "currencies_and_fees": (
        "Add €0.37 to cover the fees",
        [
            *titled(APPEAL),
            "paragraph: The Harbour Lantern is read on three coasts, and ",
            *FREQUENCIES,
            'group "Amount"',
            'radio "€3"',
            'radio "€7" [checked]',
            'radio "€15"',
            'combobox "Currency"',
            OTHER,
            'checkbox "Add €0.37 to cover the fees" [checked]',
            'button "Continue – €7.37 a month"',
            *LINKS,
        ],
    ),
}


def read_out(box: SupportBox) -> list[str]:
    """Return the controls and texts of the box, each with its role, in the order in which they are read."""
    lines = [line.strip().removeprefix("- ").removesuffix(":") for line in box.host.aria_snapshot().splitlines()]
    return [DATE.sub("DATE", line)[:LENGTH] for line in lines if not LEFT_OUT.fullmatch(line)]
