// Makes a component of `guest.js`: `node componentize.js SCRIPT WIT OUT`, with this package's dependencies installed.
// It keeps every import that the world declares, so what it makes can be sealed though it never asks its gate.
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { componentize } from "@bytecodealliance/componentize-js";

const [script, wit, out] = process.argv.slice(2).map((path) => resolve(path));
const { component } = await componentize({
  sourcePath: script,
  witPath: wit,
  worldName: "script",
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
await writeFile(out, component);
