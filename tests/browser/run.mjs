// Uses the dashboard in a real browser, against a running bridge that a test has filled with jobs.
//
//   node run.mjs SCENARIO.json
//
// tests/process/browser writes the scenario. Prints one line for each step, and exits with 1 at the first failure.

import { expect, fail, quiet, quietPage, scenario, signedIn, step, withBrowser } from './browser.mjs';
import { everyPage } from './pages.mjs';

const { base, token, readToken, leadUrl, deadJob, pages, screens } = scenario;

let browser;

const visit = (secret, options) => signedIn(browser, secret, options);

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

// The page of the login has no part that follows the bridge.
const quietLogin = async () => {
  const page = await quietPage(browser);
  await page.clock.install();
  await page.goto('/login');
  await page.clock.fastForward(60_000);
  await page.waitForFunction(() => document.title);
  quiet(page, 'login');
  await page.context().close();
};

// Loads a page until its main part contains a text.
const shows = async (page, path, text) => {
  for (let tries = 0; tries < 200; tries += 1) {
    await page.goto(path);
    if ((await page.innerText('main')).includes(text)) return;
  }
  fail(`${path} never shows: ${text}`);
};

const storeTasks = async () => {
  const page = await visit(token);
  await shows(page, '/store', 'Check now');
  await page.click('form[action="/store/check"] button');
  await shows(page, '/store', 'Nothing is wrong.');
  await shows(page, '/store', 'Back up now');
  await page.click('form[action="/store/backup"] button');
  await shows(page, '/actions', 'Wrote a backup');
  await shows(page, '/store', 'The newest backup is verified');
  quiet(page, 'store');
  for (const name of screens ? ['store', 'actions'] : []) {
    await page.goto(pages[name]);
    await page.screenshot({ path: `${screens}/${name}-light.png` });
  }
  step('the store is checked and backed up');
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

await withBrowser(async (opened) => {
  browser = opened;
  await everyPage(browser, { operator: token, reader: readToken });
  await refusals();
  await byMouse(deadJob[0]);
  await byKeyboard(deadJob[1]);
  await withoutScript(deadJob[2]);
  await storeTasks();
  await quietLogin();
});
