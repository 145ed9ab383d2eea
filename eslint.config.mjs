import nx from '@nx/eslint-plugin';
import jsdoc from 'eslint-plugin-jsdoc';
import tseslint from 'typescript-eslint';

// The import walls of the house (docs/adr/0002): who may import whom, and what from npm.
const walls = [
  {
    sourceTag: 'type:contracts',
    onlyDependOnLibsWithTags: ['type:contracts'],
    allowedExternalImports: ['zod', 'vitest'],
  },
  {
    sourceTag: 'type:adapter',
    onlyDependOnLibsWithTags: ['type:contracts', 'type:testkit'],
    bannedExternalImports: ['@nestjs/*', '@nestjs/**'],
  },
  { sourceTag: 'type:runtime', onlyDependOnLibsWithTags: ['type:contracts', 'type:adapter', 'type:testkit'] },
  {
    sourceTag: 'type:testkit',
    onlyDependOnLibsWithTags: ['type:contracts'],
    bannedExternalImports: ['@nestjs/*', '@nestjs/**'],
  },
  {
    sourceTag: 'type:app',
    onlyDependOnLibsWithTags: ['type:contracts', 'type:adapter', 'type:runtime', 'type:testkit'],
  },
  {
    sourceTag: 'type:web',
    onlyDependOnLibsWithTags: ['type:contracts'],
    bannedExternalImports: ['@nestjs/*', 'pg', 'typeorm'],
  },
  { sourceTag: 'type:test', onlyDependOnLibsWithTags: ['type:contracts', 'type:testkit'] },
];

// The domain is pure: no clock, no randomness, nothing but contracts and its own folder.
const pure = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'the domain has no clock: take the time with the command',
  },
  {
    selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
    message: 'the domain has no clock: take the time with the command',
  },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: 'the domain has no randomness',
  },
  {
    selector: "CallExpression[callee.property.name='randomUUID']",
    message: 'the domain has no randomness: take the id with the command',
  },
];
const noExportAll = { selector: 'ExportAllDeclaration', message: 'name what you export' };

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.gantry/**', '.nx/**', '**/*.d.ts'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx,mjs}'],
    plugins: { '@nx': nx },
    rules: {
      'max-lines': ['error', 600],
      'max-lines-per-function': ['error', { max: 100, skipBlankLines: true, skipComments: true }],
      'no-restricted-syntax': ['error', noExportAll],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['apps/**/*.{ts,tsx}', 'libs/**/*.ts', 'test/**/*.ts'],
    rules: { '@nx/enforce-module-boundaries': ['error', { allow: [], depConstraints: walls }] },
  },
  {
    // The testkit is for tests alone.
    files: ['apps/*/src/**/*.{ts,tsx}', 'libs/{eventlog,bus,service}/src/**/*.ts'],
    ignores: ['**/*.spec.{ts,tsx}', 'apps/*/src/testing/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^@gantry/testkit', message: 'the testkit is for *.spec.ts and src/testing only' },
          ],
        },
      ],
    },
  },
  {
    files: ['apps/*/src/domain/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(?!@gantry/contracts(/|$)|\\./)',
              message: 'the domain imports contracts and its own folder only',
            },
          ],
        },
      ],
      'no-restricted-syntax': ['error', noExportAll, ...pure],
    },
  },
  {
    files: ['libs/*/src/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    plugins: { jsdoc },
    rules: {
      'jsdoc/require-jsdoc': [
        'error',
        {
          publicOnly: true,
          contexts: [
            'ExportNamedDeclaration > VariableDeclaration',
            'TSInterfaceDeclaration',
            'TSTypeAliasDeclaration',
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.spec.{ts,tsx,mjs}', 'apps/*/src/testing/**/*.ts', 'test/**/*.ts', 'libs/testkit/**/*.ts'],
    rules: { 'max-lines-per-function': 'off' },
  },
);
