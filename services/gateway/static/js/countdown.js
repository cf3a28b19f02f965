// Counts down how long numbers are kept, and shows dialog or page anew when the time is over.
'use strict';

(() => {
  const ends = new WeakMap();
  const announcedAt = [120, 30];

  const written = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

  const showAnew = (node) => {
    const place = node.closest('#dialog-content')
      ? { target: '#dialog-content', select: '#dialog-part', swap: 'innerHTML' }
      : { target: '#page', select: '#page', swap: 'outerSync' };
    htmx.ajax('GET', node.dataset.over, { ...place, replace: 'true' });
  };

  const tick = (node) => {
    if (!ends.has(node)) ends.set(node, performance.now() + 1000 * Number(node.dataset.countdown));
    const left = Math.ceil((ends.get(node) - performance.now()) / 1000);
    if (left < -1) {
      ends.set(node, Infinity);
      showAnew(node);
    } else if (Number.isFinite(left)) {
      node.textContent = node.dataset.text.replace('#', written(Math.max(left, 0)));
      if (announcedAt.includes(left)) window.pages.announce(node.textContent);
    }
  };

  const tickAll = () => document.querySelectorAll('[data-countdown]').forEach(tick);
  document.addEventListener('DOMContentLoaded', tickAll);
  document.addEventListener('htmx:after:swap', tickAll);
  setInterval(tickAll, 1000);
})();
