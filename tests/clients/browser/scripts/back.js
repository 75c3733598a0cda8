// After a sign-out somebody else sits down at the browser and presses its back button.

export default async function ({ origin, email, password, enter, person }) {
  const page = await (await person()).newPage();
  await enter(page, "/sign-in", email, password);
  await page.goto(`${origin}/account`);
  await page.goto(origin);
  await page.goBack();
  const before = await page.textContent("main");
  await page.goto(origin);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Sign out" }).click()]);
  const after = [];
  for (let steps = 0; steps < 4; steps += 1) {
    const answer = await page.goBack().catch(() => null);
    after.push(await page.textContent("body"));
    if (!answer) break;
  }
  return { before, after };
}
