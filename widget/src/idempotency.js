/**
 * One intent is one gift the reader means to make. Its key lets the service recognise a repeated request,
 * so a retry can never become a second gift.
 */

/** 128 random bits. Pages without TLS have no randomUUID, and the key needs only to be random, not a UUID. */
export const randomKey = () => crypto.getRandomValues(new BigUint64Array(2)).join("-");

export function createKeyStore(createKey = randomKey) {
  let lastBody = "";
  let key = "";
  return {
    /** The same body keeps its key; another body is another intent. @param {string} body */
    keyFor(body) {
      if (body !== lastBody) {
        lastBody = body;
        key = createKey();
      }
      return key;
    },
    /** What comes next is a new intent, even if it looks the same. */
    resetKey() {
      lastBody = "";
    },
  };
}
