// Looks at a page as people with all kinds of eyes, hands and screens do, and returns what is wrong with it.

const WIDTHS = [320, 1280];
const SCHEMES = ["light", "dark"];
// Of WCAG 2.2: 1.4.11 asks for 3:1 at the borders of what a person operates.
const BORDER = 3;
// Of the rules of axe, those whose judgement is another one in other colours.
const COLOURS = { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } };

/** What is wrong with the page that is open, by screen and colours. */
export async function inspect(page, name, axe, screenshots) {
  const wrong = [];
  await page.evaluate(axe);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const scheme of SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme });
      // What is in the page is the same in all colours: everything else is looked at in the first ones.
      const options = { resultTypes: ["violations"], ...(scheme === SCHEMES[0] ? {} : COLOURS) };
      const at = `${name}, ${scheme}, ${width} px`;
      console.error(at);
      for (const details of await page.locator("details").all()) await details.evaluate((all) => (all.open = true));
      await complete(page);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) wrong.push(`${at}: ${overflow} px wider than the screen`);
      for (const border of await page.evaluate(borders)) {
        if (border.contrast < BORDER) wrong.push(`${at}: the border of ${border.what} has ${border.contrast.toFixed(2)}:1`);
      }
      const { violations } = await page.evaluate((options) => globalThis.axe.run(document, options), options);
      for (const { id, nodes } of violations) wrong.push(`${at}: axe ${id}: ${nodes.map((node) => node.html).join(" ")}`);
      if (screenshots) {
        const file = `${screenshots}/${name.replaceAll(/[^a-z0-9]+/gi, "-")}-${scheme}-${width}.png`;
        await page.screenshot({ path: file, fullPage: true });
      }
    }
  }
  wrong.push(...(await keyboard(page, name)));
  return wrong;
}

/** Waits until the page is as it stays: what is loaded late is there, nothing moves, and it was drawn so. */
async function complete(page) {
  await page.waitForLoadState("load");
  const broken = await page.evaluate(async () => {
    const images = [...document.images];
    for (const image of images) image.loading = "eager";
    await Promise.all([document.fonts.ready, ...images.map((image) => image.decode().catch(() => {}))]);
    await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
    const drawn = () => new Promise((done) => requestAnimationFrame(done));
    await drawn();
    await drawn();
    return images.filter((image) => image.naturalWidth === 0).map((image) => image.src);
  });
  if (broken.length > 0) throw new Error(`pictures that are none: ${broken.join(" ")}`);
}

/** Everything that can be operated is reached with the tab key, in the order of the page, and shows that it is. */
async function keyboard(page, name) {
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")];
    all.forEach((element, index) => element.setAttribute("data-tab", index));
    // From the top: a field that had the focus when the page opened would be where the tab key goes on from.
    document.body.setAttribute("tabindex", "-1");
    document.body.focus();
    document.body.removeAttribute("tabindex");
    globalThis.reached = [];
    document.addEventListener("focusin", ({ target }) => {
      const style = getComputedStyle(target);
      const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      globalThis.reached.push({ tab: target.getAttribute("data-tab"), shown });
    });
    return all.length;
  });
  // Sent one after the other, without waiting for each to be drawn.
  await Promise.all(Array.from({ length: wanted }, () => page.keyboard.press("Tab")));
  const reached = await page.evaluate(() => globalThis.reached);
  const wrong = [];
  for (let index = 0; index < Math.max(wanted, reached.length); index += 1) {
    const { tab, shown } = reached[index] ?? {};
    if (tab !== String(index)) wrong.push(`${name}: the tab key comes to ${tab} where ${index} is next`);
    else if (!shown) wrong.push(`${name}: element ${index} does not show its focus`);
  }
  return wrong;
}

/** Runs in the page: the contrast of each border of a field or button with what lies around it. */
function borders() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const around = (element) => {
    for (let node = element.parentElement; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button")].map((element) => {
    const [one, other] = [light(rgba(getComputedStyle(element).borderTopColor)), light(around(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return { what: element.name || element.textContent, contrast };
  });
}
