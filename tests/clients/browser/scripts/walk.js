// A person without a shell of the store finds something, makes an account, buys, and runs it a minute later on a terminal
// that was approved on the way. Every page on the way is looked at from all sides.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "../inspect.js";

const EMAIL = "ben@mail.example";
const LATER = "benedict@mail.example";
const CHANGED = "another correct horse battery";
const PICTURE = "/resources/lumen/picos-de-europa";
const SOFTWARE = "/resources/pixelforge/resize";

export default async function ({ origin, password, folder, store, photograph, screenshots, axe, person, machine }) {
  const wrong = [];
  const seen = [];
  const did = {};
  const page = await (await person()).newPage();
  const { type, login } = await machine(folder);
  const look = async (name) => {
    seen.push(name);
    // In another window of the same person: this one stays as it is.
    wrong.push(...(await inspect(page, name, axe, screenshots)));
  };
  const expect = (what, holds, found) => {
    did[what] = Boolean(holds);
    if (!holds) wrong.push(`${what}: ${String(found).slice(0, 2000)}`);
  };
  const main = () => page.textContent("main");
  const moved = (action) => Promise.all([page.waitForNavigation(), action]);
  const press = (name) => moved(page.getByRole("button", { name }).first().click());
  const follow = (name) => moved(page.getByRole("link", { name }).first().click());
  const commands = () => page.locator("code.cmd").allTextContents();

  // Looking around: the shelves, one kind, a search.
  await page.goto(origin);
  await look("the store");
  const words = await page.locator("code.words").textContent();
  await follow("Pictures");
  expect("a kind lists what is of it", (await main()).includes("Picos de Europa"), await main());
  expect("and nothing else", !(await main()).includes("Resize and sharpen"), await main());
  await look("a kind");
  await page.getByLabel("Search the store").fill("mountain photograph");
  await press("Search");
  await page.getByLabel("Search the store").fill("photograph picos");
  await press("Search");
  await look("what a search finds");
  await follow("Picos de Europa");
  expect("the page shows its cover", (await page.locator("img").evaluate((img) => img.decode().then(() => img.naturalWidth))) > 0);
  await look("a resource");

  // Buying leads through sign-in to sign-up, and back to what was to be bought.
  await follow("Buy");
  expect("buying asks who it is", page.url().startsWith(`${origin}/sign-in?to=buy.`), page.url());
  await look("sign-in on the way to buying");
  await follow("Sign up");
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByLabel("Password").fill("short");
  await page.locator("form").last().evaluate((form) => (form.noValidate = true));
  await press("Create account");
  await look("sign-up that failed");
  await page.getByLabel("Password").fill(password);
  await press("Create account");
  expect("after sign-up the offer is there again", page.url().startsWith(`${origin}/buy/`), page.url());
  const offer = page.url();
  await look("check and buy");

  // Declined, then paid.
  await page.getByLabel("How to pay").selectOption("sandbox:decline");
  await press("Buy for");
  expect("a declined order says so", (await main()).includes("Nothing was charged"), await main());
  await look("a declined order");
  await follow("Try again");
  expect("trying again leads to the same offer", page.url() === offer, page.url());
  await page.getByLabel("How to pay").selectOption("sandbox:ok");
  await press("Buy for");
  expect("a paid order says so", (await main()).includes("It is paid"), await main());
  await look("a paid order");
  const order = page.url();
  const [signIn, run] = await commands();

  // The terminal is signed in as the page says, and approved by comparing words.
  const terminal = await login(`${signIn} --fingerprint ${words}`, words);
  await page.goto(`${origin}/device`);
  await look("the code of a terminal");
  await page.getByLabel("The code that the terminal shows").fill(terminal.code);
  await press("Go on");
  expect("both screens show the same words", (await main()).includes(terminal.words), await main());
  await look("a terminal asks");
  await press("approve");
  await look("approved");
  const ended = await terminal.ended;
  expect("the terminal is signed in", ended.exit === 0, ended.said);

  // What the page says is what is typed.
  const ran = await type(run);
  expect("what was bought runs", ran.exit === 0, `${ran.line}\n${ran.stdout}${ran.stderr}`);
  const file = run.match(/-o (\S+)/)?.[1] ?? "";
  const head = (await readFile(join(folder, file)).catch(() => Buffer.of())).subarray(0, 3).toString("hex");
  expect("and is a picture", head === "ffd8ff", `${file} begins with ${head}`);

  await page.goto(`${origin}/account/library`);
  expect("the library has it", (await main()).includes("lumen/picos-de-europa"), await main());
  await look("library");
  await page.goto(`${origin}/account/purchases`);
  const marks = await page.locator(".tag").allTextContents();
  expect("both orders are listed", marks.join() === "paid,not paid", marks.join());
  await look("purchases");
  await page.goto(order);
  await page.getByText("The signed receipt").click();
  const receipt = (await commands()).at(-1);
  expect("the receipt is signed", /^[\w-]+\.[\w-]+\.[\w-]+$/.test(receipt), receipt);

  // Prepaid money: paid in with the browser, drawn by the terminal.
  await page.goto(origin + SOFTWARE);
  await look("a resource that is sold by the unit, too");
  await follow("Top up your balance");
  await look("no balance yet");
  await page.getByLabel("Amount").fill("5,00");
  await press("Pay in");
  expect("the top-up is paid", (await main()).includes("It is paid"), await main());
  await look("a top-up");
  await writeFile(join(folder, "photo.png"), Buffer.from(photograph, "base64url"));
  const drawn = await type(`portcullis run pixelforge/resize --invoke 'resize(@photo.png, 8, 6, lanczos3)' -o small.png --max-spend 1.00EUR`);
  expect("a unit is drawn from it", drawn.exit === 0, drawn.stdout + drawn.stderr);
  await page.goto(`${origin}/account/balance`);
  expect("the balance says what is left", (await main()).includes("4.40 EUR"), await main());
  await look("a balance");

  // Paid back by the store: the page says so, and the terminal is refused.
  const back = await type(`portcullis-server operator order refund ${order.split("/").at(-1)} --dir '${store}'`);
  expect("the operator pays it back", back.exit === 0, back.stdout + back.stderr);
  await page.goto(order);
  expect("the order was paid back", (await main()).includes("the money was paid back"), await main());
  await look("an order that was paid back");
  await page.goto(`${origin}/account/library`);
  expect("the library says so", (await page.locator(".tag").allTextContents()).includes("ended"), await main());
  await look("library after the refund");
  const refused = await type(run);
  expect("and it does not run any more", refused.exit !== 0 && refused.stderr.includes("entitlement-revoked"), refused.stdout + refused.stderr);

  // The account: another address, another password, the terminal revoked.
  await page.goto(`${origin}/account`);
  await look("account");
  await page.getByLabel("New e-mail address").fill(LATER);
  await page.getByLabel("Current password").last().fill(password);
  await press("Change the address");
  expect("the address is changed", (await main()).includes(LATER), await main());
  await look("address changed");
  await page.getByLabel("Current password").first().fill(password);
  await page.getByLabel("New password").fill(CHANGED);
  await press("Change the password");
  expect("the password is changed", (await page.getByRole("status").textContent()).includes("password is changed"));
  const out = await type("portcullis balance");
  expect("which signs the terminal out", out.exit !== 0, out.stdout + out.stderr);
  const again = await login(`${signIn} --fingerprint ${words}`, words);
  await page.goto(`${origin}/device?code=${again.code}`);
  await press("approve");
  expect("it is approved anew", (await again.ended).exit === 0, (await again.ended).said);
  await page.goto(`${origin}/account`);
  await page.getByText("Revoke…").first().click();
  await press("Revoke ");
  expect("it is revoked", (await page.getByRole("status").textContent()).includes("revoked"));
  await look("a terminal revoked");
  const revoked = await type("portcullis balance");
  expect("and gets nothing", revoked.exit !== 0, revoked.stdout + revoked.stderr);

  // Signed out, the old name and password are nobody's.
  await press("Sign out");
  await look("the store, signed out");
  await page.goto(`${origin}/sign-in`);
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByLabel("Password").fill(password);
  await press("Sign in");
  expect("the old address does not sign in", (await page.getByRole("alert").count()) === 1, await main());
  await page.getByLabel("E-mail address").fill(LATER);
  await page.getByLabel("Password").fill(CHANGED);
  await press("Sign in");
  expect("the new one does", (await page.getByRole("button", { name: "Sign out" }).count()) === 1);
  await page.goto(`${origin}/publishers/lumen`);
  await look("a publisher");
  await page.goto(`${origin}/reference`);
  expect("the reference names what it lists", (await page.locator("h2").allTextContents()).includes("Account"));
  await look("the reference of the interface");
  return { wrong, seen, did };
}
