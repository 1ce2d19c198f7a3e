// What is wanted of node:http. Imported as an ES module it gives all that it has, of which one is a getter that
// loads Node's `fetch` and WebSocket: 10 MB and 20 ms that nothing here needs.
export const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')
