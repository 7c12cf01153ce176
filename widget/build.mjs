/**
 * Builds the widget into the directory that the web process serves. The built file is committed because Heroku's web
 * process has no Node; `--check` builds in memory and fails if the committed file differs.
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { minify } from "terser";

const resolvePath = (path) => fileURLToPath(new URL(path, import.meta.url));
export const OUTPUT_FILE = resolvePath("../service/pages/static/v1.js");
const BANNER = "/* Mainstay support box, MIT */\n";

/**
 * Internal properties that the build shortens. Tests reject a name that is a JSON field of the service, a text key or a
 * property of a browser object. It must not be a property of a custom event's detail either.
 */
export const MANGLED_PROPS = [
  "choice coversFees currencies currencyOption customAmount errorKey hideClose isState isSymbolFirst leaveFrame",
  "keyForBody minor money nodes preset readUrl rejectUrl resetKey retryAfterSeconds setBusy setMessage setState showClose showError",
  "showFieldError showPledge showReminder showReminderCreated showView submitPledge submitReminder symbol",
].flatMap((line) => line.split(" "));

/**
 * Texts that the box may need before its campaign is loaded. The campaign's response brings all others. The service has
 * the same list in schemas/translations.py.
 */
export const BUILT_IN_TEXTS = [
  "once monthly annual continue loading submitting close try_again try_again_in not_ready error_loading",
].flatMap((line) => line.split(" "));

/** Imports only the texts that are built in. */
const builtInTexts = {
  name: "built-in-texts",
  setup({ onLoad }) {
    onLoad({ filter: /widget\.en\.json$/ }, async ({ path }) => {
      // JSON.stringify takes a list of the keys to keep.
      return { contents: JSON.stringify(JSON.parse(await readFile(path, "utf8")), BUILT_IN_TEXTS), loader: "json" };
    });
  },
};

/** Imports a style sheet as a minified string. */
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
    // The oldest browsers with adopted style sheets. Older ones show the newsroom's own link.
    target: ["chrome103", "firefox101", "safari16.4"],
    charset: "utf8",
    plugins: [styleSheets, builtInTexts],
  });
  // esbuild bundles, and terser then inlines functions that are called once. Its last two options place similar code
  // together, which saves about fifty bytes after gzip.
  // `unsafe` writes `String(x)` as `x + ""`, which is the same for all values here and saves thirty bytes.
  const compress = { passes: 3, hoist_funs: true, lhs_constants: false, pure_getters: true, unsafe: true };
  const { code } = await minify(outputFiles[0].text, { module: true, ecma: 2022, compress });
  return `${BANNER}${code}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const script = await buildWidget();
  if (!process.argv.includes("--check")) {
    await writeFile(OUTPUT_FILE, script);
  } else if ((await readFile(OUTPUT_FILE, "utf8").catch(() => "")) !== script) {
    console.error("service/pages/static/v1.js is stale. Run make widget and commit the result.");
    process.exitCode = 1;
  }
}
