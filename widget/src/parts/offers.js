/**
 * The fields of a campaign with several currencies or with fees that readers may cover. The box loads this part with
 * such a campaign, and browsers may run it with the v1.js of an older or newer build.
 */

import css from "../fees.css";
import { currencyField } from "./currency.js";
import { feesCheckbox } from "./fees.js";

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

/**
 * Adds the style sheet of the checkbox to a box. An older v1.js has these styles itself, and may not say which box it is.
 * @param {HTMLElement | undefined} host
 */
function addStyles(host) {
  const { adoptedStyleSheets = [] } = host?.shadowRoot ?? {};
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
}

/** @type {OffersPart} */
const offers = {
  currencyField,
  feesCheckbox(context, onchange) {
    addStyles(context.host);
    return feesCheckbox(context, onchange);
  },
};
export default offers;
