// A picture that a person draws or drops, and what the model says of it. Nothing leaves the browser.
import { prepared } from "./preprocess.js";
import { open } from "./runtime.js";

const $ = (id) => document.getElementById(id);
let bundle;

async function classify(picture) {
  const { manifest } = bundle;
  const { ort, session } = await open($("provider").value, bundle);
  const { type, dims, data } = prepared(picture, manifest.preprocessing);
  const answers = await session.run({ [manifest.inputs[0].name]: new ort.Tensor(type, data, dims) });
  const logits = [...answers[manifest.outputs.find((one) => one.meaning === "logits").name].data].map(Number);
  const top = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - top));
  const sum = powers.reduce((one, other) => one + other, 0);
  const order = powers
    .map((value, at) => [value / sum, at])
    .sort(([a, i], [b, j]) => b - a || i - j)
    .slice(0, 5);
  $("classes").replaceChildren(
    ...order.map(([share, at]) => {
      const item = document.createElement("li");
      item.textContent = `${manifest.labels[at] ?? at}: ${(100 * share).toFixed(1)} %`;
      return item;
    }),
  );
}

async function guarded(work) {
  $("refused").textContent = "";
  try {
    await work();
  } catch (error) {
    $("classes").replaceChildren();
    $("refused").textContent = error.message;
  }
}

const canvas = $("canvas");
const brush = canvas.getContext("2d", { willReadFrequently: true });
const pixels = (context, { width, height }) => ({
  width,
  height,
  channels: 4,
  bytes: context.getImageData(0, 0, width, height).data,
});
const drawn = () => guarded(() => classify(pixels(brush, canvas)));
let pen = null;

function clear() {
  brush.fillRect(0, 0, canvas.width, canvas.height);
  $("classes").replaceChildren();
  $("refused").textContent = "";
  pen = null;
}

function line(to) {
  brush.beginPath();
  brush.moveTo(...(pen ?? to));
  brush.lineTo(...to);
  brush.stroke();
  pen = to;
}

function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * canvas.width) / box.width,
    ((event.clientY - box.top) * canvas.height) / box.height,
  ];
}

// What a canvas gives back of half-transparent pixels is not what the file has, and of 16 bits browsers make 8 as they like.
async function dropped(file) {
  const head = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  if (head[0] === 0x89 && head[24] === 16)
    throw new Error("Pictures of 16 bits are not taken here: save it with 8 bits.");
  if (!["image/png", "image/jpeg", "image/webp", "image/bmp"].includes(file.type))
    throw new Error(`${file.name} is no PNG, JPEG, WebP or BMP.`);
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${file.name} cannot be read as a picture.`);
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const found = pixels(context, bitmap);
  for (let i = 3; i < found.bytes.length; i += 4)
    if (found.bytes[i] !== 255)
      throw new Error("Transparent pictures are not taken here: lay it over a background first.");
  clear();
  const scale = Math.min(canvas.width / bitmap.width, canvas.height / bitmap.height);
  brush.drawImage(bitmap, 0, 0, bitmap.width * scale, bitmap.height * scale);
  await classify(found);
}

/** Let a person draw and drop, where the model takes one picture and gives classes. */
export function takePictures(given) {
  bundle = given;
  Object.assign(brush, { fillStyle: "#000", strokeStyle: "#fff", lineWidth: 24, lineCap: "round", lineJoin: "round" });
  clear();
  $("try").hidden = false;
  $("clear").addEventListener("click", clear);
  $("file").addEventListener("change", () => $("file").files.length && guarded(() => dropped($("file").files[0])));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen = null;
    line(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && line(placeOf(event)));
  canvas.addEventListener("pointerup", drawn);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-14, 0], ArrowRight: [14, 0], ArrowUp: [0, -14], ArrowDown: [0, 14] }[event.key];
    if (event.key === "Escape") clear();
    if (step === undefined) return;
    event.preventDefault();
    pen ??= [canvas.width / 2, canvas.height / 2];
    const to = [
      Math.min(Math.max(pen[0] + step[0], 0), canvas.width),
      Math.min(Math.max(pen[1] + step[1], 0), canvas.height),
    ];
    if (event.shiftKey) pen = to;
    else line(to);
  });
  canvas.addEventListener("keyup", (event) => event.key.startsWith("Arrow") && !event.shiftKey && drawn());
  for (const [name, over] of [
    ["dragover", true],
    ["dragleave", false],
    ["drop", false],
  ])
    canvas.addEventListener(name, (event) => {
      event.preventDefault();
      canvas.classList.toggle("over", over);
      if (name === "drop" && event.dataTransfer.files.length) guarded(() => dropped(event.dataTransfer.files[0]));
    });
}
