// Electronic codes, from the page of what is sold to each state of an order, looked at from all sides.
import { inspect } from "../inspect.js";

export default async function ({ origin, email, password, screenshots, codes, axe, enter, person }) {
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
  await visit(stranger, "/search?kind=code", "codes on sale");
  await visit(stranger, codes.merchant, "merchant");
  await visit(stranger, codes.product, "product, signed out");
  await visit(stranger, codes.long, "product with a long word");
  await visit(stranger, codes.request, "payment request, signed out");
  await enter(stranger, "/sign-up", "nobody@mail.example", password);
  await visit(stranger, codes.product, "product, no terminal chosen");
  await visit(stranger, "/account/preset", "no terminal to choose");
  await visit(stranger, codes.own, "payment request that was paid");

  const page = await (await person()).newPage();
  await enter(page, "/sign-in", email, password);
  await visit(page, "/account/preset", "terminal for codes");
  // Nobody who has just signed in types the password again.
  if (await page.getByLabel("Current password").count()) wrong.push("the password is asked for twice");
  await send(page, "Have codes sent there");
  await look(page, "terminal for codes, chosen");
  await visit(page, codes.request, "payment request");
  await visit(page, codes.own, "payment request of one's own");
  await page.goto(origin + codes.product);
  await page.locator("#quantity").fill("3");
  await send(page, "Show the sum");
  await look(page, "three codes");
  await page.getByLabel("How to pay").selectOption("sandbox:decline");
  await send(page, "Pay");
  await page.goto(page.url().split("?")[0]);
  await look(page, "an order of codes that was declined");
  for (const [name, path] of Object.entries(codes.orders)) await visit(page, path, `an order ${name}`);
  return { wrong, seen };
}
