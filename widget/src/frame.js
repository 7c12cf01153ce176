/** The shadow root and what stands in it: every state is one name on the box and one view inside it. */

import { make } from "./dom.js";
import { directionOf } from "./language.js";
import { sheet } from "./styles.js";

/** @typedef {ReturnType<typeof makeFrame>} Frame */

/**
 * @param {HTMLElement} host the element on the newsroom's page
 * @param {() => void} onclose
 */
export function makeFrame(host, onclose) {
  const close = make("button", { type: "button", part: "close", onclick: onclose }, "×");
  const heading = make("div", { id: "heading" });
  const message = make("p", { role: "status", part: "message", tabIndex: -1 });
  const body = make("div", { part: "body" });
  const traits = { className: "box", part: "box", "aria-labelledby": "heading" };
  const box = make("section", traits, close, heading, message, body);
  const shadow = host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [sheet];
  shadow.append(box);
  /** @type {View} */
  let view;

  const frame = {
    /** @param {State} state */
    markAs(state) {
      box.dataset.state = state;
    },

    /** @param {State} state */
    is: (state) => box.dataset.state === state,

    /** @param {State} state @param {View} next */
    show(state, next, moveFocus = true) {
      view = next;
      frame.markAs(state);
      const level = host.getAttribute("heading-level")?.match(/^[1-6]$/) ?? 2;
      const title = make(/** @type {"h2"} */ (`h${level}`), { part: "heading", tabIndex: -1 }, next.heading ?? "");
      heading.replaceChildren(next.heading ? title : "");
      message.textContent = next.message ?? "";
      body.replaceChildren(...next.nodes);
      if (moveFocus) (next.heading ? title : message).focus();
    },

    /** @param {string} complaint */
    refuse(complaint) {
      frame.markAs("invalid");
      view.refuse?.(complaint);
    },

    /** @param {string} words */
    beBusy(words) {
      frame.markAs("submitting");
      view.busy?.(words);
    },

    /** There is nothing to close before the campaign has come. */
    shut() {
      close.hidden = true;
    },

    /** @param {string} lang @param {string} closing the name of the close button */
    open(lang, closing) {
      Object.assign(box, { lang, dir: directionOf(lang) });
      close.setAttribute("aria-label", closing);
      close.hidden = false;
    },
  };
  return frame;
}
