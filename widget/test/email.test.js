import assert from "node:assert/strict";
import { test } from "node:test";
import CASES from "../../tests/email_addresses.json" with { type: "json" };
import { isEmailAddress } from "../src/parts/email.js";

for (const { address, widget } of CASES)
  test(`${JSON.stringify(address)} is ${widget ? "sent to the service" : "refused"}`, () =>
    assert.equal(isEmailAddress(address), widget));
