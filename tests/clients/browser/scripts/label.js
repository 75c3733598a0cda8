// A terminal's name that is markup: on the page that approves it, on the account, and on a page that does not escape it.

export default async function ({ origin, email, password, pending, label, enter, person, site }) {
  const page = await (await person()).newPage();
  let dialogs = 0;
  page.on("dialog", (dialog) => {
    dialogs += 1;
    dialog.dismiss();
  });
  await enter(page, "/sign-in", email, password);
  const ran = {};
  const look = async (name) => {
    await page.waitForTimeout(200);
    const text = await page.textContent("body");
    ran[name] = { ran: (await page.evaluate(() => globalThis.ran === true)) || dialogs > 0, shown: text.includes(label) };
  };
  await page.goto(`${origin}/device?code=${pending}`);
  await look("device");
  await page.goto(`${origin}/account`);
  await look("account");
  await page.goto(await site({ "/": `<body><main>${label}</main></body>` }));
  await look("unescaped");
  return ran;
}
