// Pages that are shown as a dialog: a link loads their part into #dialog-content.
'use strict';

(() => {
  let opener = null;
  const dialog = () => document.getElementById('dialog');

  const close = () => { if (dialog().open) dialog().close(); };

  document.addEventListener('htmx:after:swap', (event) => {
    const { target, sourceElement } = event.detail.ctx;
    if (!target) return;
    if (target.id === 'page') { opener = null; close(); return; }
    if (target.id !== 'dialog-content') return;
    if (!target.childElementCount) return;
    opener = sourceElement;
    if (!dialog().open) dialog().showModal();
    target.querySelector('h1').focus();
  });

  // A page that cannot be shown as a dialog (an error, a checkout that is over) is loaded whole.
  document.addEventListener('htmx:before:swap', (event) => {
    const { ctx, tasks } = event.detail;
    if (!ctx.target || ctx.target.id !== 'dialog-content') return;
    if (tasks.some((task) => task.type === 'main' && task.fragment.childElementCount)) return;
    event.preventDefault();
    location.assign(ctx.request.action);
  });

  document.addEventListener('click', (event) => {
    const closes = event.target.closest('#dialog-close, #dialog [data-closes]');
    if (closes) {
      event.preventDefault();
      event.stopImmediatePropagation();
      close();
    } else if (event.target === dialog()) {
      close();
    }
  }, true);

  document.addEventListener('DOMContentLoaded', () => {
    dialog().addEventListener('close', () => {
      document.getElementById('dialog-content').replaceChildren();
      if (opener && opener.isConnected) opener.focus();
      opener = null;
    });
  });
})();
