// The store and the account, in every state that a person gets them into, looked at from all sides.
import { inspect } from "../inspect.js";

export default async function ({ origin, password, screenshots, axe, enter, person }) {
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
  const send = (page, name) => Promise.all([page.waitForNavigation(), page.getByRole("button", { name }).click()]);

  const stranger = await (await person()).newPage();
  await visit(stranger, "/", "store");
  await visit(stranger, "/search?q=photograph", "search");
  await visit(stranger, "/search?kind=picture", "a kind");
  await visit(stranger, "/search?q=nothing+like+this", "nothing found");
  await visit(stranger, "/resources/lumen/picos-de-europa", "resource");
  await visit(stranger, "/publishers/lumen", "publisher");
  await visit(stranger, "/resources/the-house-of-many-wares/ware-1", "resource with a long word");
  await visit(stranger, "/resources/the-house-of-many-wares/ware-2", "resource with a long title");
  await visit(stranger, "/resources/the-house-of-many-wares/ware-3", "resource in Hebrew");
  await visit(stranger, "/publishers/the-house-of-many-wares", "publisher of many");
  await visit(stranger, "/search", "everything");
  await Promise.all([stranger.waitForNavigation(), stranger.getByRole("link", { name: "Next page" }).click()]);
  await look(stranger, "the second page");
  await visit(stranger, "/resources/lumen/nothing", "no such resource");
  await visit(stranger, "/sign-in", "sign-in");
  await visit(stranger, "/sign-up", "sign-up");

  const page = await (await person()).newPage();
  await enter(page, "/sign-up", "bea@mail.example", password);
  await visit(page, "/", "store, signed in");
  await visit(page, "/account/library", "library, empty");
  await visit(page, "/account/purchases", "purchases, empty");
  await visit(page, "/account/balance", "balance, empty");
  await page.getByLabel("Amount").fill("ten");
  await send(page, "Pay in");
  await look(page, "balance, a wrong amount");
  await page.getByLabel("Amount").fill("10.00");
  await send(page, "Pay in");
  await look(page, "a top-up");
  await visit(page, "/account/balance", "balance");
  await page.goto(`${origin}/resources/lumen/picos-de-europa`);
  await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Buy" }).first().click()]);
  await look(page, "buying");
  const buying = page.url();
  await page.getByLabel("How to pay").selectOption("sandbox:decline");
  await send(page, "Buy for");
  await look(page, "an order that was declined");
  await page.goto(buying);
  await page.getByLabel("How to pay").selectOption("sandbox:pending+settle");
  await send(page, "Buy for");
  await look(page, "an order that is pending");
  await page.goto(buying);
  const again = page.getByLabel("How to pay");
  await again.selectOption("sandbox:ok");
  await send(page, "Buy for");
  await look(page, "an order that was joined");
  await page.goto(`${origin}/resources/pixelforge/resize`);
  await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Buy" }).first().click()]);
  await page.getByLabel("How to pay").selectOption("sandbox:redirect");
  await send(page, "Buy for");
  await look(page, "an order that is paid elsewhere");
  await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Go on to the payment" }).click()]);
  await look(page, "the sandbox");
  await send(page, "Pay");
  await look(page, "the sandbox, paid");
  await page.goto(`${origin}/resources/the-house-of-many-wares/ware-1`);
  await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Buy" }).first().click()]);
  await look(page, "buying with a long word");
  await send(page, "Buy for");
  await look(page, "bought with a long word");
  await visit(page, "/buy/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "an offer that is no more");
  await visit(page, "/account/library", "library");
  await visit(page, "/account/purchases", "purchases");
  await visit(page, "/account", "account");
  return { wrong, seen };
}
