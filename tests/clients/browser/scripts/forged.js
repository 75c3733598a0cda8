// Another site sends the store's forms: from another site, and from another port of the same machine, whose pages are
// sent the store's cookies along.

export default async function ({ origin, email, password, foreign, pending, own, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  const form = (action, fields) =>
    `<body><form method="post" action="${origin}${action}">${Object.entries(fields)
      .map(([name, value]) => `<input name="${name}" value="${value}">`)
      .join("")}<button>Win a prize</button></form></body>`;
  const pages = {
    "/approve": form("/device", { csrf: foreign.csrf, code: pending, decision: "approve" }),
    "/approve-bare": form("/device", { csrf: "", code: pending, decision: "approve" }),
    "/sign-in": form("/sign-in", { csrf: foreign.csrf, email: foreign.email, password: foreign.password }),
    "/out": form("/account/sign-out-everywhere", { csrf: foreign.csrf }),
    "/email": form("/account/email", { csrf: foreign.csrf, "new-email": foreign.email, "password-for-email": password }),
  };
  const landed = {};
  for (const [where, host] of [["another site", "localhost"], ["another port", "127.0.0.1"]]) {
    const evil = await site(pages, host);
    for (const path of Object.keys(pages)) {
      await page.goto(evil + path);
      await Promise.all([page.waitForNavigation(), page.getByRole("button").click()]);
      landed[`${path} from ${where}`] = await page.textContent("h1");
    }
    // In the background, with the cookies that the browser lets along.
    const background = await page.evaluate(
      async ([url, body]) => {
        const headers = { "content-type": "application/x-www-form-urlencoded" };
        const sent = await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", headers, body }).catch(String);
        return typeof sent === "string" ? sent : sent.type;
      },
      [`${origin}/device`, `csrf=${foreign.csrf}&code=${pending}&decision=approve`],
    );
    landed[`background from ${where}`] = background;
  }
  await page.goto(`${origin}/account`);
  const account = await page.textContent("main");
  await page.goto(`${origin}/device?code=${own}`);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "approve" }).click()]);
  return { landed, account, approved: await page.textContent("h1") };
}
