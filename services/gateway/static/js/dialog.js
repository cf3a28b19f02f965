// Pages that are shown as a dialog over another one. A link with the attributes of
// parts/dialog.html fills #dialog-content; what is followed or sent in there fills it again, and
// what is no dialog replaces the page. The address follows, so that reload and Back show the same.
'use strict';

(() => {
  let opener = null;
  let below = null; // Address and title of the page below, while a dialog is shown.
  const dialog = () => document.getElementById('dialog');
  const content = () => document.getElementById('dialog-content');

  const show = (source) => {
    if (!dialog().open) {
      opener = source;
      dialog().showModal();
    }
    dialog().scrollTop = 0;
    const place = content().querySelector('[autofocus], .alert[data-focus]') || content().querySelector('h1');
    if (place) place.focus();
  };

  // What went wrong is told at the top of the dialog; what is in it stays as it is.
  const problem = () => document.getElementById('dialog-problem');
  const tell = () => problem().firstElementChild && problem().firstElementChild.focus();

  // The page below was replaced: there is nothing to go back to.
  const leave = () => {
    opener = null;
    below = null;
    if (!dialog().open) return;
    dialog().close();
    // Only now the page can have the focus: while a dialog is open, everything else is inert.
    window.pages.focusOn(document.getElementById('page'));
  };

  document.addEventListener('htmx:before:request', (event) => {
    const { target } = event.detail.ctx;
    if (target && target.closest('#dialog')) problem().replaceChildren();
    if (!target || target.id !== 'dialog-content' || dialog().open) return;
    below = { address: location.pathname + location.search, title: document.title };
  });

  document.addEventListener('htmx:after:request', (event) => {
    const { ctx } = event.detail;
    if (!ctx.target) return;
    const whole = ctx.text.includes('id="dialog-part"'); // Also a form that was refused.
    if (!whole && dialog().open && ctx.target.closest('#dialog') && ctx.response.status >= 400) {
      Object.assign(ctx, { target: problem(), select: '#problem', swap: 'innerHTML', push: 'false' });
      return;
    }
    if (whole || ctx.target.id !== 'dialog-content') return;
    const page = document.getElementById('page');
    Object.assign(ctx, { target: page, select: '#page', swap: 'outerSync' });
  });

  document.addEventListener('htmx:after:swap', (event) => {
    const { target, sourceElement } = event.detail.ctx;
    if (!target) return;
    if (target.id === 'page') leave();
    if (target.id === 'dialog-problem') tell();
    if (target.id === 'dialog-content' && target.childElementCount) show(sourceElement);
  });

  document.addEventListener('htmx:error', (event) => {
    const { ctx } = event.detail;
    if (!ctx || !dialog().open) return;
    const note = document.createElement('p');
    note.className = 'alert alert-bad';
    note.tabIndex = -1;
    note.textContent = document.getElementById('offline').dataset.text;
    problem().replaceChildren(note);
    tell();
  });

  document.addEventListener('click', (event) => {
    const closes = event.target.closest('#dialog-close, #dialog [data-closes]');
    if (!closes && event.target !== dialog()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    dialog().close();
  }, true);

  document.addEventListener('DOMContentLoaded', () => {
    dialog().addEventListener('close', () => {
      content().replaceChildren();
      problem().replaceChildren();
      if (below) {
        history.pushState({ htmx: true }, '', below.address);
        document.title = below.title;
      }
      below = null;
      if (opener && opener.isConnected) opener.focus();
      opener = null;
    });
  });
})();
