// What a test asks of a page, looking also inside the box: the name of the question goes in, faults or facts come out.
(question) => {
  /** Every element below a root, those in shadow roots too. */
  const everything = (root) =>
    [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? everything(one.shadowRoot) : [])]);
  const words = (one) => one.textContent.trim().replace(/\s+/g, " ");
  const animations = () =>
    [document, ...everything(document).flatMap((one) => one.shadowRoot ?? [])].flatMap((root) => root.getAnimations());
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true });

  const answers = {
    /**
     * Breaches of axe-core's rules: WCAG 2.0 to 2.2, levels A and AA, and its best practices. A contrast that it
     * cannot tell counts as one, since nobody else would look at it. What is still fading in has another contrast.
     */
    async violations() {
      const passing = animations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
      await Promise.allSettled(passing.map(({ finished }) => finished));
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations, incomplete, passes } = await axe.run({
        runOnly: { type: "tag", values: tags },
        // Our only frame, around a mail, lets no script in, this one neither; the mail is looked at by itself.
        iframes: false,
        resultTypes: ["violations", "incomplete"],
      });
      if (!passes.length) throw new Error("axe-core found nothing to look at");
      const reasons = (node) => [...node.any, ...node.all, ...node.none].map(({ message }) => message).join("; ");
      return [...violations, ...incomplete.filter(({ id }) => id === "color-contrast")].flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.target.flat().join(" > ")}: ${reasons(node)}`),
      );
    },

    /**
     * What a thumb would miss: 44 px each way (WCAG 2.5.5). A link in a line of text is as tall as its line, which is
     * that rule's own exception, and a field is as large as the frame it stands in.
     */
    smallTargets() {
      const kinds = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]";
      return everything(document)
        .filter((one) => one.matches(kinds) && isShown(one) && getComputedStyle(one).display !== "inline")
        .map((one) => [one, (one.closest(".well") ?? one).getBoundingClientRect()])
        .filter(([, { width, height }]) => Math.min(width, height) < 43.9)
        .map(([one, { width, height }]) => `${one.localName} “${words(one)}” is ${width} × ${height} px`);
    },

    /** A page that is wider than its window, and what makes it so. */
    tooWide() {
      const { scrollWidth, clientWidth } = document.documentElement;
      if (scrollWidth <= clientWidth) return [];
      const wide = everything(document.body).filter((one) => one.getBoundingClientRect().right > clientWidth + 0.5);
      return [`${scrollWidth} px in a window of ${clientWidth}`, ...wide.map((one) => `wide: ${one.localName} “${words(one)}”`)];
    },

    /** Words that are cut off or run over their neighbours; only code may scroll sideways. */
    cutOff: () =>
      everything(document.body)
        .filter((one) => isShown(one) && one.localName !== "pre" && one.clientWidth > 1)
        .filter((one) => getComputedStyle(one).display !== "inline" && one.scrollWidth > one.clientWidth + 1)
        .map((one) => `cut off: ${one.localName} “${words(one)}”`),

    /**
     * What has the focus, and whether something drawn says so. A native radio fills its tile unseen and a field
     * stands in a frame, so the ring may be on the neighbour or on the frame.
     */
    focus() {
      let one = document.activeElement;
      while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
      const ring = [one, one.nextElementSibling, one.closest(".well")].filter(Boolean).some((place) => {
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(place);
        // The browser's own ring, on the newsroom's links, is "auto" and as wide as the browser likes.
        const drawn = outlineStyle === "auto" || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
        return drawn || boxShadow !== "none";
      });
      const { top, bottom } = one.getBoundingClientRect();
      const label = one.labels?.[0];
      const name = one.getAttribute("aria-label") || words(label ?? one);
      return { name, tag: one.localName, ring, inView: bottom > 0 && top < innerHeight };
    },

    /** How many things are moving. */
    animations: () => animations().length,

    /** Whatever the page has kept in the browser, by any of the ways there are. */
    kept: async () => ({
      cookies: document.cookie,
      local: { ...localStorage },
      session: { ...sessionStorage },
      databases: (await indexedDB.databases()).map(({ name }) => name),
      caches: await caches.keys(),
      workers: (await navigator.serviceWorker.getRegistrations()).length,
    }),
  };
  return answers[question]();
}
