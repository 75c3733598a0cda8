// What scripts see of the cookies of a person who is signed in, and how the browser keeps them.

export default async function ({ origin, email, password, enter, person, site }) {
  const context = await person();
  const page = await context.newPage();
  await enter(page, "/sign-in", email, password);
  await page.goto(`${origin}/account`);
  const store = await page.evaluate(() => document.cookie);
  const kept = (await context.cookies(origin)).map(({ name, httpOnly, sameSite, path }) => ({ name, httpOnly, sameSite, path }));
  const other = await (await person()).newPage();
  await other.goto(await site({ "/": "<script>document.cookie = 'seen=yes'</script>" }, "127.0.0.1"));
  return { store, kept, unmarked: await other.evaluate(() => document.cookie) };
}
