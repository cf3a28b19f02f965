// Copies a number in its E.164 form.
'use strict';

(() => {
  const SHOWN_MS = 2000;

  // The clipboard needs a secure context; an installation in the local network may have none.
  const copy = async (text) => {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const field = Object.assign(document.createElement('textarea'), { value: text });
    (document.querySelector('dialog[open]') || document.body).append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  };

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    await copy(button.dataset.copy);
    button.focus({ preventScroll: true });
    window.pages.announce(button.dataset.done);
    if (button.dataset.before) return; // It says so already.
    button.dataset.before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => {
      button.textContent = button.dataset.before;
      delete button.dataset.before;
    }, SHOWN_MS);
  });
})();
