// The card form. What is typed here goes to the sandbox and to nobody else: the page around
// learns only whether the form is complete, the brand, and what the API answered.
'use strict';

(() => {
  const inputs = Object.fromEntries(
    ['number', 'expiry', 'cvc'].map((name) => [name, document.getElementById(name)]));
  const problem = document.getElementById('problem');
  const fieldOf = {
    'number': 'number', 'exp_month': 'expiry', 'exp_year': 'expiry', 'cvc': 'cvc',
  };

  const digits = (name) => inputs[name].value.replace(/\D/g, '');
  const brand = () => ({ 3: 'amex', 4: 'visa', 5: 'mastercard' })[digits('number')[0]] || 'unknown';
  const complete = () => digits('number').length >= 14 && digits('expiry').length === 4
    && digits('cvc').length >= 3;

  const say = (message, name) => {
    problem.textContent = message || '';
    for (const [key, input] of Object.entries(inputs)) {
      if (message && key === name) input.setAttribute('aria-invalid', 'true');
      else input.removeAttribute('aria-invalid');
    }
  };

  const changed = () => frame.tell({
    change: { complete: complete(), empty: !digits('number') && !digits('expiry') && !digits('cvc'), brand: brand() },
  });

  inputs.number.addEventListener('input', () => {
    if (inputs.number.selectionStart === inputs.number.value.length) {
      inputs.number.value = digits('number').slice(0, 19).replace(/(\d{4})(?=\d)/g, '$1 ');
    }
  });
  inputs.expiry.addEventListener('input', (event) => {
    const deleting = (event.inputType || '').startsWith('delete');
    const typed = digits('expiry').slice(0, 4);
    if (!deleting && typed.length >= 2) inputs.expiry.value = `${typed.slice(0, 2)} / ${typed.slice(2)}`;
  });
  for (const input of Object.values(inputs)) {
    input.addEventListener('input', () => { say(''); changed(); });
    input.addEventListener('focus', () => frame.tell({ focus: true }));
    input.addEventListener('blur', () => frame.tell({ blur: true }));
  }
  document.getElementById('card').addEventListener('submit', (event) => {
    event.preventDefault();
    frame.tell({ submit: true });  // Enter in a field: the page around decides what it means.
  });

  const card = () => ({
    'number': digits('number'),
    'exp_month': digits('expiry').slice(0, 2),
    'exp_year': digits('expiry').slice(2),
    'cvc': digits('cvc'),
  });

  const missing = () => [
    ['number', 'Your card number is incomplete.', digits('number').length < 12],
    ['expiry', 'Your card\u2019s expiration date is incomplete.', digits('expiry').length < 4],
    ['cvc', 'Your card\u2019s security code is incomplete.', digits('cvc').length < 3],
  ].find(([, , wrong]) => wrong);

  const ask = async (path, prefix, more) => {
    const lack = missing();
    if (lack) {
      say(lack[1], lack[0]);
      inputs[lack[0]].focus();
      return { error: { type: 'validation_error', code: `incomplete_${lack[0]}`, message: lack[1] } };
    }
    const named = Object.entries(card()).map(([name, value]) => [`${prefix}[card][${name}]`, value]);
    const fields = prefix ? named : Object.entries(card()).map(([name, value]) => [`card[${name}]`, value]);
    const answer = await frame.post(path, [...Object.entries(more), ...fields]);
    say(answer.error && answer.error.message, answer.error && fieldOf[answer.error.param]);
    return answer;
  };

  frame.listen(async (message) => {
    if (message.ask) {
      const { path, prefix, fields } = message.ask;
      frame.tell({ reply: message.id, answer: await ask(path, prefix, fields) });
    } else if (message.clear) {
      for (const input of Object.values(inputs)) input.value = '';
      say('');
      changed();
    } else if (message.focus) {
      inputs.number.focus();
    }
  });
  frame.tell({ ready: true });
})();
