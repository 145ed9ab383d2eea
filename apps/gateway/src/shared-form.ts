/** Forms (bytes) of a value that are made once for everybody who is given the value; they live as long as it does. */

/** More than any set of clients asks for; further forms are made for each anew, so that nobody fills the memory with them. */
const FORMS_KEPT = 8;

const forms = new WeakMap<object, Map<string, Promise<Buffer>>>();

/** Allows the forms of this value to be shared: nothing in it depends on who looks. */
export const share = <T extends object>(value: T): T => {
  forms.set(value, new Map());
  return value;
};

/** True for a value given to `share`. */
export const isShared = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && forms.has(value);

/** The form by that name, made by `make` unless somebody has made it already. A failed one is not kept. */
export const formOf = (
  value: object,
  name: string,
  make: () => Buffer | Promise<Buffer>,
): Promise<Buffer> => {
  const own = forms.get(value);
  const known = own?.get(name);
  if (known) return known;
  const form = (async () => make())();
  if (own && own.size < FORMS_KEPT) {
    own.set(name, form);
    form.catch(() => own.delete(name));
  }
  return form;
};
