/** <support-box campaign="default">: the only name this script brings to the page. */

import { openBox } from "./box.js";

class SupportBox extends HTMLElement {
  static observedAttributes = ["api", "campaign", "lang"];
  #box = openBox(this);
  /** Counts the reasons to ask for the campaign; none while it was not asked for and is not about to be. */
  #reasons = 0;

  connectedCallback() {
    addEventListener("pageshow", this);
    // A box that is only moved keeps what the reader chose.
    if (!this.#reasons) this.attributeChangedCallback();
  }

  disconnectedCallback() {
    removeEventListener("pageshow", this);
  }

  /** A page may set several attributes in a row; the campaign is asked for once. */
  attributeChangedCallback() {
    const reason = ++this.#reasons;
    queueMicrotask(() => {
      if (reason !== this.#reasons) return;
      if (this.isConnected) this.#box.load();
      else this.#reasons = 0;
    });
  }

  /** @param {PageTransitionEvent} event */
  handleEvent({ persisted }) {
    if (persisted) this.#box.comeBack();
  }
}

// An older browser, or a page with the script twice, keeps what it has: the newsroom's own link still works.
if ("adoptedStyleSheets" in Document.prototype && !customElements.get("support-box"))
  customElements.define("support-box", SupportBox);
