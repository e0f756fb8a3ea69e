// What the scripts share: the browser, and what a test expects.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--hide-scrollbars',
];

// The scenario, which the test in Rust has written.
export const scenario = JSON.parse(readFileSync(process.argv[2], 'utf8'));

export const fail = (what) => { throw new Error(what); };
export const expect = (is, what) => { if (!is) fail(what); };
export const step = (what) => console.log(what);

// Runs `test` with a browser. The exit status says whether it passed.
export const withBrowser = async (test) => {
  const browser = await chromium.launch({ executablePath: scenario.browser, args: ARGUMENTS });
  try {
    await test(browser);
  } catch (error) {
    console.error(error.stack ?? error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
};

// A page whose console has to stay empty: whatever its content security policy forbids appears there.
export const quietPage = async (browser, options = {}) => {
  const { base } = scenario;
  const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on('console', (message) => {
    const { url } = message.location();
    // A page says itself that it was not found, or that the store is down. Its files have to load.
    const isPage = message.text().startsWith('Failed to load resource') && !url.includes('/assets/');
    if (['error', 'warning'].includes(message.type()) && !isPage) page.problems.push(message.text());
  });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(base)) page.problems.push(`request to ${request.url()}`);
  });
  return page;
};

export const quiet = (page, where) => expect(page.problems.length === 0, `${where}: ${page.problems.join('\n')}`);

// A visitor who has signed in with `secret`; without one, the dashboard is open on this machine.
export const signedIn = async (browser, secret, options = {}) => {
  const page = await quietPage(browser, options);
  if (!secret) return page;
  await page.goto('/login');
  await page.fill('[name=token]', secret);
  await page.press('[name=token]', 'Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  return page;
};
