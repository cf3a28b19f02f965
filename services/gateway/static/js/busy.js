// While a request is under way, what was pressed shows that it is working.
'use strict';

(() => {
  const pressed = ({ request, sourceElement }) => {
    const node = (request && request.submitter) || sourceElement;
    return node && node.matches && node.matches('button, a') ? node : null;
  };

  const mark = (event, yes) => {
    const node = pressed(event.detail.ctx);
    if (!node) return;
    if (yes) node.setAttribute('aria-busy', 'true');
    else node.removeAttribute('aria-busy');
  };

  document.addEventListener('htmx:before:request', (event) => mark(event, true));
  document.addEventListener('htmx:finally:request', (event) => mark(event, false));
})();
