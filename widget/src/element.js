/** Defines <support-box>, the only global name that the script adds to the page. */

import { createBox } from "./box.js";

class SupportBox extends HTMLElement {
  static observedAttributes = ["api", "campaign", "lang"];
  #box = createBox(this);
  /** Counts the requests to load the campaign; 0 while nothing is loaded or about to be. */
  #loadRequests = 0;

  connectedCallback() {
    addEventListener("pageshow", this);
    // An element that the page moves keeps the reader's choice.
    if (!this.#loadRequests) this.attributeChangedCallback();
  }

  disconnectedCallback() {
    removeEventListener("pageshow", this);
  }

  /** Loads the campaign once when a page sets several attributes in a row. */
  attributeChangedCallback() {
    const loadId = ++this.#loadRequests;
    queueMicrotask(() => {
      if (loadId !== this.#loadRequests) return;
      if (this.isConnected) this.#box.loadCampaign();
      else this.#loadRequests = 0;
    });
  }

  /** @param {PageTransitionEvent} event */
  handleEvent({ persisted }) {
    if (persisted) this.#box.restoreForm();
  }
}

// In an older browser, or on a page that already has the script, the newsroom's own link still works.
if ("adoptedStyleSheets" in Document.prototype && !customElements.get("support-box"))
  customElements.define("support-box", SupportBox);
