// A stand-in for Stripe.js with the calls that the platform's pages make. Result shapes are
// Stripe's: {setupIntent} or {paymentIntent} or {paymentMethod}, or else {error}.
//
// Nothing is set by markup (no style attributes, no inline handlers), so a page may embed this with
// script-src, frame-src and connect-src of the sandbox's origin and nothing else.
'use strict';

(() => {
  const origin = new URL(document.currentScript.src).origin;
  let frames = 0;

  const style = (node, values) => {
    for (const [name, value] of Object.entries(values)) node.style.setProperty(name, value);
  };

  // A frame of the sandbox inside this page, and the messages that come out of it.
  const openFrame = (path, fields, title, handle) => {
    const node = document.createElement('iframe');
    const name = `sandbox-${++frames}`;
    const query = new URLSearchParams({ ...fields, frame: name, embedder: location.origin });
    node.title = title;
    node.src = `${origin}${path}?${query}`;
    style(node, { 'border': '0', 'display': 'block', 'width': '100%', 'height': '240px' });
    const hear = (event) => {
      if (event.origin !== origin || event.source !== node.contentWindow || !event.data) return;
      if (event.data.sandboxFrame !== name) return;
      if (event.data.height) node.style.setProperty('height', `${event.data.height}px`);
      handle(event.data);
    };
    addEventListener('message', hear);
    return {
      node,
      send: (message) => node.contentWindow && node.contentWindow.postMessage(message, origin),
      close: () => { removeEventListener('message', hear); node.remove(); },
    };
  };

  class CardElement {
    constructor(theme) {
      this._theme = theme;
      this._handlers = {};
      this._waiting = new Map();
    }

    mount(target) {
      const place = typeof target === 'string' ? document.querySelector(target) : target;
      if (!place) throw new Error(`There is no element ${target} to mount the card form in.`);
      this.unmount();
      this._frame = openFrame('/v3/card', this._theme ? { theme: this._theme } : {},
        'Card number, expiry and security code', (message) => this._hear(message));
      place.replaceChildren(this._frame.node);
    }

    unmount() {
      if (this._frame) this._frame.close();
      this._frame = null;
      for (const resolve of this._waiting.values()) {
        resolve({ error: { type: 'validation_error', message: 'The card form was closed.' } });
      }
      this._waiting.clear();
    }

    destroy() { this.unmount(); }

    on(name, handler) {
      (this._handlers[name] = this._handlers[name] || []).push(handler);
      return this;
    }

    off(name, handler) {
      this._handlers[name] = (this._handlers[name] || []).filter((one) => handler && one !== handler);
      return this;
    }

    focus() { this._send({ focus: true }); }

    clear() { this._send({ clear: true }); }

    update() {}

    _send(message) { if (this._frame) this._frame.send(message); }

    _tell(name, event) { for (const handler of this._handlers[name] || []) handler(event); }

    _hear(message) {
      if (message.reply) {
        const resolve = this._waiting.get(message.reply);
        this._waiting.delete(message.reply);
        if (resolve) resolve(message.answer);
      } else if (message.change) {
        this._tell('change', { elementType: 'card', error: undefined, ...message.change });
      }
      for (const name of ['ready', 'focus', 'blur', 'submit']) {
        if (message[name]) this._tell(name, { elementType: 'card' });
      }
    }

    // The frame posts the card itself; this page sees the answer, never the number.
    _ask(path, prefix, fields) {
      if (!this._frame) throw new Error('The card form is not mounted.');
      const id = crypto.getRandomValues(new Uint32Array(2)).join('-');
      return new Promise((resolve) => {
        this._waiting.set(id, resolve);
        this._send({ id, ask: { path, prefix, fields } });
      });
    }
  }

  const flat = (value, prefix) => Object.entries(value || {}).flatMap(([name, inner]) => {
    if (inner === null || inner === undefined || inner === '') return [];
    const path = prefix ? `${prefix}[${name}]` : name;
    return typeof inner === 'object' ? flat(inner, path) : [[path, String(inner)]];
  });

  const request = async (method, path, pairs) => {
    const body = new URLSearchParams(pairs);
    try {
      const answer = await (method === 'GET'
        ? fetch(`${origin}${path}?${body}`)
        : fetch(`${origin}${path}`, { method, body }));
      return await answer.json();
    } catch {
      return { error: { type: 'api_connection_error', message: 'The payment sandbox does not answer.' } };
    }
  };

  // 3-D Secure in a dialog: modal, so that the keyboard stays in it; Escape means "Fail".
  const challenge = (key, secret, theme) => new Promise((resolve) => {
    const dialog = document.createElement('dialog');
    dialog.setAttribute('aria-label', '3-D Secure');
    style(dialog, {
      'width': 'min(420px, 100vw - 32px)', 'padding': '0', 'border': '1px solid', 'border-radius': '8px',
    });
    const fields = { key, client_secret: secret, ...(theme ? { theme } : {}) };
    const opened = openFrame('/v3/challenge', fields, '3-D Secure', (message) => {
      if (message.ready) { opened.node.focus(); opened.send({ focus: true }); }
      if (message.finished) { finish(message.finished); }
    });
    const finish = (answer) => { dialog.close(); opened.close(); dialog.remove(); resolve(answer); };
    dialog.addEventListener('cancel', async (event) => {
      event.preventDefault();
      finish(await authenticate(key, secret, 'fail'));
    });
    dialog.append(opened.node);
    document.body.append(dialog);
    dialog.showModal();
  });

  const kinds = {
    seti: { path: 'setup_intents', result: 'setupIntent', error: 'last_setup_error' },
    pi: { path: 'payment_intents', result: 'paymentIntent', error: 'last_payment_error' },
  };

  const reading = (secret) => {
    const found = String(secret).match(/^((seti|pi)_[a-z0-9]+)_secret_/);
    if (!found) throw new Error('Invalid value for the client secret.');
    return { id: found[1], ...kinds[found[2]] };
  };

  const authenticate = (key, secret, outcome) => {
    const { id, path } = reading(secret);
    return request('POST', `/v1/${path}/${id}/authenticate`,
      [['key', key], ['client_secret', secret], ['outcome', outcome]]);
  };

  window.Stripe = (key, options) => {
    if (!/^pk_test_/.test(key)) throw new Error('The payment sandbox wants a publishable test key (pk_test_…).');
    let theme = options && options.theme;

    // From the answer of the API to what the page is promised, through 3-D Secure if need be.
    const settle = async (secret, answer) => {
      const { result, error } = reading(secret);
      let intent = answer;
      if (!intent.error && intent.status === 'requires_action') intent = await challenge(key, secret, theme);
      if (intent.error) return { error: intent.error };
      if (intent.status === 'requires_payment_method' && intent[error]) {
        return { error: { ...intent[error], [intent.object]: intent } };
      }
      return { [result]: intent };
    };

    const retrieve = async (secret) => {
      const { id, path } = reading(secret);
      return request('GET', `/v1/${path}/${id}`, [['key', key], ['client_secret', secret]]);
    };

    const confirm = async (secret, data) => {
      const { id, path } = reading(secret);
      const method = data && data.payment_method;
      const fields = { key, client_secret: secret };
      const url = `/v1/${path}/${id}/confirm`;
      if (method && method.card instanceof CardElement) {
        const billing = flat(method.billing_details, 'payment_method_data[billing_details]');
        const more = { ...fields, 'payment_method_data[type]': 'card', ...Object.fromEntries(billing) };
        return settle(secret, await method.card._ask(url, 'payment_method_data', more));
      }
      if (typeof method === 'string') fields.payment_method = method;
      return settle(secret, await request('POST', url, Object.entries(fields)));
    };

    const confirmCardPayment = async (secret, data) => {
      // An intent that our server confirmed already waits only for the person.
      const now = await retrieve(secret);
      const waits = now.error || now.status === 'requires_action' || now.status === 'succeeded';
      return waits && !(data && data.payment_method) ? settle(secret, now) : confirm(secret, data);
    };

    return {
      elements: (settings) => {
        const wanted = settings && settings.appearance && settings.appearance.theme;
        if (wanted) theme = wanted === 'night' || wanted === 'dark' ? 'dark' : 'light';
        let element = null;
        return {
          create: (type) => {
            if (type !== 'card') throw new Error(`The payment sandbox has no element ${type}.`);
            element = new CardElement(theme);
            return element;
          },
          getElement: () => element,
        };
      },
      confirmCardSetup: confirm,
      confirmCardPayment,
      handleNextAction: async ({ clientSecret }) => settle(clientSecret, await retrieve(clientSecret)),
      handleCardAction: async (secret) => settle(secret, await retrieve(secret)),
      retrieveSetupIntent: async (secret) => {
        const answer = await retrieve(secret);
        return answer.error ? answer : { setupIntent: answer };
      },
      retrievePaymentIntent: async (secret) => {
        const answer = await retrieve(secret);
        return answer.error ? answer : { paymentIntent: answer };
      },
      createPaymentMethod: async ({ card, billing_details: billing }) => {
        const more = { key, type: 'card', ...Object.fromEntries(flat(billing, 'billing_details')) };
        const answer = await card._ask('/v1/payment_methods', '', more);
        return answer.error ? answer : { paymentMethod: answer };
      },
    };
  };
  window.Stripe.version = 3;
})();
