"""The gallery at `/demo/widgets`: every state, language, theme and placement of the support box, with its snippet.

Each example is a page of its own in a frame, so that it has a language, a direction and a window of its own.
There is a gallery in development only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from babel import Locale
from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from schemas.reminder_labels import reminder_text_overrides
from schemas.translations import available_languages, texts_for, widget_texts
from service.domain.campaigns.definitions import default_campaign_slug
from service.pages.rendering import render_page
from service.pages.translations import default_texts, english_texts
from service.pages.widget_recipes import EXAMPLE_URL, RECIPES
from service.web import current_container, read_only

THEMES = ("light", "dark")
DIRECTIONS = ("ltr", "rtl")
# What the gallery's script does to show a state, and what it says of it.
STATES: Mapping[str, tuple[str, str]] = {
    "form": ("The form", "What readers see first."),
    "impact": ("What an amount pays for", "A line of the campaign for the chosen preset."),
    "currencies": ("Several currencies, with the fees covered", "The reader chose yen, and ticked the checkbox."),
    "suggested": ("An amount in another notation", "Offered as a button, and never guessed."),
    "invalid": ("A wrong amount", "The error is at the field, which gets the focus."),
    "submitting": ("Waiting for the checkout", "The form is disabled, and the button says so."),
    "error": ("Something went wrong", "Nothing was charged; the reader can try again or be reminded."),
    "unavailable": ("Payments are unavailable", "The payment provider is down."),
    "busy": ("Too many requests", "The button counts down."),
    "changed": ("The campaign has changed", "While the box was open: the smallest amount is now $10."),
    "reminder": ("The reminder form", "Loaded once a reader points at its button."),
    "picked-day": ("A reminder on a day of the reader's choice", "The list ends with a day to pick."),
    "reminder-set": ("A reminder is set", "With the date of its email."),
    "reminder-unconfirmed": ("A reminder to confirm", "If the campaign asks for it."),
    "dismissed": (
        "Closed by the reader",
        "With Undo. It's back on the next page, unless the box may remember.",
    ),
    "loading": ("Loading", "The newsroom's own link is there from the start."),
    "loading-failed": ("The campaign can't be loaded", "The link stays."),
    "closed": ("A closed campaign", "It takes no donations (mainstay campaign close)."),
    "no-script": ("Without the script", "Blocked, or not there yet: the link leads to the plain page."),
}
# What makes a state possible, in the format of a campaign file.
CAMPAIGN_LINES: Mapping[str, str] = {
    "impact": """\
impact:
  monthly:
    $7: $7 pays for one records request""",
    "currencies": """\
cover_fees: {basis_points: 290, fixed: 30}
other_currencies:
  - currency: JPY
    cover_fees: {basis_points: 360}
    frequencies:
      - frequency: once
        presets: [500, 1500, 5000]
        minimum: 300
        maximum: 500000
      - frequency: monthly
        presets: [300, 700, 1500]
        minimum: 300
        maximum: 50000""",
    "picked-day": """\
reminder:
  pick_date: true""",
    "reminder-unconfirmed": """\
reminder:
  confirm: true""",
}
# Attributes of a box, by what they are called in the contents.
PLACEMENTS: Mapping[str, tuple[str, str, str]] = {
    "inline": ("In the page", "", "The default: where you put its element."),
    "compact": ("Compact", "compact", "Without the message, and with less room around it."),
    "banner": (
        "A banner",
        'placement="banner"',
        "At the bottom of the window. It begins small, and Continue shows the form.",
    ),
    "dialog": (
        "A dialog",
        'placement="dialog" storage="local" after-views="3"',
        "After three articles, never over the first of a visit. Escape closes it. The button calls open().",
    ),
    "choice": (
        "A choice of your own",
        'frequency="once" amount="2500" reminder="off"',
        "The frequency and amount (in minor units) to begin with, and no reminder.",
    ),
}

demo_widgets = Blueprint("demo_widgets", __name__, url_prefix="/demo/widgets")


@dataclass(frozen=True)
class Example:
    """A box in a frame, the snippet that makes it, and what its campaign needs for it."""

    id: str
    title: str
    text: str
    url: str
    snippet: str
    campaign_lines: str


@demo_widgets.before_request
def require_development() -> None:
    """Serve the gallery in development only.

    Raises:
        NotFound: in production.
    """
    if current_container().settings.is_production:
        raise NotFound


@demo_widgets.get("")
def show_gallery() -> Response:
    """Show all examples; the states in the language and theme of the query."""
    lang = _chosen("lang", available_languages(), "en")
    theme = _chosen("theme", THEMES, "light")
    slug = _slug()
    states = [
        _example(slug, f"state-{name}", title, text, state=name, lang=lang, theme=theme)
        for name, (title, text) in STATES.items()
    ]
    placements = [
        _example(slug, f"placement-{name}", title, text, attributes=attributes, placement=name)
        for name, (title, attributes, text) in PLACEMENTS.items()
    ]
    in_themes = [_example(slug, f"theme-{name}", name.capitalize(), "", theme=name) for name in THEMES]
    in_languages = [
        _example(slug, f"lang-{code}", _language_name(code), "", lang=code) for code in available_languages()
    ]
    directions = [
        _example(slug, f"direction-{code}-{direction}", title, "", lang=code, direction=direction)
        for code, direction, title in (
            ("en", "ltr", "An English box on an English page"),
            ("ar", "rtl", "An Arabic box on an Arabic page"),
            ("en", "rtl", "An English box on a right-to-left page"),
        )
    ]
    public_url = current_container().urls.public_url
    return render_page(
        "demo_widgets.html",
        english_texts(),
        allow_frames=True,
        scripts=("pages.js", "contents.js", "gallery.js"),
        chosen_lang=lang,
        chosen_theme=theme,
        languages=[(code, _language_name(code)) for code in available_languages()],
        themes=THEMES,
        sections=[
            ("placements", "Placements and attributes", placements),
            ("themes", "Themes", in_themes),
            ("languages", "Languages", in_languages),
            ("directions", "Directions", directions),
            ("states", f"States, in {Locale.parse(lang).get_language_name('en')}, {theme}", states),
        ],
        recipes=[(recipe, recipe.snippet.replace(EXAMPLE_URL, public_url)) for recipe in RECIPES],
    )


@demo_widgets.get("/box")
def show_box() -> Response:
    """Show one box on a page of its own, in the state and with the attributes of the query."""
    lang = _chosen("lang", available_languages(), "en")
    direction = _chosen("direction", DIRECTIONS, Locale.parse(lang).text_direction)
    theme = _chosen("theme", (*THEMES, ""), "")
    placement = _chosen("placement", tuple(PLACEMENTS), "inline")
    state = _chosen("state", tuple(STATES), "form")
    slug = _slug()
    texts = default_texts()
    campaign = current_container().campaign_cache.get(slug)
    response = render_page(
        "demo_box.html",
        texts,
        allow_widget=True,
        state=state,
        state_texts=_state_texts(state, lang),
        attributes=PLACEMENTS[placement][1],
        placement=placement,
        box_theme=theme,
        box_direction=direction,
        slug=slug,
        campaign_name=campaign.name,
        closed_heading=texts.format("campaign_closed_heading", campaign=campaign.name),
        closed_message=texts.format("campaign_closed_message", campaign=campaign.name),
    )
    policy = response.headers["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    )
    return response


def _state_texts(state: str, lang: str) -> dict[str, str]:
    """Return the texts that a campaign with the settings of this state has besides."""
    if state == "currencies":
        return texts_for("offers", lang, {})
    if state not in ("picked-day", "reminder-unconfirmed"):
        return {}
    picks_date, confirms = state == "picked-day", state == "reminder-unconfirmed"
    list_texts = widget_texts(lang, {}, full=True) if picks_date else {}
    return list_texts | reminder_text_overrides(
        lang, {}, choices=[1], repeats=[], pick_date=picks_date, confirm=confirms
    )


def _slug() -> str:
    with read_only() as session:
        return default_campaign_slug(session)


def _chosen(name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.args.get(name, default)
    return value if value in allowed else default


def _language_name(code: str) -> str:
    own, english = Locale.parse(code).get_language_name(code), Locale.parse(code).get_language_name("en")
    name = (own or code).capitalize()
    return name if own == english else f"{name} ({english})"


def _example(
    slug: str,
    example_id: str,
    title: str,
    text: str,
    *,
    lang: str = "en",
    theme: str = "",
    direction: str = "",
    attributes: str = "",
    **query: str,
) -> Example:
    values = {"lang": lang, "theme": theme, "direction": direction} | query
    url = "/demo/widgets/box?" + urlencode({name: value for name, value in values.items() if value})
    written = [f'campaign="{slug}"', f'lang="{lang}"' if lang != "en" else "", f'theme="{theme}"' if theme else ""]
    opening = " ".join(filter(None, ("<support-box", *written, attributes)))
    link = f"{current_container().urls.public_url}/support/{slug}"
    snippet = f'{opening}>\n  <a href="{link}">Support our work</a>\n</support-box>'
    return Example(example_id, title, text, url, snippet, CAMPAIGN_LINES.get(query.get("state", ""), ""))
