// The search: opening a row to its numbers, and the running total of what is chosen. What is chosen
// goes into the address at once, so that nothing is lost by a reload, by Back or by signing in again.
'use strict';

(() => {
  const MICROS = 1_000_000;
  const form = () => document.getElementById('search');
  const micros = (one) => Math.round(Number(one.dataset.unit) * MICROS);

  const runOf = (box) => Array.from({ length: Number(box.dataset.run) },
    (_, n) => Number(box.value.slice(1)) + n);

  // Single numbers and runs, each number once, with what it costs.
  const numbers = () => {
    const found = new Map();
    form().querySelectorAll('[data-run]:checked').forEach((box) => runOf(box).forEach((n) => found.set(n, box)));
    form().querySelectorAll('[data-number]:checked').forEach((box) => found.set(Number(box.value.slice(1)), box));
    return [...found.values()].map((box) => [box, 1]);
  };

  const quantities = () => [...form().querySelectorAll('select[data-quantity], [data-quantity]:checked')]
    .map((one) => [one, Number(one.value)]);

  const written = (place, currency, amount) => new Intl.NumberFormat(place.dataset.locale,
    { style: 'currency', currency, maximumFractionDigits: 6 }).format(amount / MICROS);

  const total = (place, chosen) => {
    const sums = new Map();
    chosen.forEach(([one, count]) => {
      const { currency } = one.dataset;
      sums.set(currency, (sums.get(currency) || 0) + count * micros(one));
    });
    return [...sums].filter(([, sum]) => sum).map(([currency, sum]) => place.dataset.today
      .replace('#', () => written(place, currency, sum))).join(' + ');
  };

  const count = () => {
    const place = document.getElementById('chosen');
    if (!place) return;
    const chosen = [...numbers(), ...quantities()].filter(([, n]) => n);
    const all = chosen.reduce((sum, [, n]) => sum + n, 0);
    const text = all === 1 ? place.dataset.one : place.dataset.many.replace('#', String(all));
    const money = document.createElement('strong');
    money.textContent = total(place, chosen);
    place.replaceChildren(...(all ? [`${text}: `, money] : [place.dataset.none]));
  };

  const isChoice = (name) => name === 'number' || name === 'run' || name.startsWith('quantity.');

  const remember = () => {
    if (location.pathname !== '/search') return;
    const query = new URLSearchParams(location.search);
    [...query.keys()].filter(isChoice).forEach((name) => query.delete(name));
    query.delete('problem'); // It was about what was chosen before.
    for (const [name, value] of new FormData(form())) {
      if (isChoice(name) && value !== '0') query.append(name, value);
    }
    history.replaceState(history.state, '', `/search?${query}`);
  };

  const open = (button, row, wanted) => {
    row.hidden = !wanted;
    row.querySelectorAll('[name=open]').forEach((one) => { one.disabled = !wanted; });
    button.setAttribute('aria-expanded', String(wanted));
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-opens]');
    if (!button) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const row = document.getElementById(button.dataset.opens);
    if (row.hasAttribute('data-filled')) open(button, row, row.hidden);
    else htmx.trigger(button, 'pick');
  }, true);

  const opened = (button) => {
    const row = document.getElementById(button.dataset.opens);
    if (!row.hasAttribute('data-filled')) return;
    open(button, row, true);
    const first = row.querySelector('[type=checkbox]');
    if (first) first.focus();
  };

  // What asked for other results is replaced with them, and has the focus again afterwards. Each
  // request remembers its own: the list below a dialog asks for itself meanwhile.
  const askers = new WeakMap();
  document.addEventListener('htmx:before:request', (event) => {
    const { ctx } = event.detail;
    const asker = ctx.sourceElement;
    if (asker && asker.matches && asker.matches('#search [data-stays]')) askers.set(ctx, asker.id);
  });

  document.addEventListener('htmx:after:swap', (event) => {
    if (!form()) return;
    const { ctx } = event.detail;
    const source = ctx.sourceElement;
    if (source && source.matches && source.matches('[data-opens]')) opened(source);
    const again = askers.has(ctx) && document.getElementById(askers.get(ctx));
    if (again) again.focus({ preventScroll: true });
    count();
  });
  document.addEventListener('change', (event) => {
    if (!event.target.closest('#search') || !isChoice(event.target.name || '')) return;
    count();
    remember();
  });
})();
