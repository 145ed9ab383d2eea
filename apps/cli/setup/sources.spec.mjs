import { describe, expect, it } from 'vitest';
import { mirrorsFrom, sourcesList } from './sources.mjs';

const rows = (...lines) => lines.join('\n');

describe("the machine's package mirrors", () => {
  it('are those of its own release, security apart', () => {
    const targets = rows(
      'http://mirror.test/debian|bookworm|bookworm|main|Debian',
      'http://mirror.test/debian|bookworm-updates|bookworm-updates|main|Debian',
      'http://security.test/debian-security|bookworm-security|bookworm-security|main|Debian',
      'https://vendor.test/apt|bookworm|bookworm|main|Vendor',
      'https://node.test/node|nodistro|nodistro|main|Node',
    );
    expect(mirrorsFrom(targets, 'bookworm')).toEqual({
      main: 'http://mirror.test/debian',
      security: 'http://security.test/debian-security',
    });
  });

  it('are found before the lists were ever fetched, when no origin is known', () => {
    const targets = 'http://mirror.test/debian/|bookworm|$(CODENAME)|main|$(ORIGIN)';
    expect(mirrorsFrom(targets, 'bookworm')).toEqual({
      main: 'http://mirror.test/debian',
      security: undefined,
    });
  });

  it('are found by codename where the configuration says stable', () => {
    expect(mirrorsFrom('http://mirror.test/debian|stable|trixie|main|Debian', 'trixie')?.main).toBe(
      'http://mirror.test/debian',
    );
  });

  it('are unknown where apt takes packages from files only', () => {
    expect(mirrorsFrom('file:/srv/debian|bookworm|bookworm|main|Debian', 'bookworm')).toBeUndefined();
    expect(mirrorsFrom('', 'bookworm')).toBeUndefined();
  });
});

describe('the sources of another release', () => {
  it('name updates and security updates too', () => {
    const mirrors = { main: 'http://mirror.test/debian', security: 'http://security.test/debian-security' };
    expect(sourcesList(mirrors, 'trixie', '/keys.gpg').split('\n')).toEqual([
      'deb [signed-by=/keys.gpg] http://mirror.test/debian trixie main',
      'deb [signed-by=/keys.gpg] http://mirror.test/debian trixie-updates main',
      'deb [signed-by=/keys.gpg] http://security.test/debian-security trixie-security main',
      '',
    ]);
  });

  it('do without a security archive where there is none', () => {
    expect(sourcesList({ main: 'http://m.test' }, 'trixie', '')).toBe(
      'deb http://m.test trixie main\ndeb http://m.test trixie-updates main\n',
    );
  });
});
