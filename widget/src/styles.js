/** The one style sheet, shared by every box on the page. */

import controls from "./controls.css";
import frame from "./frame.css";
import night from "./night.css";
import options from "./options.css";

export const sheet = new CSSStyleSheet();

// The night colours are written once and hold twice: when the reader's system is dark, unless the newsroom
// wants light, and when the newsroom wants dark.
sheet.replaceSync(
  controls +
    options +
    frame +
    `@media(prefers-color-scheme:dark){:host(:not([theme=light])) ${night}}:host([theme=dark]) ${night}`,
);
