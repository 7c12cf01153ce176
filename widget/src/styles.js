/** The style sheet that every box on the page shares, and one with the look of a campaign. */

import controls from "./controls.css";
import frame from "./frame.css";
import options from "./options.css";

/**
 * Each custom property with its light and dark value. A newsroom overrides it on its page as `--support-box-` and the
 * name, and in its campaign as a `brand`. The ring is visible on the paper.
 */
const PROPERTIES = `
ink #1d1b18 #f1eee7
muted #5d574d #bdb7ab
line #8b8578 #8b8578
paper #faf8f3 #1f1e1b
field #fff #292824
accent #0f5c4e #9ad2c6
on-accent #fff #10211d
ring var(--accent) var(--accent)
danger #a3200d #ffb3a7
radius 6px 6px`;

const HEADING_FONTS = {
  serif: "Iowan Old Style,Palatino Linotype,Palatino,Georgia,serif",
  sans: "Helvetica Neue,Arial,sans-serif",
  system: "system-ui",
};

/** @param {"light" | "dark"} scheme @param {"$2" | "$3"} value the column of PROPERTIES, as a regex group */
const schemeRule = (scheme, value) =>
  `.box{color-scheme:${scheme};${PROPERTIES.replace(/(.+) (.+) (.+)/g, `--$1:var(--support-box-$1,var(--brand-$1,${value}));`)}}`;

/**
 * The dark rule applies if the reader's system is dark and the newsroom does not set theme="light", or if the newsroom
 * sets theme="dark".
 * @param {string} light
 * @param {string} dark
 */
const themed = (light, dark) =>
  `${light}@media(prefers-color-scheme:dark){:host(:not([theme=light])) ${dark}}:host([theme=dark]) ${dark}`;

/** @param {string} css */
function createSheet(css) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  return sheet;
}

export const styleSheet = createSheet(
  controls + options + frame + themed(schemeRule("light", "$2"), schemeRule("dark", "$3")),
);

/**
 * Returns the style sheet of a campaign's look. The accent fills the button in both schemes, with text that the service
 * found readable on it; the ring is the service's shade of it for the ground. The page's own accent wins.
 * @param {Brand} brand
 */
export function brandStyles({ accent, on_accent, accent_hover, accent_on_light, accent_on_dark, heading_font }) {
  /** @param {string} color */
  const unlessSet = (color) => `var(--support-box-accent,${color})`;
  /** @param {string | null} color */
  const ring = (color) => `.box{--brand-ring:${unlessSet(color ?? "")}}`;
  return (
    (heading_font ? `.box{--brand-heading-font:${HEADING_FONTS[heading_font]}}` : "") +
    (accent
      ? `.box{--brand-accent:${accent};--brand-on-accent:${on_accent}}[part=submit]:hover{background:${unlessSet(
          accent_hover ?? accent,
        )};filter:none}${themed(ring(accent_on_light), ring(accent_on_dark))}`
      : "")
  );
}
