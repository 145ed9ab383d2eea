/** Where the tests find programs that Gantry's set-up fetches out of packages. */
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Every place where a program may lie, best first: the PATH, then GANTRY_HOME's `bin`, then `.gantry/bin` here and in every folder above. */
export const placesOf = (program: string): string[] => {
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  if (process.env['GANTRY_HOME']) places.push(join(process.env['GANTRY_HOME'], 'bin', program));
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    places.push(join(folder, '.gantry', 'bin', program));
    if (folder === dirname(folder)) return places;
  }
};

/** True if there is a file that may be run. */
export const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
