// Another site shows pages of the store in a frame, to lay something over them.

export default async function ({ origin, email, password, pending, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  // The page as it would be without its headers.
  const bare = async () => (await fetch(`${origin}/sign-in`)).text();
  const copy = await site({ "/": bare }, "127.0.0.1");
  const framing = (url) => `<body><iframe src="${url}" width="600" height="600"></iframe></body>`;
  const evil = await site({
    "/device": framing(`${origin}/device?code=${pending}`),
    "/account": framing(`${origin}/account`),
    "/sign-in": framing(`${origin}/sign-in`),
    "/missing": framing(`${origin}/nothing-here`),
    "/copy": framing(copy),
  });
  const shown = {};
  for (const what of ["device", "account", "sign-in", "missing", "copy"]) {
    await page.goto(`${evil}/${what}`);
    const frame = page.frames().find((frame) => frame !== page.mainFrame());
    shown[what] = frame ? (await frame.locator("main").count()) > 0 : false;
  }
  return shown;
}
