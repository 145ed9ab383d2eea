/** Saving a file from the API: the browser itself streams it to the disk, whatever its size. */
import { currentSession } from './session.js';

/**
 * Downloads `path`. A form is posted because a link cannot carry a header, and a token in an address would be kept in
 * histories and logs. An error opens as text in a new tab.
 */
export const download = (path: string): void => {
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action: path, target: '_blank', hidden: true });
  const token = document.createElement('input');
  Object.assign(token, { type: 'hidden', name: 'token', value: currentSession().token ?? '' });
  form.append(token);
  document.body.append(form);
  form.submit();
  form.remove();
};
