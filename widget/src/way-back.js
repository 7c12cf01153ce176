/** Where the newsroom wants its readers after they paid. An address that is of no use must never cost a gift. */

/** @param {HTMLElement} host */
export function wayBackOf(host) {
  let useless = "";
  const asked = () => host.getAttribute("return-url") ?? "";

  const way = {
    /** @returns {string | undefined} nothing stands for our own thank-you page */
    returnUrl() {
      if (!asked() || asked() === useless) return;
      try {
        return new URL(asked(), location.href).href;
      } catch (error) {
        way.leaveOut(error);
      }
    },

    /**
     * Remembers the address, so that the newsroom is told once and a repeated request stays the same intent.
     * @param {unknown} why
     */
    leaveOut(why) {
      useless = asked();
      console.warn(`<support-box> goes without return-url="${useless}":`, String(why));
    },
  };
  return way;
}
