/** The one style sheet, shared by every box on the page. */

import controls from "./controls.css";
import frame from "./frame.css";
import options from "./options.css";

/** Each colour's name, by day and by lamplight, and the one thing that stays as it is. A newsroom sets its own as `--support-box-` and the name. */
const COLOURS = `
ink #1d1b18 #f1eee7
muted #5d574d #bdb7ab
line #8b8578 #8b8578
paper #faf8f3 #1f1e1b
field #fff #292824
accent #0f5c4e #9ad2c6
on-accent #fff #10211d
danger #a3200d #ffb3a7
radius 6px 6px`;

/** @param {"light" | "dark"} scheme @param {"$2" | "$3"} colour which of its line */
const boxIn = (scheme, colour) =>
  `.box{color-scheme:${scheme};${COLOURS.replace(/(.+) (.+) (.+)/g, `--$1:var(--support-box-$1,${colour});`)}}`;

const night = boxIn("dark", "$3");

export const sheet = new CSSStyleSheet();

// The night colours hold twice: when the reader's system is dark, unless the newsroom wants light, and when the
// newsroom wants dark.
sheet.replaceSync(
  controls +
    options +
    frame +
    boxIn("light", "$2") +
    `@media(prefers-color-scheme:dark){:host(:not([theme=light])) ${night}}:host([theme=dark]) ${night}`,
);
