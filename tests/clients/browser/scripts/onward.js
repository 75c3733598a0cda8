// Links that lead through the sign-in to somewhere else.

export default async function ({ origin, email, password, pending, lures, enter, person, site }) {
  const elsewhere = await site({ "/": "<h1>Elsewhere</h1>" });
  const arrived = {};
  for (const lure of lures) {
    const page = await (await person()).newPage();
    const path = lure.replaceAll("ELSEWHERE", encodeURIComponent(elsewhere)).replaceAll("HOST", new URL(elsewhere).host);
    await enter(page, path, email, password);
    arrived[lure] = new URL(page.url()).origin;
  }
  const page = await (await person()).newPage();
  await enter(page, `/sign-in?code=${pending}`, email, password);
  return { arrived, honest: page.url() };
}
