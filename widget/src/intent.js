/**
 * One intent is one gift the reader means to make. Its key lets the service recognise a repeated request,
 * so a retry can never become a second gift.
 */

/** @param {Pick<Crypto, "getRandomValues"> & { randomUUID?: () => string }} source */
export function newKey(source = crypto) {
  // Pages without TLS have no randomUUID; the key needs only to be random, not a UUID.
  return (
    source.randomUUID?.() ??
    Array.from(source.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
  );
}

export function newIntent(makeKey = newKey) {
  let meant = "";
  let key = "";
  return {
    /** The same body keeps its key; another body is another intent. @param {string} body */
    keyFor(body) {
      if (body !== meant) {
        meant = body;
        key = makeKey();
      }
      return key;
    },
    /** What comes next is a new intent, even if it looks the same. */
    forget() {
      meant = "";
    },
  };
}
