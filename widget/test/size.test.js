import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import EN from "../../schemas/texts/widget.en.json" with { type: "json" };
import { MANGLED_PROPS, buildWidget } from "../build.mjs";

/** The largest size of each built file, in bytes after gzip. Every page loads v1.js, and few load the others. */
const LIMITS = { "v1.js": 8192, "checkout-1.js": 3584, "offers-1.js": 1024, "placement-1.js": 3072, "reminder-1.js": 4096, "support-page.js": 3584 };
const scripts = await buildWidget();

test("every built file has a limit", () => assert.deepEqual(Object.keys(scripts).sort(), Object.keys(LIMITS).sort()));

for (const [name, script] of Object.entries(scripts)) {
  test(`${name} is at most ${LIMITS[name]} bytes after gzip`, (t) => {
    const bytes = gzipSync(script, { level: 9 }).length;
    t.diagnostic(`${name} is ${bytes} bytes after gzip, of ${LIMITS[name]}`);
    assert.ok(bytes <= LIMITS[name], `${name} is ${bytes} bytes after gzip`);
  });

  test(`${name} uses no markup strings and no inline styles, so that a strict CSP allows it`, () => {
    // A policy does not concern styles that a script sets by a property.
    const markup = script.replace(/\.style\.scrollPaddingBlockEnd/, "");
    for (const forbidden of ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function(", ".style.", "cssText"])
      assert.ok(!markup.includes(forbidden), forbidden);
  });

  test(`${name} uses no browser storage, except what a page allows to the part for placement`, () => {
    for (const forbidden of ["cookie", "sessionStorage", "indexedDB", ...(name === "placement-1.js" ? [] : ["localStorage"])])
      assert.ok(!script.includes(forbidden), forbidden);
  });

  test(`${name} loads modules only by a URL of its own host`, () => {
    const imports = script.match(/\bimport\b(?!\.meta\.url).{0,9}/g) ?? [];
    assert.ok(name === "v1.js" ? imports.length === 1 : !imports.length, String(imports));
  });
}

test("the build is deterministic", async () => assert.deepEqual(await buildWidget(), scripts));

test("no mangled property is a text key", () =>
  assert.deepEqual(MANGLED_PROPS.filter((name) => name in EN), []));

test("no mangled property is listed twice", () =>
  assert.equal(new Set(MANGLED_PROPS).size, MANGLED_PROPS.length));
