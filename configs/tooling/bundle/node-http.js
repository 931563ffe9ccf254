// node:http for a bundle. An import of Node's own module reads every export of it at once, and `WebSocket` and its like load undici: 30 ms
// at the start of a process that wants none of them.
const http = process.getBuiltinModule('node:http');
export const { Agent, STATUS_CODES, createServer, request } = http;
export default http;
