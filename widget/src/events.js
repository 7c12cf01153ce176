/**
 * `window.SupportBox`, with which tag managers listen to every box of the page. It is one object for the scripts of all
 * hosts. A handler also gets what happened before it came, because tag managers often load last.
 */

/** @type {Event[]} */
const past = [];

// A page may have a variable of this name.
export const { past: events = [] } = (window.SupportBox ??= {
  past,
  on(name, handler) {
    const type = `support-box:${name}`;
    // Before the earlier events, so that a handler that throws hears the later ones.
    addEventListener(type, handler);
    for (const event of past) if (event.type === type) handler(event);
    return () => removeEventListener(type, handler);
  },
});
