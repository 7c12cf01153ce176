import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import EN from "../../schemas/texts/widget.en.json" with { type: "json" };
import { MANGLED_PROPS, buildWidget } from "../build.mjs";

const LIMIT_BYTES = 8192;

test("the built file is at most 8 KB after gzip", async (t) => {
  const script = await buildWidget();
  const bytes = gzipSync(script, { level: 9 }).length;
  t.diagnostic(`v1.js is ${bytes} bytes after gzip, of ${LIMIT_BYTES}`);
  assert.ok(bytes <= LIMIT_BYTES, `v1.js is ${bytes} bytes after gzip`);
});

test("the built file uses no markup strings and no inline styles, so that a strict CSP allows it", async () => {
  const script = await buildWidget();
  for (const forbidden of ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function(", ".style.", "cssText"])
    assert.ok(!script.includes(forbidden), forbidden);
});

test("the built file uses no browser storage", async () => {
  const script = await buildWidget();
  for (const forbidden of ["cookie", "localStorage", "sessionStorage", "indexedDB"])
    assert.ok(!script.includes(forbidden), forbidden);
});

test("no mangled property is a text key", () =>
  assert.deepEqual(MANGLED_PROPS.filter((name) => name in EN), []));
