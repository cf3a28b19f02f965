// Shared by the card form and the 3-D Secure step: talking to the page around, and to the API.
'use strict';

const frame = (() => {
  const query = new URLSearchParams(location.search);
  const theme = query.get('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;

  // The embedding page is named in the address by stripe.js; nobody else is told anything.
  const embedder = query.get('embedder') || location.origin;
  const tell = (message) => {
    if (parent !== window) parent.postMessage({ sandboxFrame: query.get('frame'), ...message }, embedder);
  };

  const listen = (handle) => addEventListener('message', (event) => {
    if (event.source === parent && event.origin === embedder && event.data) handle(event.data);
  });

  const post = async (path, fields) => {
    try {
      const answer = await fetch(path, { method: 'POST', body: new URLSearchParams(fields) });
      return await answer.json();
    } catch {
      return { error: { type: 'api_connection_error', message: 'The payment sandbox does not answer.' } };
    }
  };

  const tellHeight = () => tell({ height: Math.ceil(document.querySelector('main').getBoundingClientRect().height) });
  new ResizeObserver(tellHeight).observe(document.querySelector('main'));
  return { listen, post, query, tell };
})();
