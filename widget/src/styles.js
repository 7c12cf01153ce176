/** The style sheet that every box on the page shares. */

import controls from "./controls.css";
import frame from "./frame.css";
import options from "./options.css";

/** Each custom property with its light and dark value. A newsroom overrides it as `--support-box-` and the name. */
const PROPERTIES = `
ink #1d1b18 #f1eee7
muted #5d574d #bdb7ab
line #8b8578 #8b8578
paper #faf8f3 #1f1e1b
field #fff #292824
accent #0f5c4e #9ad2c6
on-accent #fff #10211d
danger #a3200d #ffb3a7
radius 6px 6px`;

/** @param {"light" | "dark"} scheme @param {"$2" | "$3"} value the column of PROPERTIES, as a regex group */
const schemeRule = (scheme, value) =>
  `.box{color-scheme:${scheme};${PROPERTIES.replace(/(.+) (.+) (.+)/g, `--$1:var(--support-box-$1,${value});`)}}`;

const darkRule = schemeRule("dark", "$3");

export const styleSheet = new CSSStyleSheet();

// The dark scheme applies if the reader's system is dark and the newsroom does not set theme="light", or if the
// newsroom sets theme="dark".
styleSheet.replaceSync(
  controls +
    options +
    frame +
    schemeRule("light", "$2") +
    `@media(prefers-color-scheme:dark){:host(:not([theme=light])) ${darkRule}}:host([theme=dark]) ${darkRule}`,
);
