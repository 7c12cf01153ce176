/**
 * The fields of a campaign with several currencies or with fees that readers may cover. The box loads this part with
 * such a campaign, and browsers may run it with the v1.js of an older or newer build.
 */

import { currencyField } from "./currency.js";
import { feesCheckbox } from "./fees.js";

/** @type {OffersPart} */
const offers = { currencyField, feesCheckbox };
export default offers;
