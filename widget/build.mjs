/**
 * Builds the embedded script into the place the web process serves it from.
 * `--check` builds in memory and compares, because the built file is committed: Heroku's web process has no Node.
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { minify } from "terser";

const resolvePath = (path) => fileURLToPath(new URL(path, import.meta.url));
export const OUTPUT_FILE = resolvePath("../service/pages/static/v1.js");
const BANNER = "/* Mainstay support box, MIT licence: widget/src */\n";

/**
 * Properties that only our own files speak of; in the built file they have the shortest names there are. None of
 * them may be on the wire, in a custom event, or on anything of the browser's; tests hold them to that.
 */
export const MANGLED_PROPS = [
  "choice coversFees currencies currencyOption customAmount errorKey hideClose isState isSymbolFirst loadCampaign",
  "minor money nodes preset resetKey restoreForm retryAfterSeconds setBusy setMessage setState showClose showError",
  "showFieldError showPledge showReminder showReminderCreated showView submitPledge submitReminder symbol",
].flatMap((line) => line.split(" "));

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
    entryPoints: [resolvePath("src/element.js")],
    bundle: true,
    minify: true,
    mangleProps: new RegExp(`^(${MANGLED_PROPS.join("|")})$`),
    write: false,
    format: "esm",
    // The oldest browsers with adopted style sheets; older ones show the newsroom's own link.
    target: ["chrome103", "firefox101", "safari16.4"],
    charset: "utf8",
    plugins: [styleSheets],
  });
  // One writes a bundle small; the other finds what that leaves, such as functions that are called once. Its last two
  // settings bring what is alike together, which is worth nothing before compression and fifty bytes after it.
  const compress = { passes: 3, hoist_funs: true, lhs_constants: false };
  const { code } = await minify(outputFiles[0].text, { module: true, ecma: 2022, compress });
  return `${BANNER}${code}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const script = await buildWidget();
  if (!process.argv.includes("--check")) {
    await writeFile(OUTPUT_FILE, script);
  } else if ((await readFile(OUTPUT_FILE, "utf8").catch(() => "")) !== script) {
    console.error("service/pages/static/v1.js is not what widget/src builds. Run make widget and commit the result.");
    process.exitCode = 1;
  }
}
