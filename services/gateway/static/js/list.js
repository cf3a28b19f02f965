// The field for numbers takes several lines, so that what is pasted stays as it is; Enter sends it
// all the same, and Shift with Enter begins a line.
'use strict';

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  if (!event.target.matches('[data-enter-sends]')) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
