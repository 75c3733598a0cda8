// Prints the WIT of a component: `PORTCULLIS_NPM=target/foreign/npm node wit.js FILE`.
// jco reads whole sections into memory, so this is for small files.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const installed = resolve(process.env.PORTCULLIS_NPM, "node_modules/@bytecodealliance/jco-transpile");
const { componentWit } = await import(pathToFileURL(`${installed}/dist/wasm-tools.js`));
process.stdout.write(await componentWit(await readFile(process.argv[2])));
