// Looks at every page of a scenario in each role, width and theme. Run alone, that is the whole test:
//
//   node pages.mjs SCENARIO.json

import { pathToFileURL } from 'node:url';
import axe from 'axe-core';

import { expect, quiet, scenario, signedIn, step, withBrowser } from './browser.mjs';

const WIDTHS = [360, 1280];
const THEMES = ['light', 'dark'];
const MAX_PAGE_BYTES = 60 * 1024;
// The pages whose screenshots on a phone are kept.
const ON_PHONE = ['job', 'now'];

const { pages, screens, shots } = scenario;

const accessible = async (page, where) => {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const text = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.html}`).join('\n')}`);
  expect(violations.length === 0, `${where}: ${text.join('\n')}`);
};

const looksRight = async (page, path, where) => {
  const response = await page.goto(path);
  const bytes = (await response.body()).length;
  expect(bytes <= MAX_PAGE_BYTES, `${where}: ${bytes} bytes`);
  expect(await page.locator('h1').count() === 1, `${where}: one h1`);
  expect(await page.locator('nav[aria-label=Pages]').count() === 1, `${where}: no navigation`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow <= 0, `${where}: ${overflow} px wider than the window`);
  await accessible(page, where);
  quiet(page, where);
};

// Visits all pages in each role, of which `roles` has the tokens.
export const everyPage = async (browser, roles) => {
  for (const [role, secret] of Object.entries(roles)) {
    for (const width of WIDTHS) {
      for (const colorScheme of THEMES) {
        const page = await signedIn(browser, secret, { viewport: { width, height: 900 }, colorScheme });
        for (const [name, path] of Object.entries(pages)) {
          const where = `${name} (${path}) for the ${role}, ${width} px, ${colorScheme}`;
          await looksRight(page, path, where);
          const isKept = role !== 'reader' && (width === 1280 || shots === 'all' || ON_PHONE.includes(name));
          const shape = width === 1280 ? colorScheme : `phone-${colorScheme}`;
          if (screens && isKept && shape !== 'phone-dark') {
            await page.screenshot({ path: `${screens}/${name}-${shape}.png`, fullPage: shots === 'all' });
          }
          step(where);
        }
        await page.context().close();
      }
    }
  }
};

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await withBrowser((browser) => everyPage(browser, { visitor: undefined }));
}
