// Keeps the list of numbers that is open up to date (docs/adr/0011-live-rows.md): asks every few
// seconds whether anything has changed, and only then for the list. Nothing else on the page moves.
'use strict';

(() => {
  const EVERY_MS = 3000;
  const OWN = { 'HX-Request': 'true', 'Pbx-Background': 'true' };
  const OK = 200;
  const NOBODY = 401;
  let asking = false;

  const list = () => document.querySelector('[data-live]');

  const ended = (node) => {
    node.removeAttribute('data-live');
    const hint = node.querySelector('#live-ended');
    hint.hidden = false;
    window.pages.announce(hint.textContent.trim());
  };

  // The focused row may be gone from the list; then the list itself is where the person was.
  const keepFocus = (before) => {
    if (before === document.body || before.isConnected) return;
    const place = list() && list().querySelector('[data-focus]');
    if (place) place.focus({ preventScroll: true });
  };

  const show = async (node) => {
    const before = document.activeElement;
    await htmx.ajax('GET', node.dataset.address, {
      source: node.querySelector('#live'), target: node, select: '#numbers', swap: 'outerMorph', headers: OWN,
    });
    keepFocus(before);
    if (list()) window.pages.announce(list().dataset.changed.trim());
  };

  const ask = async () => {
    const node = list();
    if (!node || document.hidden || asking) return;
    asking = true;
    try {
      const address = node.dataset.live;
      const answer = await fetch(address, { headers: OWN });
      if (list() !== node || node.dataset.live !== address) return; // Somebody went elsewhere meanwhile.
      if (answer.status === NOBODY) ended(node);
      else if (answer.status === OK) await show(node);
    } catch {
      // The server is not there: the next time will tell.
    } finally {
      asking = false;
    }
  };

  setInterval(ask, EVERY_MS);
  document.addEventListener('visibilitychange', ask);
})();
