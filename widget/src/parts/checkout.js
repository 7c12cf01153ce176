/**
 * The checkout. The box loads this part when a reader points at the form or moves the focus into it.
 *
 * Browsers may run it with the v1.js of an older or newer build, so the two share no module, and the names in
 * `CheckoutContext` and `Checkout` keep their meaning.
 */

export { createCheckout as default } from "./checkout-request.js";
