// The golden vectors: what the file answers here against what it answered where it was built, and against the float model.
import { bytesOf, open } from "./runtime.js";

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
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

async function valuesOf(entry) {
  const kind = ARRAYS[entry.dtype];
  if (kind === undefined) throw new Error(`${entry.file} holds ${entry.dtype}, which this page does not read`);
  return new kind(await bytesOf(entry));
}

async function tensorOf(ort, entry) {
  return new ort.Tensor(entry.dtype, await valuesOf(entry), entry.shape);
}

// Signal to noise in dB of numbers, infinite where they are equal, and the largest error; NaN is infinitely wrong.
function drift(found, expected) {
  let [signal, noise, worst] = [0, 0, found.length === expected.length ? 0 : Infinity];
  for (let i = 0; i < expected.length; i++) {
    const [value, right] = [Number(found[i]), Number(expected[i])];
    const error = Number.isNaN(value) ? Infinity : Math.abs(value - right);
    signal += right * right;
    noise += error * error;
    worst = Math.max(worst, error);
  }
  return { signal, noise, worst };
}

/** Run all golden inputs, then the last one so many times; return { results, ran, times in ms, good }. */
export async function selfTest(provider, bundle, count) {
  const { manifest, artifact } = bundle;
  const { ort, session, ran } = await open(provider, bundle);
  const rows = new Map();
  let feeds;
  for (const golden of manifest.golden) {
    const given = await Promise.all(golden.inputs.map(async (entry) => [entry.name, await tensorOf(ort, entry)]));
    feeds = Object.fromEntries(given);
    const answers = await session.run(feeds);
    for (const entry of golden.outputs) {
      if (entry.artifact !== null && entry.artifact !== artifact.file) continue;
      const key = `${entry.name}/${entry.artifact}`;
      const row = rows.get(key) ?? { entry, signal: 0, noise: 0, worst: 0 };
      const expected = await valuesOf(entry);
      const one = drift(answers[entry.name].data, expected);
      rows.set(key, {
        entry,
        signal: row.signal + one.signal,
        noise: row.noise + one.noise,
        worst: Math.max(row.worst, one.worst),
      });
    }
  }
  if (rows.size === 0) throw new Error("The bundle has no golden outputs of this file.");
  const least = manifest.budget.device?.min_sqnr_db ?? -Infinity;
  const results = [...rows.values()].map(({ entry, signal, noise, worst }) => {
    const db = noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
    return { entry, db, worst, good: worst <= entry.max_abs_error && (entry.artifact === null || db >= least) };
  });
  return { results, ran, times: await timed(session, feeds, count), good: results.every((one) => one.good) };
}

async function timed(session, feeds, count) {
  const times = [];
  for (let i = -3; i < count; i++) {
    const begun = performance.now();
    const answers = await session.run(feeds);
    for (const name of session.outputNames) await answers[name].getData();
    if (i >= 0) times.push(performance.now() - begun); // the first ones warm up
  }
  return times.sort((one, other) => one - other);
}
