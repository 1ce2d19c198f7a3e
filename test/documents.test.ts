import { globSync } from 'node:fs'

// One process for all of them: a start costs more than most of these files do.
for (const file of globSync('documents/**/*.test.ts', { cwd: import.meta.dirname })) await import(`./${file}`)
