"""How to put the support box on a site, by what the site runs on. `docs/widget.md` has the same snippets."""

from dataclasses import dataclass

# Snippets show this address; the gallery replaces it by its own.
EXAMPLE_URL = "https://support.paper.example"


@dataclass(frozen=True)
class Recipe:
    """Steps for one kind of site, and what to paste there."""

    id: str
    name: str
    steps: str
    snippet: str


SCRIPT = f'<script type="module" src="{EXAMPLE_URL}/widget/v1.js"></script>'
BOX = f"""\
<support-box campaign="default">
  <a href="{EXAMPLE_URL}/support/default">Support our work</a>
</support-box>"""

RECIPES = (
    Recipe(
        "static-page",
        "A static page",
        "Put both lines where you want the box. The script is a module, so it doesn't hold up the page.",
        f"{SCRIPT}\n{BOX}",
    ),
    Recipe(
        "wordpress",
        "WordPress",
        "Add this to the theme's functions.php, or to a snippets plugin. It puts the box below each post. For one "
        "page, an administrator or editor can paste the lines for a static page into a Custom HTML block instead; "
        "from authors, WordPress keeps only the link.",
        f"""\
add_action('wp_head', function () {{
  if (is_singular('post')) echo '{SCRIPT}';
}});
add_filter('the_content', function ($content) {{
  if (!is_singular('post') || !in_the_loop() || !is_main_query()) return $content;
  return $content . '<support-box campaign="default" variant="post">'
    . '<a href="{EXAMPLE_URL}/support/default">Support our work</a></support-box>';
}});""",
    ),
    Recipe(
        "ghost",
        "Ghost",
        "In Settings, Code injection, put this into the site footer. It puts the box below each post. For one "
        "post, paste the lines for a static page into an HTML card instead.",
        f"""\
{SCRIPT}
<script type="module">
  const article = document.querySelector("body.post-template article");
  if (article) {{
    const box = document.createElement("support-box");
    box.setAttribute("variant", "ghost");
    const link = document.createElement("a");
    link.href = "{EXAMPLE_URL}/support/default";
    link.textContent = "Support our work";
    box.append(link);
    article.append(box);
  }}
</script>""",
    ),
    Recipe(
        "iframe",
        "A platform that takes frames only",
        "Save the lines for a static page as support-box.html on a site of your own, and frame that page. The "
        "checkout opens in the whole window. Platforms that take neither scripts nor frames, such as Substack, "
        "can link to the support page.",
        """\
<iframe src="https://paper.example/support-box.html" title="Support our work"
  width="100%" height="620" loading="lazy"
  sandbox="allow-scripts allow-same-origin allow-forms allow-popups
    allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation">
</iframe>""",
    ),
    Recipe(
        "react",
        "React",
        "React 19 sets the attributes of custom elements. The second effect listens to the event, because its "
        "name has a colon. The script is loaded once, however often the component is shown.",
        f"""\
import {{ useEffect, useRef }} from "react";

export function SupportBox({{ campaign = "default", onPledged, ...attributes }}) {{
  const box = useRef(null);
  useEffect(() => {{
    import(/* webpackIgnore: true */ "{EXAMPLE_URL}/widget/v1.js");
  }}, []);
  useEffect(() => {{
    const {{ current }} = box;
    const listen = (event) => onPledged?.(event.detail);
    current.addEventListener("support-box:pledged", listen);
    return () => current.removeEventListener("support-box:pledged", listen);
  }}, [onPledged]);
  return (
    <support-box ref={{box}} campaign={{campaign}} {{...attributes}}>
      <a href={{`{EXAMPLE_URL}/support/${{campaign}}`}}>Support our work</a>
    </support-box>
  );
}}""",
    ),
    Recipe(
        "csp",
        "A strict Content-Security-Policy",
        "The box needs two sources and no nonce. It has no inline style and uses no HTML strings. Your policy "
        "adds what the rest of the page needs.",
        f"""\
Content-Security-Policy:
  default-src 'none';
  script-src {EXAMPLE_URL}/widget/;
  connect-src {EXAMPLE_URL};
  style-src 'none';
  require-trusted-types-for 'script'; trusted-types 'none'""",
    ),
    Recipe(
        "tag-manager",
        "A tag manager",
        "A handler also gets what happened before it came, so it may load last. Events hold nothing personal.",
        """\
customElements.whenDefined("support-box").then(() => {
  SupportBox.on("pledged", ({ detail: { amount, currency, frequency } }) => {
    const format = new Intl.NumberFormat("en", { style: "currency", currency });
    const { maximumFractionDigits } = format.resolvedOptions();
    (window.dataLayer ??= []).push({
      event: "begin_checkout",
      value: amount / 10 ** maximumFractionDigits, // 7 for $7, which is an amount of 700
      currency,
      frequency,
    });
  });
});""",
    ),
)
