/**
 * Builds the widget into the directory that the web process serves: `v1.js`, which every page loads, the parts that it
 * loads when a reader needs them, and the script of the support page, which shares its code. The built files are committed because Heroku's web process has no Node; `--check`
 * builds in memory and fails if a committed file differs. `--release` also keeps this v1.js for pages that pin it by its hash.
 */

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { minify } from "terser";

const resolvePath = (path) => fileURLToPath(new URL(path, import.meta.url));
export const OUTPUT_FOLDER = resolvePath("../service/pages/static/");
const BANNER = "/* Mainstay support box, MIT */\n";

/**
 * The parts, by name. The number in a part's file counts the versions of what it shares with v1.js: `PartContext`,
 * `CheckoutContext`, `View` and the names below.
 */
const PARTS = {
  checkout: "src/parts/checkout.js",
  offers: "src/parts/offers.js",
  placement: "src/parts/placement.js",
  reminder: "src/parts/reminder.js",
};
const partFile = (name) => `${name}-1.js`;
/** Scripts of our own pages, by file. */
const PAGE_SCRIPTS = { "support-page.js": "src/support-page/script.js" };

/**
 * Internal properties that the build shortens. Tests reject a name that is a JSON field of the service, a text key or a
 * property of a browser object. It must not be a property of a custom event's detail either.
 *
 * Each name becomes the letter of its place, so that the parts fit the v1.js of other builds. Add names at the end, and
 * put "unused" in the place of one that goes.
 */
export const MANGLED_PROPS = [
  "choice coversFees currencies currencyOption customAmount errorKey unused isState isSymbolFirst leaveFrame",
  "keyForBody minor money nodes preset readUrl rejectUrl resetKey retryAfterSeconds setBusy setMessage setState showClose showError",
  "showFieldError showPledge showReminder watchView showView submitPledge commonFields symbol preloadPart sendRequest",
  "currencyField feesCheckbox offers updateFees setBrand fetchCampaign createContext notice askedLang showChangedOffer isDue isOverlay remember report",
].flatMap((line) => line.split(" "));

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const mangleCache = Object.fromEntries(MANGLED_PROPS.map((name, place) => [name, LETTERS[place]]));

/**
 * Texts that the box may need before its campaign is loaded. The campaign's response brings all others. The service has
 * the same list in schemas/translations.py.
 */
export const BUILT_IN_TEXTS = [
  "loading try_again try_again_in_one try_again_in_other try_again_in_minutes_other error_loading",
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

/** Bundles and minifies a module. */
async function buildScript(entryPoint, constants = {}) {
  const { outputFiles } = await build({
    entryPoints: [resolvePath(entryPoint)],
    bundle: true,
    minify: true,
    mangleProps: new RegExp(`^(${MANGLED_PROPS.join("|")})$`),
    mangleCache,
    define: constants,
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

/** The hash that the service writes in the URLs of its static files. */
const hashOf = (script) => createHash("sha256").update(script).digest("hex").slice(0, 16);

/** @returns {Promise<Record<string, string>>} the built scripts by file name */
export async function buildWidget() {
  const files = {};
  const hashes = {};
  for (const [name, entryPoint] of Object.entries(PARTS)) {
    const script = await buildScript(entryPoint);
    files[partFile(name)] = script;
    hashes[name] = hashOf(script);
  }
  for (const [name, entryPoint] of Object.entries(PAGE_SCRIPTS)) files[name] = await buildScript(entryPoint);
  files["v1.js"] = await buildScript("src/element.js", { PART_HASHES: JSON.stringify(hashes) });
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, script] of Object.entries(await buildWidget())) {
    const path = OUTPUT_FOLDER + name;
    if (!process.argv.includes("--check")) {
      await writeFile(path, script);
    } else if ((await readFile(path, "utf8").catch(() => "")) !== script) {
      console.error(`service/pages/static/${name} is stale. Run make widget and commit the result.`);
      process.exitCode = 1;
    }
    if (name === "v1.js" && process.argv.includes("--release"))
      await writeFile(`${OUTPUT_FOLDER}released/${hashOf(script)}.js`, script);
  }
}
