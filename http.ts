// What is wanted of node:http. Imported as an ES module it gives all that it has, of which one is a getter that
// loads Node's `fetch` and WebSocket: 2 MB that nothing here needs.
export const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')
