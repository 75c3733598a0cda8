// Another site does whatever a page can do to have the store's cookie replaced; then a person follows a link from it.

export default async function ({ origin, email, password, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  const everything = `<body>
    <a id="link" href="${origin}/account">Your account</a>
    <form id="get" method="get" action="${origin}/sign-in"><button>Search</button></form>
    <img src="${origin}/"><iframe src="${origin}/sign-in"></iframe>
    <script>fetch("${origin}/sign-up", { mode: "no-cors", credentials: "include" }).catch(() => {});</script></body>`;
  const titles = {};
  for (const [where, host] of [["another site", "localhost"], ["another port", "127.0.0.1"]]) {
    const other = await site({ "/": everything }, host);
    await page.goto(other, { waitUntil: "networkidle" });
    await Promise.all([page.waitForNavigation(), page.locator("#get button").click()]);
    await page.goto(other);
    await Promise.all([page.waitForNavigation(), page.locator("#link").click()]);
    titles[where] = await page.textContent("h1");
    const [popup] = await Promise.all([
      context.waitForEvent("page"),
      page.evaluate((url) => void window.open(url), `${origin}/account`),
    ]);
    await popup.waitForLoadState();
    titles[`a window from ${where}`] = await popup.textContent("h1");
    await popup.close();
  }
  await page.goto(origin);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Sign out" }).click()]);
  await page.goto(`${origin}/account`);
  return { titles, after: await page.textContent("h1") };
}
