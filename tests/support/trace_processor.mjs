// Loads a trace into a WebAssembly build of trace_processor and answers queries, one JSON line of rows each:
//   node tests/support/trace_processor.mjs FOLDER TRACE QUERY...
// FOLDER holds trace_processor.wasm, engine_bundle.node.js (its worker) and engine.mjs (who talks to it).
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";

const [folder, trace, ...queries] = process.argv.slice(2);

// What the worker expects of a browser.
class FileRequest {
  open(_method, url) { this.url = url; }
  overrideMimeType() {}
  send() {
    const bytes = readFileSync(join(folder, basename(new URL(this.url, location.href).pathname)));
    this.status = 200;
    this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    this.onload?.();
  }
}
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = class {};
globalThis.XMLHttpRequest = FileRequest;
globalThis.location = { href: `${pathToFileURL(resolve(folder)).href}/` };
globalThis.importScripts = () => {};
runInThisContext(readFileSync(join(folder, "engine_bundle.node.js"), "utf8"));
const { EngineBase } = await import(pathToFileURL(resolve(folder, "engine.mjs")).href);

class Engine extends EngineBase {
  mode = "WASM";
  id = "tracereplay tests";
  constructor(port) {
    super();
    this.port = port;
    port.onmessage = (message) => { if (message.data instanceof Uint8Array) this.onRpcResponseBytes(message.data); };
  }
  rpcSendRequestBytes(data) { this.port.postMessage(data); }
}

const { port1, port2 } = new MessageChannel();
self.onmessage({ data: port1 });
const engine = new Engine(port2);
await engine.parse(new Uint8Array(readFileSync(trace)));
await engine.notifyEof();
const lines = [];
for (const query of queries) {
  const result = await engine.query(query);
  const names = result.columns();
  const rows = [];
  for (const row = result.iter({}); row.valid(); row.next()) {
    rows.push(Object.fromEntries(names.map((name) => [name, row.get(name)])));
  }
  lines.push(`${JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? Number(value) : value))}\n`);
}
process.stdout.write(lines.join(""), () => process.exit(0)); // the port would keep the process alive
