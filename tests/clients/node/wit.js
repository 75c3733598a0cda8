// Prints what jco sees in a component: its WIT, then the functions of its interfaces as TypeScript declarations.
// `PORTCULLIS_NPM=target/foreign/npm node wit.js FILE`. jco reads whole sections into memory, so this is for small files.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const installed = resolve(process.env.PORTCULLIS_NPM, "node_modules/@bytecodealliance/jco-transpile/dist");
const { componentWit } = await import(pathToFileURL(`${installed}/wasm-tools.js`));
const { transpileBytes } = await import(pathToFileURL(`${installed}/index.js`));

const component = await readFile(process.argv[2]);
process.stdout.write(await componentWit(component));
const { files } = await transpileBytes(component, { name: "component" });
for (const [name, bytes] of Object.entries(files)) {
  if (name.endsWith(".d.ts")) {
    process.stdout.write(`\n// ${name}\n${new TextDecoder().decode(bytes)}`);
  }
}
