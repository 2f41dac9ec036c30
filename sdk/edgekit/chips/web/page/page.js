// Ties the page to the bundle that it lies in: reads it, runs its self-test, and takes a picture.
import { takePictures } from "./picture.js";
import { bundle } from "./runtime.js";
import { selfTest } from "./selftest.js";

const $ = (id) => document.getElementById(id);
let opened;

const decibel = (value) => (value === Infinity ? "equal" : Number.isFinite(value) ? value.toFixed(1) : "none");

function show({ results, ran, times, good }) {
  $("drift").hidden = false;
  $("drift").tBodies[0].replaceChildren(
    ...results.map(({ entry, db, worst, good: kept }) => {
      const row = document.createElement("tr");
      const against = entry.artifact === null ? "float reference" : "host";
      const result = kept ? "passed" : "failed";
      const figures = [decibel(db), worst.toPrecision(3), entry.max_abs_error.toPrecision(3)];
      for (const text of [entry.name, against, result, ...figures]) row.insertCell().textContent = text;
      row.cells[2].className = result;
      return row;
    }),
  );
  const at = (share) => times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)].toFixed(2);
  $("time").textContent =
    `Median ${at(0.5)} ms, 95th percentile ${at(0.95)} ms of ${times.length} runs, in this browser: ${navigator.userAgent}`;
  $("ran").textContent = ran;
  verdict(
    good,
    good
      ? `Passed on ${opened.manifest.golden.length} golden inputs.`
      : "Failed: an output is further off than allowed.",
  );
}

function verdict(good, text) {
  $("verdict").className = good ? "passed" : "failed";
  $("verdict").textContent = text;
}

$("test").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("start").disabled = true;
  $("drift").hidden = true;
  for (const id of ["time", "ran"]) $(id).textContent = "";
  $("verdict").className = "";
  $("verdict").textContent = "Running…";
  try {
    show(await selfTest($("provider").value, opened, Math.min(1000, Math.max(1, Number($("runs").value) || 1))));
  } catch (error) {
    verdict(false, `Failed: ${error.message}`);
  } finally {
    $("start").disabled = false;
  }
});

try {
  opened = await bundle();
  const { manifest, artifact } = opened;
  document.title = $("title").textContent = `${manifest.model.name} in this browser`;
  $("lead").textContent =
    `${artifact.file}, ${artifact.quantization}, ${(artifact.bytes / 1000).toFixed(1)} kB, built for ${manifest.target.name}. Nothing leaves this browser.`;
  $("start").disabled = false;
  if (
    manifest.preprocessing &&
    manifest.inputs.length === 1 &&
    manifest.outputs.some((one) => one.meaning === "logits")
  )
    takePictures(opened);
} catch (error) {
  $("lead").textContent = "";
  verdict(false, `The bundle cannot be read: ${error.message}.`);
}
