const DOCUMENT = '../../docs/openapi.json'

export default {
  postern: {
    input: DOCUMENT,
    output: { target: './generated/orval.ts', client: 'fetch', override: { mutator: { path: './programs/orval-fetch.ts', name: 'orvalFetch', extension: '.js' } } }
  }
}
