// Runs one script of `scripts/` in a real browser and prints what it returns as JSON.
//
//   PORTCULLIS_NPM=target/foreign/browser PORTCULLIS_CHROMIUM=/usr/bin/chromium node drive.js NAME < arguments.json
//
// Everything happens on this machine: the server under test is at 127.0.0.1, other sites are at `localhost`, which a
// browser takes for another site, or at another port of 127.0.0.1, which it takes for another origin of the same site.
// Each page that is opened is named on standard error: whoever started this sees that it goes on, and where it was.
import { execFile, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(resolve(process.env.PORTCULLIS_NPM), "package.json"));
const { chromium } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

// Nothing leaves the machine, and nothing of a desktop is needed.
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-proxy-server",
];
// How long one step may take: a machine that builds at the same time is slow.
const PATIENCE = 60_000;

const input = [];
for await (const chunk of process.stdin) input.push(chunk);
const given = JSON.parse(Buffer.concat(input).toString());

const browser = await chromium.launch({ executablePath: process.env.PORTCULLIS_CHROMIUM, args: FLAGS, timeout: PATIENCE });
const sites = [];

/** A browser of one person: its own cookies. */
async function person(options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  context.on("page", (page) => page.on("load", () => console.error(page.url())));
  return context;
}

/** Another site. `pages` maps paths to HTML, or to functions of the request that return it. */
async function site(pages, host = "localhost") {
  const server = createServer(async (request, response) => {
    const page = pages[request.url.split("?")[0]];
    if (page === undefined) return response.writeHead(404).end();
    const html = typeof page === "function" ? await page(request) : page;
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  sites.push(server);
  return `http://${host}:${server.address().port}`;
}

/** Fills in the form of a sign-in or sign-up page and sends it. */
async function enter(page, path, email, password) {
  await page.goto(given.origin + path);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
  await Promise.all([page.waitForNavigation(), page.getByRole("button").click()]);
}

/** A machine with a terminal: a folder, and what its user types there. The programs are those of `programs`. */
async function machine(folder) {
  await mkdir(folder, { recursive: true });
  const env = { ...process.env, PORTCULLIS_HOME: join(folder, "home"), NO_COLOR: "1" };
  env.PATH = [given.programs, process.env.PATH].join(delimiter);
  const options = { cwd: folder, env, maxBuffer: 1 << 26 };
  /** Types a line as it stands on a page, and returns how it ended. */
  const type = (line) =>
    new Promise((ended) => {
      const child = execFile("sh", ["-c", line], options, (error, stdout, stderr) =>
        ended({ line, exit: error ? error.code ?? -1 : 0, stdout, stderr }),
      );
      child.stdin.end();
    });
  /** Types the line that signs in, and returns the code and the words that it shows; `ended` is how it ends. */
  const login = (line, store) =>
    new Promise((shown, failed) => {
      const child = spawn("sh", ["-c", line], { ...options, stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      const ended = new Promise((done) => child.on("close", (exit) => done({ line, exit, said })));
      const listen = (chunk) => {
        said += chunk;
        const code = said.match(/\b[A-Z0-9]{4}-[A-Z0-9]{4}\b/)?.[0];
        const words = (said.match(/\b(?:[a-z]+-){7}[a-z]+\b/g) ?? []).find((words) => words !== store);
        if (code && words) shown({ code, words, ended });
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      ended.then(({ exit }) => failed(new Error(`\`${line}\` ended with ${exit}:\n${said}`)));
    });
  return { folder, type, login };
}

try {
  const script = await import(pathToFileURL(resolve(import.meta.dirname, "scripts", `${process.argv[2]}.js`)));
  const result = await script.default({ ...given, axe, enter, person, site, machine });
  process.stdout.write(JSON.stringify(result));
} finally {
  await browser.close();
  for (const server of sites) {
    server.closeAllConnections();
    server.close();
  }
}
