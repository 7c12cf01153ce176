/**
 * Keys for the Idempotency-Key header of a pledge. A retry sends the same key, so the service cannot create the pledge
 * twice.
 */

/** Returns 128 random bits. Pages without TLS lack crypto.randomUUID, and the key need not be a UUID. */
export const randomKey = () => crypto.getRandomValues(new BigUint64Array(2)).join("-");

export function createKeyStore(createKey = randomKey) {
  let lastBody = "";
  let key = "";
  return {
    /** Returns the last key if the body is the same, else a new one. @param {string} body */
    keyForBody(body) {
      if (body !== lastBody) {
        lastBody = body;
        key = createKey();
      }
      return key;
    },
    /** Gives the next request a new key, even if its body is the same. */
    resetKey() {
      lastBody = "";
    },
  };
}
