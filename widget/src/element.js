/** <support-box campaign="default">: the only name this script brings to the page. */

import { openBox } from "./box.js";

class SupportBox extends HTMLElement {
  static observedAttributes = ["api", "campaign", "lang"];
  #box = openBox(this);
  #isWaiting = false;
  #hasLoaded = false;

  connectedCallback() {
    addEventListener("pageshow", this);
    // A box that is only moved keeps what the reader chose.
    if (!this.#hasLoaded) this.#loadSoon();
  }

  disconnectedCallback() {
    removeEventListener("pageshow", this);
  }

  attributeChangedCallback() {
    this.#loadSoon();
  }

  /** @param {PageTransitionEvent} event */
  handleEvent({ persisted }) {
    if (persisted) this.#box.comeBack();
  }

  /** A page may set several attributes in a row; the campaign is asked for once. */
  #loadSoon() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    queueMicrotask(() => {
      this.#isWaiting = false;
      if (!this.isConnected) return;
      this.#hasLoaded = true;
      this.#box.load();
    });
  }
}

// An older browser, or a page with the script twice, keeps what it has: the newsroom's own link still works.
if ("adoptedStyleSheets" in Document.prototype && !customElements.get("support-box"))
  customElements.define("support-box", SupportBox);
