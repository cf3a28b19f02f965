// The search page: opening a row to its single numbers, and counting what is chosen.
'use strict';

(() => {
  const count = () => {
    const place = document.getElementById('chosen');
    if (!place) return;
    const quantities = [...document.querySelectorAll('[data-quantity]')].map((one) => Number(one.value));
    const numbers = document.querySelectorAll('[data-number]:checked').length;
    const all = quantities.reduce((sum, one) => sum + one, numbers);
    const text = all === 1 ? place.dataset.one : place.dataset.many.replace('#', String(all));
    place.textContent = all ? text : place.dataset.none;
  };

  const open = (button, row, wanted) => {
    row.hidden = !wanted;
    button.setAttribute('aria-expanded', String(wanted));
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-opens]');
    if (!button) return;
    event.preventDefault();
    const row = document.getElementById(button.dataset.opens);
    if (row.hasAttribute('data-filled')) open(button, row, row.hidden);
    else htmx.trigger(button, 'pick');
  }, true);

  document.addEventListener('htmx:after:swap', (event) => {
    const button = event.detail.ctx.sourceElement;
    if (button && button.matches && button.matches('[data-opens]')) {
      const row = document.getElementById(button.dataset.opens);
      open(button, row, true);
      const first = row.querySelector('input');
      if (first) first.focus();
    }
    count();
  });
  document.addEventListener('change', count);
  document.addEventListener('DOMContentLoaded', count);
})();
