import { globSync } from 'node:fs'

// The command line on PostgreSQL. All of these tests share a cluster.
for (const file of globSync('cli/*.test.ts', { cwd: import.meta.dirname }).sort()) await import(`./${file}`)
