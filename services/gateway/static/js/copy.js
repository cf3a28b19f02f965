// Copies a number in its E.164 form.
'use strict';

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.textContent;
  button.textContent = button.dataset.done;
  window.pages.announce(button.dataset.done);
  setTimeout(() => { button.textContent = before; }, 2000);
});
