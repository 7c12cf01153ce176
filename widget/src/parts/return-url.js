/** The newsroom's own page for readers who have paid. An unusable URL never stops a pledge. */

/** @param {HTMLElement} host */
export function createReturnUrl(host) {
  let rejectedUrl = "";
  const attribute = () => host.getAttribute("return-url") ?? "";

  const returnUrl = {
    /** @returns {string | undefined} an absolute URL, or undefined for the service's thank-you page */
    readUrl() {
      if (!attribute() || attribute() === rejectedUrl) return;
      try {
        return new URL(attribute(), location.href).href;
      } catch (error) {
        returnUrl.rejectUrl(error);
      }
    },

    /**
     * Leaves the current URL out of later requests. The console warns once, and a retry keeps its body and so its
     * Idempotency-Key.
     * @param {unknown} reason
     */
    rejectUrl(reason) {
      rejectedUrl = attribute();
      console.warn(`<support-box> goes without return-url="${rejectedUrl}":`, String(reason));
    },
  };
  return returnUrl;
}
