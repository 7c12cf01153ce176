/** The shadow root of a box. Each state is a `data-state` value and one view. */

import { createElement } from "./dom.js";
import { textDirection } from "./language.js";
import { brandStyles, styleSheet } from "./styles.js";

/** @typedef {ReturnType<typeof createFrame>} Frame */

/**
 * @param {HTMLElement} host the <support-box> element
 * @param {() => void} onclose
 */
export function createFrame(host, onclose) {
  // The box cannot be closed before its campaign is loaded.
  const closeProperties = { type: "button", part: "close", hidden: true, onclick: onclose };
  const close = createElement("button", closeProperties, "×");
  const heading = createElement("div", { id: "heading" });
  const message = createElement("p", { role: "status", part: "message", tabIndex: -1 });
  const body = createElement("div", { part: "body" });
  const properties = { className: "box", part: "box", "aria-labelledby": "heading" };
  const box = createElement("section", properties, close, heading, message, body);
  // A box has a shadow root already if another host served it before.
  const shadow = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const look = new CSSStyleSheet();
  shadow.adoptedStyleSheets = [styleSheet, look];
  shadow.replaceChildren(box);
  /** @type {View} */
  let view;

  const frame = {
    box,

    /** @param {State} state */
    setState(state) {
      box.dataset.state = state;
    },

    /** @param {State} state */
    isState: (state) => box.dataset.state === state,

    /** Returns a function that tells whether the same view is still shown, and not submitted or closed meanwhile. */
    watchView() {
      const shown = view;
      const isBusy = frame.isState("submitting");
      return () => view === shown && isBusy === frame.isState("submitting") && !frame.isState("dismissed");
    },

    /** @param {State} state @param {View} next */
    showView(state, next, moveFocus = true) {
      view = next;
      frame.setState(state);
      const level = host.getAttribute("heading-level")?.match(/^[1-6]$/) ?? 2;
      const properties = { part: "heading", tabIndex: -1 };
      const title = createElement(/** @type {"h2"} */ (`h${level}`), properties, next.heading ?? "");
      heading.replaceChildren(next.heading ? title : "");
      message.textContent = next.message ?? "";
      body.replaceChildren(...next.nodes);
      if (moveFocus) (next.heading ? title : message).focus();
    },

    /** @param {string} error */
    showFieldError(error) {
      frame.setState("invalid");
      view.showFieldError?.(error);
    },

    /** @param {string} label the label of the submit button */
    setBusy(label) {
      frame.setState("submitting");
      view.setBusy?.(label);
    },

    /** Shows the look of the campaign. @param {Brand | null | undefined} brand */
    setBrand(brand) {
      look.replaceSync(brand ? brandStyles(brand) : "");
    },

    /** Also sets the language of the box. @param {string} lang @param {string} label */
    showClose(lang, label) {
      Object.assign(box, { lang, dir: textDirection(lang) });
      close.setAttribute("aria-label", label);
      close.hidden = false;
    },
  };
  return frame;
}
