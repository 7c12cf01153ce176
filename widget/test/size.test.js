import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import EN from "../../schemas/texts/widget.en.json" with { type: "json" };
import { MANGLED_PROPS, buildWidget } from "../build.mjs";

const LIMIT_BYTES = 8192;

test("the script with its styles and its English fits in 8 KB", async (t) => {
  const script = await buildWidget();
  const bytes = gzipSync(script, { level: 9 }).length;
  t.diagnostic(`v1.js is ${bytes} bytes after gzip, of ${LIMIT_BYTES}`);
  assert.ok(bytes <= LIMIT_BYTES, `v1.js is ${bytes} bytes after gzip`);
});

test("the script writes no markup and no inline style, so that a strict page lets it in", async () => {
  const script = await buildWidget();
  for (const forbidden of ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function(", ".style.", "cssText"])
    assert.ok(!script.includes(forbidden), forbidden);
});

test("the script keeps nothing in the reader's browser", async () => {
  const script = await buildWidget();
  for (const forbidden of ["cookie", "localStorage", "sessionStorage", "indexedDB"])
    assert.ok(!script.includes(forbidden), forbidden);
});

test("no name that is shortened in the built file is the name of a text", () =>
  assert.deepEqual(MANGLED_PROPS.filter((name) => name in EN), []));
