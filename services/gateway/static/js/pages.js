// What every page needs after a part of it was replaced: the focus goes where the person goes on,
// and what has changed is said. Without this script the pages work as plain forms and links.
'use strict';

(() => {
  document.documentElement.classList.add('js');

  const announcer = () => document.getElementById('announcer');
  let said = '';

  const announce = (text) => {
    said = text;
    announcer().textContent = '';
    requestAnimationFrame(() => { announcer().textContent = text; });
  };

  const announceChange = (part) => {
    const node = part && part.querySelector('[data-announce]');
    // What has the focus is read out anyway.
    const text = node && node !== document.activeElement ? node.textContent.trim() : '';
    if (text && text !== said) announce(text);
  };

  // An error first, else what the part names, else its headline.
  const placeOf = (part) => part.querySelector('.alert[data-focus]')
    || (part.id === 'page' ? part.querySelector('main h1') : part.querySelector('[data-focus]'));

  const focusOn = (part) => {
    if (part.querySelector('[autofocus]')) return;
    const place = placeOf(part);
    if (place) place.focus({ preventScroll: part.id === 'page' });
  };

  window.pages = { announce, focusOn };

  const moved = { page: true, results: true, numbers: true };

  document.addEventListener('htmx:after:swap', (event) => {
    document.getElementById('offline').hidden = true;
    const { target, sourceElement } = event.detail.ctx;
    const id = target && target.id;
    const part = id ? document.getElementById(id) : null;
    if (!part) return;
    const stays = sourceElement && sourceElement.closest && sourceElement.closest('[data-stays]');
    if (moved[id] && !stays) focusOn(part);
    // What a page does by itself is announced by who does it.
    if (!stays || !stays.hasAttribute('data-quiet')) announceChange(part);
  });

  document.addEventListener('htmx:error', (event) => {
    if (!event.detail.ctx) return;
    if (document.getElementById('dialog').open) return; // It is told in there (dialog.js).
    const offline = document.getElementById('offline');
    offline.textContent = offline.dataset.text;
    offline.hidden = false;
  });

  // The first page of a visit says what it has to say, too.
  document.addEventListener('DOMContentLoaded', () => {
    const alert = document.querySelector('main .alert[data-focus]');
    if (alert) alert.focus();
    announceChange(document.getElementById('page'));
  });
})();
