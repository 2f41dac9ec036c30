// The process that holds ONNX Runtime's WebAssembly: `node runner.mjs READ WRITE MEMORY PACKAGE`. It speaks as
// edgekit/base/frames.py does, and answers as edgekit/chips/simulator.py asks.
import { readSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [read, write] = process.argv.slice(2, 4).map(Number);
const ort = await import(pathToFileURL(`${process.argv[5]}/dist/ort.node.min.mjs`));
ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1; // the order of sums must not depend on how many cores there are
const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

function exactly(count) {
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count;) {
    const more = readSync(read, bytes, done, count - done);
    if (more === 0) process.exit(0);
    done += more;
  }
  return bytes;
}

function receive() {
  const length = Number(new DataView(exactly(16).buffer).getBigUint64(0, true));
  const { facts, sizes } = JSON.parse(new TextDecoder().decode(exactly(length)));
  return [facts, sizes.map(exactly)];
}

function send(facts, parts = []) {
  const sizes = parts.map((part) => part.byteLength);
  const text = new TextEncoder().encode(JSON.stringify({ facts, sizes }));
  const head = new DataView(new ArrayBuffer(16));
  head.setBigUint64(0, BigInt(text.length), true);
  head.setBigUint64(8, BigInt(sizes.reduce((sum, size) => sum + size, 0)), true);
  for (const piece of [new Uint8Array(head.buffer), text, ...parts])
    for (let done = 0; done < piece.byteLength;) done += writeSync(write, piece, done);
}

let session = null;
let outputs = [];

async function answer(facts, parts) {
  if (session === null) {
    session = await ort.InferenceSession.create(parts[0], { executionProviders: ["wasm"] });
    outputs = facts.outputs;
    return [{ version: ort.env.versions.web }, []];
  }
  const feeds = {};
  facts.inputs.forEach(([name, dtype, shape], at) => {
    feeds[name] = new ort.Tensor(dtype, new arrays[dtype](parts[at].buffer), shape);
  });
  const found = await session.run(feeds, outputs);
  const tensors = outputs.map((name) => found[name]);
  const described = tensors.map((tensor) => [tensor.type, [...tensor.dims]]);
  return [
    { outputs: described },
    tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ];
}

send({});
for (;;) {
  const [facts, parts] = receive();
  try {
    send(...(await answer(facts, parts)));
  } catch (error) {
    send({ error: String(error?.message ?? error) });
  }
}
