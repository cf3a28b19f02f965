// The payment provider's script: card fields, and the bank's confirmation (3-D Secure). What is
// typed into the fields goes to the provider and never to us.
'use strict';

(() => {
  const NOBODY = 401;
  const scripts = new Map();
  const mounted = new WeakMap();

  const load = (url) => {
    if (!scripts.has(url)) {
      scripts.set(url, new Promise((resolve, reject) => {
        const node = document.createElement('script');
        node.src = url;
        node.addEventListener('load', resolve);
        node.addEventListener('error', () => { scripts.delete(url); reject(new Error(url)); });
        document.head.append(node);
      }));
    }
    return scripts.get(url);
  };

  const tell = (form, message) => { form.querySelector('[data-problem]').textContent = message || ''; };
  const unavailable = (form) => tell(form, form.querySelector('[data-problem]').dataset.unavailable);

  const busy = (form, yes) => {
    const button = form.querySelector('button[type=submit]');
    button.disabled = yes;
    button.setAttribute('aria-busy', String(yes));
  };

  const send = (form) => {
    form.dataset.ready = '1';
    busy(form, false);
    form.requestSubmit();
  };

  const mount = async (form) => {
    mounted.set(form, null);
    try {
      await load(form.dataset.script);
      const stripe = window.Stripe(form.dataset.key);
      const card = stripe.elements().create('card');
      const place = form.querySelector('#card-fields');
      place.replaceChildren();
      card.mount(place);
      if (card.on) card.on('submit', () => form.requestSubmit());
      mounted.set(form, { stripe, card });
    } catch {
      unavailable(form);
    }
  };

  const signInAgain = () => {
    const back = new URLSearchParams({ next: location.pathname + location.search, ended: '1' });
    location.assign(`/login?${back}`);
  };

  const newIntent = async (form) => {
    const answer = await fetch('/v1/payment-methods/setup-intents', {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'X-CSRF-Token': form.elements.csrf_token.value,
      },
      body: '{}',
    });
    if (answer.status === NOBODY) signInAgain();
    const found = await answer.json();
    if (!answer.ok) throw new Error(`${found.title}. ${found.next_step || ''}`.trim());
    return found;
  };

  const saveCard = async (form) => {
    const found = mounted.get(form);
    if (!found) { unavailable(form); return; }
    busy(form, true);
    tell(form, '');
    try {
      const intent = await newIntent(form);
      const result = await found.stripe.confirmCardSetup(intent.client_secret,
        { payment_method: { card: found.card } });
      if (result.error) throw new Error(result.error.message);
      form.elements.setup_intent_id.value = intent.id;
      send(form);
    } catch (error) {
      busy(form, false);
      tell(form, error.message);
    }
  };

  const confirmPayment = async (form) => {
    busy(form, true);
    try {
      await load(form.dataset.script);
      const stripe = window.Stripe(form.dataset.key);
      const result = await stripe.handleNextAction({ clientSecret: form.dataset.secret });
      if (result.error) tell(form, result.error.message);
      // Also after a refusal: only the provider's word counts, and we ask for it.
      send(form);
    } catch {
      busy(form, false);
      unavailable(form);
    }
  };

  document.addEventListener('submit', (event) => {
    const form = event.target;
    const work = form.matches('[data-card-form]') ? saveCard
      : form.matches('[data-bank-step]') ? confirmPayment : null;
    if (!work || form.dataset.ready) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!form.querySelector('button[type=submit]').disabled) work(form);
  }, true);

  const mountAll = () => document.querySelectorAll('[data-card-form]').forEach((form) => {
    if (!mounted.has(form)) mount(form);
  });
  document.addEventListener('DOMContentLoaded', mountAll);
  document.addEventListener('htmx:after:swap', mountAll);
})();
