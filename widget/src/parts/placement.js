/**
 * What the attributes of a box choose: its first choice, where it stands, and what it may remember. The box loads this
 * part if it has such an attribute.
 *
 * Browsers may run it with the v1.js of an older or newer build, so the two share no module, and the names in
 * `PlacementContext` and `Placement` keep their meaning.
 */

import css from "../placement.css";
import { applyAttributes, oneOf, wholeNumber } from "./attributes.js";
import { createElement } from "../dom.js";
import { createMemory } from "./memory.js";

const DEFAULT_AFTER_VIEWS = 3;

/** Every box of the page shares it. */
const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

const { style: pageStyle } = document.documentElement;
/** The scroll padding that a banner has set. */
let bannerPadding = "";
/** The one that the page itself had before. */
let pagePadding = "";

/** Keeps what the reader moves the focus to above a banner. @param {string} height */
function keepAbove(height) {
  const padding = pageStyle.scrollPaddingBlockEnd;
  if (padding !== bannerPadding) pagePadding = padding;
  pageStyle.scrollPaddingBlockEnd = bannerPadding = height;
}

/** @param {PlacementContext} context @returns {Placement} */
export default function createPlacement({ host, dismiss, sendRequest }) {
  const shadow = /** @type {ShadowRoot} */ (host.shadowRoot);
  const box = /** @type {HTMLElement} */ (shadow.querySelector(".box"));
  const memory = createMemory(host, sendRequest);
  const dialog = createElement("dialog", { "aria-labelledby": "heading" });
  const expand = createElement("button", { type: "button", part: "submit", ariaExpanded: "false", onclick: showAll });
  const placement = () => oneOf(host, "placement", ["inline", "banner", "dialog"]) ?? "inline";
  const isDismissed = () => box.dataset.state === "dismissed";
  /** The placement and the campaign. */
  const purpose = () => placement() + host.getAttribute("campaign");
  /** Those for which the box is shown; undefined while it is not. @type {string | void} */
  let shownFor;
  shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];

  /** @param {string} label */
  function collapse(label) {
    box.dataset.collapsed = "";
    expand.textContent = label;
    box.append(expand);
    keepAbove(`${box.offsetHeight}px`);
  }

  function showAll() {
    delete box.dataset.collapsed;
    expand.remove();
    focusHeading();
  }

  function focusHeading() {
    /** @type {HTMLElement | null} */ (box.querySelector("[part=heading]"))?.focus();
  }

  /** Puts the box back where its element is on the page. */
  function unplace() {
    shownFor = undefined;
    // Another box may be the banner, and the page may have set a padding of its own since.
    if (box.dataset.placement && pageStyle.scrollPaddingBlockEnd === bannerPadding) keepAbove(pagePadding);
    delete box.dataset.placement;
    delete box.dataset.collapsed;
    expand.remove();
    shadow.replaceChildren(box);
    dialog.close();
  }

  // Escape closes a dialog by itself. The event comes late, so the dialog may be open again.
  dialog.onclose = () => dialog.isConnected && !dialog.open && !isDismissed() && dismiss();
  // The style sheet animates a dialog that is no longer modal because the page has moved it.
  dialog.onanimationstart = () => {
    if (!dialog.open) return;
    dialog.close();
    dialog.showModal();
    focusHeading();
  };
  box.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && box.dataset.placement && !isDismissed()) dismiss();
  });
  // The line that a banner leaves goes once the reader goes on. Another window may have the focus for a while.
  box.addEventListener("focusout", ({ relatedTarget }) => {
    const goesOn = document.hasFocus() && !box.contains(/** @type {Node | null} */ (relatedTarget));
    if (box.dataset.placement && isDismissed() && goesOn) host.hidden = true;
  });

  return {
    async isDue() {
      const isDialog = placement() === "dialog";
      const { articles, views, isQuiet } = await memory.visit(isDialog);
      const afterViews = wholeNumber(host, "after-views", 1, 1000) ?? DEFAULT_AFTER_VIEWS;
      const isDue = !isQuiet && (!isDialog || (articles > 1 && views > afterViews));
      // A box that stands there stays while its attributes change. A dialog that only turns invisible would still
      // block the page.
      return shownFor === purpose() || isDue || unplace();
    },

    isOverlay: () => placement() !== "inline",

    apply: (campaign, currencies, lang) => applyAttributes(host, campaign, currencies, lang),

    show(label, isOpen) {
      const hasFocus = isOpen || shadow.activeElement;
      unplace();
      host.hidden = false;
      shownFor = purpose();
      const where = placement();
      if (where === "dialog") {
        shadow.append(dialog);
        dialog.append(box);
        dialog.showModal();
        memory.forgetViews();
      } else if (where === "banner") {
        box.dataset.placement = where;
        if (!isOpen) collapse(label);
      }
      // The focus is lost when the box moves.
      if (hasFocus || where === "dialog") focusHeading();
    },

    hide() {
      const where = placement();
      unplace();
      if (where === "banner") box.dataset.placement = where;
      // A dialog returns the focus to where it was.
      return where !== "dialog";
    },

    remember: memory.remember,
    undo: memory.undo,
    forget: () => (shownFor = memory.forget()),
  };
}
