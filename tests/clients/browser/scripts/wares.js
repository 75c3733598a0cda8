// What a publisher wrote is markup: on every page of the store that shows it, on the way of its buyer, and on a page that
// does not escape it.

export default async function ({ origin, password, pages, text, buying, enter, person, site }) {
  const page = await (await person()).newPage();
  let dialogs = 0;
  page.on("dialog", (dialog) => {
    dialogs += 1;
    dialog.dismiss();
  });
  await enter(page, "/sign-up", `a${Date.now()}@mail.example`, password);
  const seen = {};
  const look = async (name) => {
    await page.waitForLoadState("load");
    // A script of the page has run by now; an image that is none has failed.
    await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
    const body = await page.textContent("main");
    // What the store's own pages never have.
    const foreign = "script, iframe, object, embed, base, meta[http-equiv], [onload], [onerror], a[href^='javascript:'], b";
    const elements = await page.locator(foreign).count();
    const ran = (await page.evaluate(() => globalThis.ran === true)) || dialogs > 0;
    seen[name] = { ran, shown: body.includes(text), elements };
  };
  for (const path of pages) {
    await page.goto(origin + path);
    await look(path);
  }
  await page.goto(origin + buying);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Buy for" }).click()]);
  await look("the order");
  await page.goto(`${origin}/account/purchases`);
  await look("purchases");
  await page.goto(await site({ "/": `<body><main>${text}</main></body>` }));
  await page.evaluate(() => new Promise((done) => setTimeout(done, 200)));
  const unescaped = (await page.evaluate(() => globalThis.ran === true)) || dialogs > 0;
  return { pages: seen, unescaped };
}
