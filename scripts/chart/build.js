// Rebuilds gradlib/static/chart.js and the licences of what is in it:
//   npm --prefix scripts/chart ci && npm --prefix scripts/chart run build
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";

const target = "../../gradlib/static";
const { version } = JSON.parse(readFileSync("node_modules/@observablehq/plot/package.json"));

const { metafile } = await build({
  entryPoints: ["chart.js"],
  outfile: `${target}/chart.js`,
  bundle: true,
  minify: true,
  // A classic script: module scripts do not load from file://, and a book is also opened as files.
  format: "iife",
  globalName: "GradlibChart",
  // ASCII only, so that the script may be pasted into a page of any encoding.
  charset: "ascii",
  banner: {
    js: `/*! Part of Observable Plot ${version} and D3; licences in chart-licences.txt. Rebuild: scripts/chart/build.js */`,
  },
  metafile: true,
});

const bundled = new Set(
  Object.entries(Object.values(metafile.outputs)[0].inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1])
    .filter(Boolean),
);
const licences = [...bundled].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version } = JSON.parse(readFileSync(`${folder}/package.json`));
  return `${name} ${version}\n\n${readFileSync(`${folder}/LICENSE`, "utf8").trim()}\n`;
});
writeFileSync(`${target}/chart-licences.txt`, licences.join(`\n${"-".repeat(72)}\n\n`));
