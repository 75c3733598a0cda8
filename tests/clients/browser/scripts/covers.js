// Covers that are documents or scripts: opened, loaded as a script, framed; and the same bytes served as what they are.
import { createServer } from "node:http";

export default async function ({ origin, covers, person, site }) {
  const context = await person();
  const page = await context.newPage();
  const ran = () => page.evaluate(() => globalThis.ran === true);
  // Not by a timer of the page: a document in a sandbox has none.
  const settled = () => page.waitForTimeout(100);
  const seen = {};
  const copies = {};
  for (const { what, path, bytes, harmful } of covers) {
    const url = origin + path;
    const ways = {};
    await page.goto(url).catch(() => null);
    await settled();
    ways.opened = await ran();
    // From another port of the same machine, which is the same site, with whatever cookies that brings along.
    const framing = {
      "/script": `<body><script src="${url}"></script></body>`,
      "/frame": `<body><iframe src="${url}"></iframe></body>`,
      "/object": `<body><object data="${url}"></object></body>`,
    };
    const evil = await site(framing, "127.0.0.1");
    for (const [way, path] of [["as a script", "/script"], ["in a frame", "/frame"], ["as an object", "/object"]]) {
      await page.goto(evil + path, { waitUntil: "load" });
      await settled();
      const inside = await Promise.all(
        page.frames().map((frame) => frame.evaluate(() => globalThis.ran === true).catch(() => false)),
      );
      ways[way] = inside.includes(true);
    }
    seen[what] = ways;
    const copy = createServer((request, response) => {
      if (request.url === "/") {
        const html = harmful === "text/javascript" ? `<body><script src="/bytes"></script></body>` : `<body></body>`;
        return response.writeHead(200, { "content-type": "text/html" }).end(html);
      }
      return response.writeHead(200, { "content-type": harmful }).end(Buffer.from(bytes, "base64url"));
    });
    await new Promise((listening) => copy.listen(0, "127.0.0.1", listening));
    const at = `http://127.0.0.1:${copy.address().port}`;
    await page.goto(harmful === "text/javascript" ? at : `${at}/bytes`);
    await settled();
    copies[what] = await ran();
    copy.closeAllConnections();
    copy.close();
  }
  return { covers: seen, copies };
}
