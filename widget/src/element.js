/**
 * Defines <support-box>, which is with `SupportBox` all that the script adds to the page. If a page has scripts of several hosts,
 * the element is that of the first script, and each host serves its own boxes.
 */

import { createBox } from "./box.js";
import { createElement } from "./dom.js";

/** The host that this script came from. */
const HOST = new URL(import.meta.url).origin;

/**
 * Returns the host that a box names, or what it names if that is no URL.
 * @param {Element} box
 */
const namedHost = (box) => {
  const href = box.getAttribute("api");
  // A link resolves a URL as the browser does, and has no origin if it cannot.
  return href && (createElement("a", { href }).origin || href);
};

class SupportBox extends HTMLElement {
  // The style sheet follows the theme by itself.
  static observedAttributes =
    "api campaign lang amount compact currency frequency placement reminder storage".split(" ");
  /**
   * What creates the boxes of each host. Scripts of other versions use these names and those of `Box`, so they stay.
   * @type {Record<string, typeof createBox | undefined>}
   */
  static hosts = { [HOST]: createBox };
  /** Whether another host has a script on the page, but no box names it. Then only the first box without `api` is ours. */
  static isAmbiguous = false;
  /** @type {import("./box.js").Box | undefined} */
  #box;
  /** @type {typeof createBox | undefined} */
  #create;
  /** Counts the requests to load the campaign; 0 while nothing is loaded or about to be. */
  #loadRequests = 0;

  connectedCallback() {
    addEventListener("pageshow", this);
    // An element that the page moves keeps the reader's choice.
    if (!this.#loadRequests) this.attributeChangedCallback();
  }

  disconnectedCallback() {
    removeEventListener("pageshow", this);
    // An element that the page moves is connected again by now.
    queueMicrotask(() => {
      if (!this.isConnected && this.#box?.stop()) this.#loadRequests = 0;
    });
  }

  /** Shows the box, also one that is not due or that the reader closed, and moves the focus to it. */
  async open() {
    // A page may call this at once after adding the element.
    await 0;
    if (this.isConnected) this.#box?.open?.();
  }

  /** Forgets what the reader chose and closed, and starts again. */
  async reset() {
    await 0;
    if (this.isConnected) this.#box?.reset?.();
  }

  /**
   * Loads the campaign once when a page sets several attributes in a row.
   * @param {unknown} [name]
   * @param {unknown} [before]
   * @param {unknown} [after]
   */
  attributeChangedCallback(name, before, after) {
    // A framework may set what is there already.
    if (name && before === after) return;
    const loadId = ++this.#loadRequests;
    queueMicrotask(() => {
      if (loadId !== this.#loadRequests) return;
      if (this.isConnected) this.#load();
      else this.#loadRequests = 0;
    });
  }

  /** Returns what creates this box: the host that it names, else the first script's. */
  #findCreate() {
    const isOurs = !SupportBox.isAmbiguous || this === document.querySelector("support-box:not([api])");
    return SupportBox.hosts[namedHost(this) || (isOurs ? HOST : "")];
  }

  #load() {
    const create = this.#findCreate();
    if (create !== this.#create) {
      this.#box?.stop();
      this.#create = create;
      this.#box = create?.(this);
    }
    if (this.#box) return this.#box.load();
    // Without a shadow root, the newsroom's own link shows by itself.
    this.shadowRoot?.replaceChildren(createElement("slot"));
    // Until the page is loaded, the script of the box's host may still come.
    if (document.readyState === "complete") console.warn("Set api to the host of a script:", this);
  }

  /** The page was restored or is loaded, or another host's script came. @param {Partial<PageTransitionEvent>} event */
  handleEvent({ persisted }) {
    if (persisted) this.#box?.restore();
    else if (!this.#box || this.#findCreate() !== this.#create) this.attributeChangedCallback();
  }
}

/** @type {typeof SupportBox | undefined} */
const defined = /** @type {any} */ (customElements.get("support-box"));

// In an older browser the newsroom's own link still works.
if (!defined) {
  if ("adoptedStyleSheets" in Document.prototype) customElements.define("support-box", SupportBox);
} else if (!defined.hosts?.[HOST]) {
  const boxes = /** @type {NodeListOf<SupportBox>} */ (document.querySelectorAll("support-box"));
  if (![...boxes].some((box) => namedHost(box) === HOST)) {
    defined.isAmbiguous = true;
    console.warn(`Set api="${HOST}" on its <support-box>`);
  }
  // A version that serves the boxes of every host itself has no `hosts`.
  if (defined.hosts) {
    defined.hosts[HOST] = createBox;
    for (const box of boxes) box.handleEvent({});
  }
}
