// The menus of the frame: one that is open closes by Escape, by a click elsewhere, and by leaving.
'use strict';

(() => {
  const open = () => [...document.querySelectorAll('.menu[open], .help[open], .view[open]')];

  const closeAllBut = (kept) => open().forEach((menu) => {
    if (!kept || !menu.contains(kept)) menu.open = false;
  });

  document.addEventListener('click', (event) => closeAllBut(event.target.closest('.menu, .help, .view')));
  document.addEventListener('focusin', (event) => closeAllBut(event.target.closest('.menu, .help, .view')));
  document.addEventListener('keydown', (event) => {
    const menu = event.key === 'Escape' && event.target.closest('.menu[open], .help[open], .view[open]');
    if (!menu) return;
    event.preventDefault(); // The dialog around it stays.
    menu.open = false;
    menu.querySelector('summary').focus();
  });
})();
