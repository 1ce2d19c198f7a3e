// Runs before everything else (`node --import ./server/check-node.js …`), in plain JavaScript,
// so that a Node too old to read TypeScript says so in one sentence.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 19) || major === 23) {
  const need = 'Postern needs Node 22.19, or 24 or newer'
  const remedy = 'Install a newer one, or run "npm ci --ignore-scripts=false", which brings its own.'
  console.error(`${need}, and this is Node ${process.versions.node}. ${remedy}`)
  process.exit(1)
}

// Keeps compiled code from one start to the next, which makes a start a third shorter and 20 MB lighter.
module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/postern', import.meta.url)))
