// The 3-D Secure step: two buttons, and the intent as it is afterwards.
'use strict';

(() => {
  const secret = frame.query.get('client_secret') || '';
  const [, identifier, kind] = secret.match(/^((seti|pi)_[a-z0-9]+)_secret_/) || [];
  const path = kind === 'seti' ? 'setup_intents' : 'payment_intents';
  const buttons = ['complete', 'fail'].map((name) => document.getElementById(name));

  const finish = async (outcome) => {
    for (const button of buttons) button.disabled = true;
    const answer = await frame.post(`/v1/${path}/${identifier}/authenticate`, [
      ['key', frame.query.get('key') || ''], ['client_secret', secret], ['outcome', outcome],
    ]);
    document.getElementById('problem').textContent = answer.error ? answer.error.message : '';
    frame.tell({ finished: answer });
  };

  for (const button of buttons) button.addEventListener('click', () => finish(button.id));
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape') finish('fail');
  });
  frame.listen((message) => {
    if (message.focus) buttons[0].focus();
  });
  frame.tell({ ready: true });
})();
