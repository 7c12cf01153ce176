/**
 * Builds the embedded script into the place the web process serves it from.
 * `--check` builds in memory and compares, because the built file is committed: Heroku's web process has no Node.
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
export const BUILT = here("../service/pages/static/v1.js");

/** A style sheet arrives in the script as one minified string. */
const styleSheets = {
  name: "style-sheets",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

export async function buildWidget() {
  const { outputFiles } = await build({
    entryPoints: [here("src/element.js")],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    // The oldest browsers with adopted style sheets; older ones show the newsroom's own link.
    target: ["chrome103", "firefox101", "safari16.4"],
    charset: "utf8",
    banner: { js: "/* Mainstay support box 1. MIT licence. Built from widget/src; change it there. */" },
    plugins: [styleSheets],
  });
  return outputFiles[0].text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const script = await buildWidget();
  if (!process.argv.includes("--check")) {
    await writeFile(BUILT, script);
  } else if ((await readFile(BUILT, "utf8").catch(() => "")) !== script) {
    console.error("service/pages/static/v1.js is not what widget/src builds. Run make widget and commit the result.");
    process.exitCode = 1;
  }
}
