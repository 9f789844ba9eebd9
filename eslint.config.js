import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'build', 'node_modules', 'coverage', 'models/**', 'examples/**/node_modules'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['lib/**/*.ts', 'setup/**', 'scripts/**', 'bench/**/*.ts', 'studio/**/*.{ts,tsx}'],
    // A name says what a thing is; that it was found or given says nothing about it.
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ':matches(VariableDeclarator > .id, :function > .params, ArrayPattern > .elements)[name=/^(found|given|kept|wanted|each|asked|made|seen|taken|drawn|got)$/]',
          message: 'Expected a noun, or a verb and a noun, for a name.',
        },
      ],
    },
  },
  {
    files: ['lib/**/*.ts', 'studio/src/**/*.{ts,tsx}'],
    ignores: ['lib/cli/**'],
    // Library code does not print.
    rules: { 'no-console': 'error' },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        module: 'writable',
        process: 'readonly',
        __dirname: 'readonly',
        __filename: 'readonly',
        console: 'readonly',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
      },
    },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
  {
    files: ['test/package/electron/*.js'],
    languageOptions: {
      globals: { process: 'readonly', AbortController: 'readonly', URL: 'readonly', Request: 'readonly' },
    },
  },
  {
    files: ['examples/**/page/*.js'],
    languageOptions: {
      globals: { window: 'readonly', document: 'readonly', URL: 'readonly', Blob: 'readonly', Option: 'readonly' },
    },
  },
  {
    files: ['examples/**/*.js'],
    languageOptions: { globals: { AbortController: 'readonly', console: 'readonly', process: 'readonly' } },
  },
);
