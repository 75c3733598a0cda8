// Another site shows pages of the store in a frame, to lay something over them.

export default async function ({ origin, email, password, framed, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  // The page as it would be without its headers.
  const bare = async () => (await fetch(`${origin}/sign-in`)).text();
  const copy = await site({ "/": bare }, "127.0.0.1");
  const framing = (url) => `<body><iframe src="${url}" width="600" height="600"></iframe></body>`;
  const urls = { ...Object.fromEntries(Object.entries(framed).map(([name, path]) => [name, origin + path])), copy };
  const evil = await site(Object.fromEntries(Object.entries(urls).map(([name, url]) => [`/${name}`, framing(url)])));
  const shown = {};
  for (const what of Object.keys(urls)) {
    await page.goto(`${evil}/${what}`);
    const frame = page.frames().find((frame) => frame !== page.mainFrame());
    // What a page of the store has, or a picture that was opened. The browser's own page for an error has neither.
    shown[what] = frame ? (await frame.locator("main, body > img").count()) > 0 : false;
  }
  return shown;
}
