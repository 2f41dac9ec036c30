// Reads the files of the bundle that this page lies in, each by its digest, and loads its .onnx with onnxruntime-web.
const folder = new URL("../", import.meta.url);
const BUILDS = { wasm: "ort.wasm.bundle.min.mjs", webgpu: "ort.webgpu.bundle.min.mjs" };
const opened = new Map();

export async function bundle() {
  const answer = await fetch(new URL("manifest.json", folder), { cache: "no-store" });
  if (!answer.ok) throw new Error(`there is no manifest.json above this page (HTTP ${answer.status})`);
  const manifest = await answer.json();
  if (manifest.schema_version !== 1)
    throw new Error(`manifest.json has schema version ${manifest.schema_version}, this page reads 1`);
  const artifact = manifest.artifacts.find((one) => one.format === "onnx");
  if (artifact === undefined) throw new Error("it has no .onnx");
  return { manifest, artifact };
}

export async function bytesOf(entry) {
  const answer = await fetch(new URL(entry.file, folder), { cache: "no-store" });
  if (!answer.ok) throw new Error(`${entry.file} is missing (HTTP ${answer.status}). Copy the whole bundle.`);
  const bytes = await answer.arrayBuffer();
  if (crypto.subtle === undefined) throw new Error("Digests need https or localhost: serve the page so.");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== entry.sha256) throw new Error(`${entry.file} was changed: its sha256 is not the manifest's.`);
  return bytes;
}

// The library lies in node_modules beside the page or in a folder above it, where Node.js would look, too.
async function library(provider, version) {
  let ort;
  for (let place = new URL("./", import.meta.url); ; place = new URL("../", place)) {
    const url = new URL(`node_modules/onnxruntime-web/dist/${BUILDS[provider]}`, place);
    try {
      ort = (await import(url)).default;
      break;
    } catch {
      if (place.pathname === "/") break;
    }
  }
  const wanted = `npm install onnxruntime-web@${version}`;
  if (ort === undefined) throw new Error(`onnxruntime-web is in no node_modules of this page's folders: ${wanted}`);
  const there = ort.env.versions.web;
  if (there !== version) throw new Error(`onnxruntime-web is ${there}, the bundle is for ${version}: ${wanted}`);
  return ort;
}

/** Return { ort, session, ran } of a provider, wasm or webgpu, and what ran in words. */
export async function open(provider, { manifest, artifact }) {
  if (opened.has(provider)) return opened.get(provider);
  if (provider === "webgpu" && !(await navigator.gpu?.requestAdapter())) throw new Error("This browser has no WebGPU.");
  const ort = await library(provider, manifest.target.runtimes["onnxruntime-web"]);
  const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const model = new Uint8Array(await bytesOf(artifact));
  const options = { executionProviders: [provider], ...(provider === "webgpu" ? { logSeverityLevel: 0 } : {}) };
  const placed = []; // of WebGPU ONNX Runtime says in its log which nodes it left to WebAssembly
  const said = { ...console };
  for (const way of ["log", "warn", "error", "info", "debug"])
    console[way] = (...words) => placed.push(words.join(" "));
  let session;
  try {
    session = await ort.InferenceSession.create(model, options);
  } finally {
    Object.assign(console, said);
  }
  const found = { ort, session, ran: `${manifest.model.name} ran on ${ranOn(provider, threads, placed)}.` };
  opened.set(provider, found);
  return found;
}

function ranOn(provider, threads, log) {
  if (provider === "wasm") return `wasm, ${threads === 1 ? "one thread" : `${threads} threads`}`;
  const counts = {};
  for (const [, name, count] of log.join("\n").matchAll(/placed on \[(\w+)\]\. Number of nodes: (\d+)/g))
    counts[name.replace("ExecutionProvider", "")] = Number(count);
  const parts = Object.entries(counts).map(([name, count]) => `${count} on ${name === "CPU" ? "wasm" : name}`);
  return `webgpu, ${parts.length ? `nodes: ${parts.join(", ")}` : "which nodes it left to wasm is not told"}`;
}
