// Live updates, countdowns and keys. Every page works without this script.
'use strict';
(() => {
  const doc = document, on = doc.addEventListener.bind(doc);
  const $ = (selector, from = doc) => from.querySelector(selector);
  const all = (selector, from = doc) => [...from.querySelectorAll(selector)];
  const store = window.localStorage;
  const main = $('#main'), live = $('#live');

  // Live: an event says that something changed. The page is then loaded again, but not more often than every 5 seconds,
  // not while someone works in it, not while it is hidden, and never if it is the result of a form (data-still).
  const EVERY = 5000;
  let events, paused = false, changed = false, last = Date.now(), timer, button;

  const isBusy = () =>
    $('.dry, [type=checkbox]:checked, :is(input, textarea, select):focus', main) || getSelection().type === 'Range';

  const say = (tone, text) => {
    const state = $('.st', live);
    state.className = 'st ' + tone;
    $('span', state).firstChild.data = text + ' ';
  };

  const show = () => all('[data-copy]').forEach((one) => { one.hidden = false; });
  const load = async () => {
    timer = undefined;
    if (!changed || paused || doc.hidden) return;
    if (isBusy()) return plan();
    changed = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      if (answer.redirected || !answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const open = all('details[open]', main).map((one) => one.id).filter(Boolean);
      const focus = doc.activeElement && doc.activeElement.getAttribute('href');
      main.replaceChildren(...$('#main', page).childNodes);
      open.forEach((id) => { const one = doc.getElementById(id); if (one) one.open = true; });
      if (focus) { const one = $('a[href="' + CSS.escape(focus) + '"]', main); if (one && doc.activeElement === doc.body) one.focus(); }
      $('.side nav').replaceChildren(...$('.side nav', page).childNodes);
      show();
      $('time', live).replaceWith($('#live time', page));
      doc.title = page.title;
      say('ok', 'Live,');
    } catch { changed = true; broken(); plan(); }
  };
  const plan = () => { timer ??= setTimeout(load, Math.max(250, last + EVERY - Date.now())); };
  const broken = () => say('warn', 'Not live,');

  const follow = () => {
    events?.close();
    if (doc.hidden || paused) return;
    events = new EventSource('/api/v1/events');
    events.onopen = () => { say('ok', 'Live,'); plan(); };
    events.addEventListener('jobs', () => { changed = true; plan(); });
    // A browser does not try again after a refusal, such as that of a ninth follower.
    events.onerror = () => { broken(); if (events.readyState > 1) setTimeout(follow, 9000); };
  };
  const pause = () => {
    paused = !paused;
    button.textContent = paused ? 'Resume' : 'Pause';
    if (paused) say('', 'Paused,');
    changed = !paused;
    follow();
  };
  if (live && window.EventSource && !$('[data-still]')) {
    button = doc.createElement('button');
    button.type = 'button';
    button.className = 'btn s';
    button.textContent = 'Pause';
    button.onclick = pause;
    live.append(button);
    on('visibilitychange', () => { changed = true; follow(); });
    follow();
  }

  // Countdowns, by the clock of the bridge.
  const skew = live ? Date.now() - Date.parse($('time', live).dateTime) : 0;
  const left = (seconds) => seconds < 60 ? seconds + '\u00a0s' :
    Math.floor(seconds / 60) + '\u00a0min' + (seconds % 60 ? '\u00a0' + seconds % 60 + '\u00a0s' : '');
  // A bulk change that runs is loaded again and again.
  setInterval(() => {
    if (doc.hidden || !main) return;
    if ($('progress', main)) plan(changed = true);
    for (const one of all('[data-until]')) {
      const seconds = Math.ceil((Number(one.dataset.until) + skew - Date.now()) / 1000);
      if (seconds < 3600) one.textContent = left(Math.max(0, seconds));
    }
  }, 1000);

  // The look is saved when it is chosen; copy buttons copy.
  on('change', (event) => {
    const form = event.target.closest('form[data-look]');
    if (form) fetch('/look?' + new URLSearchParams(new FormData(form)), { redirect: 'manual' });
  });
  show();
  on('click', (event) => {
    const copy = event.target.closest('[data-copy]');
    if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => { copy.textContent = 'Copied'; });
  });

  // Keys. They can be switched off, because they get in the way of some screen readers.
  const dialog = $('#help'), keys = $('#keys');
  if (!dialog || !keys) return;
  const toggle = $('input', dialog);
  toggle.checked = store.getItem('keys') !== 'off';
  toggle.onchange = () => store.setItem('keys', toggle.checked ? 'on' : 'off');
  keys.hidden = false;
  keys.onclick = () => dialog.showModal();
  const rows = () => all('tbody tr:has(th a)', main);
  const move = (step) => {
    const list = rows(), at = list.indexOf(doc.activeElement?.closest('tr'));
    const row = list[at < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, at + step))];
    if (row) $('th a', row).focus();
  };
  let go = false;
  on('keydown', (event) => {
    const { key, target } = event;
    if (!toggle.checked || event.ctrlKey || event.altKey || event.metaKey || dialog.open ||
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|radio)$/.test(target.type)) return;
    const link = go && $('[data-go="' + CSS.escape(key) + '"]');
    const act = link ? () => link.click() : {
      '/': () => $('.find input').select(),
      g: () => { go = true; setTimeout(() => { go = false; }, 1500); },
      j: () => move(1),
      k: () => move(-1),
      x: () => $('[type=checkbox]', doc.activeElement.closest('tr') ?? doc)?.click(),
      r: () => $('[data-key=r]')?.click(),
      '.': () => button?.click(),
      t: () => { const one = all('[name=theme]'); const at = one.findIndex((radio) => radio.checked); one[(at + 1) % one.length].click(); },
      '?': () => dialog.showModal(),
    }[key];
    if (act) { event.preventDefault(); act(); }
  });
})();
