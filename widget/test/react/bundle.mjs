/** Prints one script of app.jsx with the recipe, whose file is the argument. The browser tests put it on a page. */

import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const resolvePath = (path) => fileURLToPath(new URL(path, import.meta.url));
const { outputFiles } = await build({
  entryPoints: [resolvePath("app.jsx")],
  alias: { recipe: process.argv[2] },
  nodePaths: [resolvePath("../../node_modules")],
  bundle: true,
  define: { "process.env.NODE_ENV": '"development"' },
  format: "esm",
  jsx: "automatic",
  write: false,
});
process.stdout.write(outputFiles[0].text);
