// Uses the dashboard in a real browser, against a running bridge that a test has filled with jobs.
//
//   node run.mjs SCENARIO.json
//
// tests/process/browser.rs writes the scenario. Prints one line for each step, and exits with 1 at the first failure.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import axe from 'axe-core';

const { base, token, readToken, browser: program, leadUrl, deadJob, pages, screens } =
  JSON.parse(readFileSync(process.argv[2], 'utf8'));

const WIDTHS = [360, 1280];
const THEMES = ['light', 'dark'];
const MAX_PAGE_BYTES = 60 * 1024;
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--hide-scrollbars',
];

const fail = (what) => { throw new Error(what); };
const expect = (is, what) => { if (!is) fail(what); };
const step = (what) => console.log(what);

const browser = await chromium.launch({ executablePath: program, args: ARGUMENTS });

// A visitor who has signed in with `secret`. Whatever the page prints to its console is a failure: above all, what its
// content security policy forbids.
const visit = async (secret, options = {}) => {
  const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.problems.push(message.text());
  });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(base)) page.problems.push(`request to ${request.url()}`);
  });
  await page.goto('/login');
  await page.fill('[name=token]', secret);
  await page.press('[name=token]', 'Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  return page;
};

const quiet = (page, where) => expect(page.problems.length === 0, `${where}: ${page.problems.join('\n')}`);

const accessible = async (page, where) => {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const text = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.html}`).join('\n')}`);
  expect(violations.length === 0, `${where}: ${text.join('\n')}`);
};

const everyPage = async () => {
  for (const [role, secret] of [['operator', token], ['reader', readToken]]) {
    for (const width of WIDTHS) {
      for (const colorScheme of THEMES) {
        const page = await visit(secret, { viewport: { width, height: 900 }, colorScheme });
        for (const [name, path] of Object.entries(pages)) {
          const where = `${name} (${path}) for the ${role}, ${width} px, ${colorScheme}`;
          const response = await page.goto(path);
          const bytes = (await response.body()).length;
          expect(bytes <= MAX_PAGE_BYTES, `${where}: ${bytes} bytes`);
          expect(await page.locator('h1').count() === 1, `${where}: one h1`);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(overflow <= 0, `${where}: ${overflow} px wider than the window`);
          await accessible(page, where);
          quiet(page, where);
          if (screens && role === 'operator' && (width === 1280 || name === 'job' || name === 'now')) {
            const shape = width === 1280 ? colorScheme : `phone-${colorScheme}`;
            if (shape !== 'phone-dark') await page.screenshot({ path: `${screens}/${name}-${shape}.png` });
          }
          step(where);
        }
        await page.context().close();
      }
    }
  }
};

// Finds the dead job by its lead, reads why, retries it, and sees it delivered.
const delivered = async (page, where) => {
  await page.waitForFunction(() => document.querySelector('h1 .pill')?.textContent.includes('delivered'), undefined,
    { timeout: 30_000 });
  quiet(page, where);
  step(where);
};

const byMouse = async (job) => {
  const page = await visit(token);
  await page.click('.find input');
  await page.keyboard.insertText(leadUrl);
  await page.click('.find button, .find input');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/jobs/);
  if (!page.url().includes(job)) await page.click(`a[href*="${job}"]`);
  await page.waitForURL(new RegExp(job));
  expect((await page.textContent('.because')).length > 20, 'no reason');
  await page.click('button[data-key=r]');
  await delivered(page, 'a dead job is delivered by mouse');
  await page.context().close();
};

const byKeyboard = async (job) => {
  const page = await visit(token);
  await page.keyboard.press('/');
  await page.keyboard.insertText(leadUrl);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/jobs/);
  for (let row = 0; row < 50 && !page.url().includes(job); row += 1) {
    await page.locator('#main').focus();
    for (let down = 0; down <= row; down += 1) await page.keyboard.press('j');
    if (await page.evaluate((id) => document.activeElement.href?.includes(id), job)) {
      await page.keyboard.press('Enter');
      await page.waitForURL(new RegExp(job));
    }
  }
  expect(page.url().includes(job), 'the keyboard does not reach the job');
  await page.keyboard.press('r');
  await delivered(page, 'a dead job is delivered by keyboard');
  await page.context().close();
};

const withoutScript = async (job) => {
  const page = await visit(token, { javaScriptEnabled: false });
  await page.fill('.find input', leadUrl);
  await page.press('.find input', 'Enter');
  await page.goto(`/jobs/${job}`);
  await page.click('button[data-key=r]');
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await page.textContent('h1')).includes('delivered')) break;
    await page.goto(`/jobs/${job}`);
  }
  expect((await page.textContent('h1')).includes('delivered'), 'not delivered without JavaScript');
  step('a dead job is delivered without JavaScript');
  await page.context().close();
};

const refusals = async () => {
  const page = await visit(readToken);
  await page.goto(`/jobs/${deadJob[0]}`);
  expect(await page.locator('main form button').count() === 0, 'a reader sees buttons');
  const status = await page.evaluate((path) => fetch(path, { method: 'POST' }).then(({ status }) => status),
    `/jobs/${deadJob[0]}/retry`);
  expect(status === 403, `a reader's POST: ${status}`);
  await page.context().close();
  const framed = await (await browser.newContext()).newPage();
  await framed.setContent(`<iframe src="${base}/login"></iframe>`);
  await framed.waitForTimeout(0);
  const inside = framed.frames()[1];
  expect(!(await inside?.content().catch(() => ''))?.includes('Sign in'), 'the login can be framed');
  step('readers and frames are refused');
};

try {
  await everyPage();
  await refusals();
  await byMouse(deadJob[0]);
  await byKeyboard(deadJob[1]);
  await withoutScript(deadJob[2]);
} catch (error) {
  console.error(error.stack ?? error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
