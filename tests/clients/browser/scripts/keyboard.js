// A person with a keyboard and nothing else: signs in, approves a terminal, revokes one, signs out.

export default async function ({ origin, email, password, pending, person }) {
  const page = await (await person({ javaScriptEnabled: false })).newPage();
  const sent = async (key) => {
    await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
  };
  /** Tabs on to what is called so. */
  const reach = async (name) => {
    for (let tries = 0; tries < 40; tries += 1) {
      await page.keyboard.press("Tab");
      const focused = page.locator(":focus");
      if ((await focused.count()) && (await focused.innerText()).includes(name)) return;
    }
    throw new Error(`the tab key does not come to ${name} on ${page.url()}`);
  };

  await page.goto(`${origin}/device?code=${pending}`);
  await page.locator("#email:focus").waitFor();
  await page.keyboard.type(email);
  await page.keyboard.press("Tab");
  await page.keyboard.type("a wrong password");
  await sent("Enter");
  const kept = await page.inputValue("#email");
  await page.locator("#password:focus").waitFor();
  await page.keyboard.type(password);
  await sent("Enter");
  const asked = page.url();
  await reach("approve");
  await sent("Enter");
  const approved = await page.textContent("h1");
  await page.goto(`${origin}/account`);
  await reach("Revoke…");
  await page.keyboard.press("Enter");
  await reach("Revoke ");
  await sent("Enter");
  const revoked = await page.getByRole("status").textContent();
  await page.goto(origin);
  await reach("Sign out");
  await sent("Enter");
  const out = await page.getByRole("link", { name: "Sign in" }).count();
  return { kept, asked, approved, revoked, out };
}
