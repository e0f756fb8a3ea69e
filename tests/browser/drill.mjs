// Follows the steps of a drill in the dashboard, and prints what the pages say.
//
//   node drill.mjs SCENARIO.json
//
// A step is `open PATH`, `search TEXT`, or `click first job`.

import { expect, fail, quiet, quietPage, scenario, step, withBrowser } from './browser.mjs';

const { steps, texts } = scenario;

const words = (text) => text.split(/\s+/).join(' ');

await withBrowser(async (browser) => {
  const page = await quietPage(browser);
  let seen = '';
  for (const line of steps) {
    const [, action, what] = /^(\w+) (.+)$/.exec(line) ?? fail(`not a step: ${line}`);
    if (action === 'open') await page.goto(what);
    else if (action === 'search') {
      await page.fill('.find input', what);
      await Promise.all([page.waitForURL(/jobs/), page.press('.find input', 'Enter')]);
    } else if (line === 'click first job') {
      await Promise.all([page.waitForURL(/jobs\/[0-9a-f]/), page.click('main tbody th a')]);
    } else fail(`not a step: ${line}`);
    await page.waitForLoadState();
    const text = words(await page.innerText('main'));
    seen += `${text}\n`;
    step(`${line}: ${page.url()}\n  ${text}`);
    quiet(page, line);
  }
  for (const text of texts) expect(words(seen).includes(words(text)), `no page says: ${text}`);
});
