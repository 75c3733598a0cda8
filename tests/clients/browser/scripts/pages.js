// Every page, in every state that a person gets it into, looked at from all sides.
import { inspect } from "../inspect.js";

export default async function ({ origin, email, password, pending, unfinished, invitation, screenshots, axe, enter, person }) {
  const wrong = [];
  const seen = [];
  const look = async (page, name) => {
    seen.push(name);
    wrong.push(...(await inspect(page, name, axe, screenshots)));
  };
  const visit = async (page, path, name) => {
    await page.goto(origin + path);
    await look(page, name);
  };

  const stranger = await (await person()).newPage();
  await visit(stranger, "/", "first page");
  await visit(stranger, "/sign-in", "sign-in");
  await enter(stranger, "/sign-in", email, "a wrong password");
  await look(stranger, "sign-in that failed");
  await visit(stranger, "/sign-up", "sign-up");
  await enter(stranger, "/sign-up", "a\u200bda@example.org", "long enough\u202e");
  await look(stranger, "sign-up that failed");
  await enter(stranger, "/sign-up", email, "long enough for all");
  await look(stranger, "sign-up with a name that is taken");
  await visit(stranger, invitation, "invitation");
  await visit(stranger, "/invite/nonsense", "no invitation");
  await visit(stranger, "/nothing-here", "page not found");
  await visit(stranger, "/search?q=lake", "search that finds nothing");
  await visit(stranger, "/account/password", "not possible here");

  const page = await (await person()).newPage();
  await enter(page, "/sign-in", email, password);
  await look(page, "first page, signed in");
  await visit(page, "/device", "a code is asked for");
  await visit(page, "/device?code=BCDF-GHJK", "a code that is unknown");
  await visit(page, `/device?code=${pending}`, "a terminal asks");
  await visit(page, "/account/library", "library");
  await visit(page, "/account/purchases", "purchases");
  await visit(page, "/account/balance", "balance");
  await visit(page, "/account", "account");
  if (!(await page.textContent("main")).includes(unfinished)) wrong.push("account: no sign-in without a terminal");
  await page.getByLabel("Current password").first().fill("a wrong password");
  await page.getByLabel("New password").fill("long enough for all");
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Change the password" }).click()]);
  await look(page, "account, wrong password");
  await page.getByLabel("New e-mail address").fill("a\u0430@example.org");
  await page.getByLabel("Current password").last().fill(password);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Change the address" }).click()]);
  await look(page, "account, wrong address");
  await page.goto(`${origin}/device?code=${pending}`);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "approve" }).click()]);
  await look(page, "approved");
  await page.goto(`${origin}/account`);
  await page.getByText("Sign out everywhere…").click();
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Sign out everywhere" }).click()]);
  await look(page, "signed out everywhere");
  return { wrong, seen };
}
