/** The shadow root and what stands in it: every state is one name on the box and one view inside it. */

import { make } from "./dom.js";
import { directionOf } from "./language.js";
import { sheet } from "./styles.js";

/** @typedef {ReturnType<typeof createFrame>} Frame */

/**
 * @param {HTMLElement} host the element on the newsroom's page
 * @param {() => void} onclose
 */
export function createFrame(host, onclose) {
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
    setState(state) {
      box.dataset.state = state;
    },

    /** @param {State} state */
    isState: (state) => box.dataset.state === state,

    /** @param {State} state @param {View} next */
    show(state, next, moveFocus = true) {
      view = next;
      frame.setState(state);
      const level = host.getAttribute("heading-level")?.match(/^[1-6]$/) ?? 2;
      const title = make(/** @type {"h2"} */ (`h${level}`), { part: "heading", tabIndex: -1 }, next.heading ?? "");
      heading.replaceChildren(next.heading ? title : "");
      message.textContent = next.message ?? "";
      body.replaceChildren(...next.nodes);
      if (moveFocus) (next.heading ? title : message).focus();
    },

    /** @param {string} text */
    showFieldError(text) {
      frame.setState("invalid");
      view.showFieldError?.(text);
    },

    /** @param {string} text */
    setBusy(text) {
      frame.setState("submitting");
      view.setBusy?.(text);
    },

    /** There is nothing to close before the campaign has come. */
    hideClose() {
      close.hidden = true;
    },

    /** @param {string} lang @param {string} closing the name of the close button */
    showClose(lang, closing) {
      Object.assign(box, { lang, dir: directionOf(lang) });
      close.setAttribute("aria-label", closing);
      close.hidden = false;
    },
  };
  return frame;
}
