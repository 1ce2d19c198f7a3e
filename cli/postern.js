#!/usr/bin/env node
// The program "postern" (npx postern …), in plain JavaScript, so that a Node too old to read TypeScript says so.
import '../server/check-node.js'

await import('./index.ts')
