// Another site sends the forms that buy and pay in: from another site, and from another port of the same machine, whose
// pages are sent the store's cookies along.

export default async function ({ origin, email, password, buying, csrf, key, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  const form = (action, fields) =>
    `<body><form method="post" action="${origin}${action}">${Object.entries(fields)
      .map(([name, value]) => `<input name="${name}" value="${value}">`)
      .join("")}<button>Win a prize</button></form></body>`;
  const pages = {
    "/buy": form(buying, { csrf, key, means: "sandbox:ok" }),
    "/buy-bare": form(buying, { csrf: "", key, means: "sandbox:ok", again: "true" }),
    "/top-up": form("/account/balance", { csrf, key, means: "sandbox:ok", amount: "500.00", currency: "EUR" }),
  };
  const landed = {};
  for (const [where, host] of [["another site", "localhost"], ["another port", "127.0.0.1"]]) {
    const evil = await site(pages, host);
    for (const path of Object.keys(pages)) {
      await page.goto(evil + path);
      await Promise.all([page.waitForNavigation(), page.getByRole("button").click()]);
      landed[`${path} from ${where}`] = await page.textContent("h1");
    }
    landed[`background from ${where}`] = await page.evaluate(
      async ([url, body]) => {
        const headers = { "content-type": "application/x-www-form-urlencoded" };
        const sent = await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", headers, body }).catch(String);
        return typeof sent === "string" ? sent : sent.type;
      },
      [origin + buying, `csrf=${csrf}&key=${key}&means=sandbox%3Aok`],
    );
  }
  await page.goto(`${origin}/account/purchases`);
  const orders = await page.locator("a[href^='/account/orders/']").count();
  await page.goto(origin + buying);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Buy for" }).click()]);
  return { landed, orders, own: await page.textContent("h1") };
}
