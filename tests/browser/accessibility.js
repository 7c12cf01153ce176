// Accessibility checks, run in the page and in its shadow roots. The argument is a check's name; the result is a list
// of failures or a measurement.
(check) => {
  /** Every element below a root, including those in shadow roots. */
  const everything = (root) =>
    [...root.querySelectorAll("*")].flatMap((element) =>
      element.shadowRoot ? [element, ...everything(element.shadowRoot)] : [element],
    );
  const text = (element) => element.textContent.trim().replace(/\s+/g, " ");
  const animations = () =>
    [document, ...everything(document).flatMap(({ shadowRoot }) => shadowRoot ?? [])].flatMap((root) =>
      root.getAnimations(),
    );
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });

  const checks = {
    /**
     * Violations of axe-core's rules: WCAG 2.0 to 2.2, levels A and AA, and its best practices. A contrast that
     * axe-core cannot determine counts as a violation. Animations finish first, because fading changes the contrast.
     */
    async violations() {
      const finite = animations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
      await Promise.allSettled(finite.map(({ finished }) => finished));
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations, incomplete, passes } = await axe.run({
        runOnly: { type: "tag", values: tags },
        // The only frame shows an email and runs no scripts; a separate test checks the email by itself.
        iframes: false,
        resultTypes: ["violations", "incomplete"],
      });
      if (!passes.length) throw new Error("axe-core checked nothing");
      const reasons = (node) => [...node.any, ...node.all, ...node.none].map(({ message }) => message).join("; ");
      return [...violations, ...incomplete.filter(({ id }) => id === "color-contrast")].flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.target.flat().join(" > ")}: ${reasons(node)}`),
      );
    },

    /**
     * Targets smaller than 44 × 44 px (WCAG 2.5.5). Inline links are that rule's exception, and a field counts with
     * the frame around it.
     */
    smallTargets() {
      const selector = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]";
      return everything(document)
        .filter((element) => element.matches(selector) && isShown(element))
        .filter((element) => getComputedStyle(element).display !== "inline")
        .map((element) => [element, (element.closest(".well") ?? element).getBoundingClientRect()])
        .filter(([, { width, height }]) => Math.min(width, height) < 43.9)
        .map(([element, { width, height }]) => `${element.localName} “${text(element)}” is ${width} × ${height} px`);
    },

    /** The page if it is wider than its window, and the elements that make it so. */
    tooWide() {
      const { scrollWidth, clientWidth } = document.documentElement;
      if (scrollWidth <= clientWidth) return [];
      const wideElements = everything(document.body)
        .filter((element) => element.getBoundingClientRect().right > clientWidth + 0.5)
        .map((element) => `wide: ${element.localName} “${text(element)}”`);
      return [`${scrollWidth} px in a window of ${clientWidth}`, ...wideElements];
    },

    /** Elements whose text overflows. Only code may scroll sideways. */
    cutOff: () =>
      everything(document.body)
        .filter((element) => isShown(element) && element.localName !== "pre" && element.clientWidth > 1)
        .filter((element) => getComputedStyle(element).display !== "inline")
        .filter((element) => element.scrollWidth > element.clientWidth + 1)
        .map((element) => `cut off: ${element.localName} “${text(element)}”`),

    /**
     * The focused element, and whether its focus is visible. The ring may be on the element itself, on the next one
     * (the label of a hidden radio button) or on the frame around a field.
     */
    focus() {
      let element = document.activeElement;
      while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
      const ring = [element, element.nextElementSibling, element.closest(".well")].filter(Boolean).some((place) => {
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(place);
        // The browser's default ring has the style "auto" and no fixed width.
        const drawn = outlineStyle === "auto" || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
        return drawn || boxShadow !== "none";
      });
      const { top, bottom } = element.getBoundingClientRect();
      const label = element.labels?.[0];
      const name = element.getAttribute("aria-label") || text(label ?? element);
      return { name, tag: element.localName, ring, inView: bottom > 0 && top < innerHeight };
    },

    /** The number of running animations. */
    animations: () => animations().length,

    /** Everything that the page has stored in the browser. */
    storedData: async () => ({
      cookies: document.cookie,
      local: { ...localStorage },
      session: { ...sessionStorage },
      databases: (await indexedDB.databases()).map(({ name }) => name),
      caches: await caches.keys(),
      workers: (await navigator.serviceWorker.getRegistrations()).length,
    }),
  };
  return checks[check]();
}
