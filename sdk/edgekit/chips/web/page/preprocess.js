// From a picture to an input tensor, to the bit as the SDK does it: edgekit/data/preprocess.py, place.py and resample.py
// say what each step computes. A picture is { width, height, channels, bytes }; what EXIF says is done by the browser.
const PRECISION = 22;
const ONE = 2 ** PRECISION;

function even(x) {
  const below = Math.floor(x);
  const rest = x - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

function placed(width, height, resize) {
  const all = { left: 0, top: 0, width, height, toWidth: resize.width, toHeight: resize.height, x: 0, y: 0 };
  if (resize.mode === "stretch") return all;
  if (resize.mode === "cover") {
    const [w, h] = [resize.width, resize.height];
    if (width * h > height * w) {
      const kept = Math.max(1, Math.floor((2 * height * w + h) / (2 * h)));
      return { ...all, left: Math.floor((width - kept) / 2), width: kept };
    }
    const kept = Math.max(1, Math.floor((2 * width * h + w) / (2 * w)));
    return { ...all, top: Math.floor((height - kept) / 2), height: kept };
  }
  const ratio = Math.min(resize.height / height, resize.width / width);
  const least = Math.min(width, height);
  const scaled = (side) =>
    resize.mode === "shorter" ? Math.floor((resize.shorter * side) / least) : Math.max(1, even(side * ratio));
  const [toWidth, toHeight] = [scaled(width), scaled(height)];
  const start = (free) => (free >= 0 ? Math.floor(free / 2) : -even(-free / 2));
  return { ...all, toWidth, toHeight, x: start(resize.width - toWidth), y: start(resize.height - toHeight) };
}

function weight(filter, offset, a) {
  const x = Math.abs(offset);
  if (filter === "bilinear") return Math.max(1 - x, 0);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const fixed = (value) => Math.trunc(value < 0 ? value * ONE - 0.5 : value * ONE + 0.5);
const clamped = (value, low, high) => Math.min(Math.max(value, low), high);

// For each pixel of a resized side, the pixels that it is made of and their weights; no weights: the first one itself.
function taps(size, wanted, { filter, antialias }) {
  const scale = size / wanted;
  const found = [];
  let place = scale / 2; // added up from pixel to pixel: a product would round elsewhere
  for (let i = 0; i < wanted; i++) {
    if (size === wanted) found.push([i, []]);
    else if (filter === "nearest") found.push([Math.trunc(place), []]);
    else if (antialias) found.push(wide(i, scale, size, filter));
    else found.push(plain(i, scale, size, filter));
    place += scale;
  }
  return found;
}

function wide(i, scale, size, filter) {
  const stretch = Math.max(scale, 1);
  const reach = stretch * (filter === "bilinear" ? 1 : 2);
  const centre = (i + 0.5) * scale;
  const first = Math.trunc(Math.max(centre - reach + 0.5, 0));
  const end = Math.trunc(Math.min(centre + reach + 0.5, size));
  const weights = [];
  for (let j = first; j < end; j++) weights.push(weight(filter, (j - centre + 0.5) * (1 / stretch), -0.5));
  const sum = weights.reduce((one, other) => one + other, 0);
  return [first, weights.map((value) => fixed(sum === 0 ? value : value / sum))];
}

function plain(i, scale, size, filter) {
  const centre = (i + 0.5) * scale - 0.5;
  const base = Math.floor(centre);
  const around = filter === "bilinear" ? [0, 1] : [-1, 0, 1, 2];
  const inside = (k) => clamped(base + k, 0, size - 1);
  const first = inside(around[0]);
  const weights = Array(inside(around.at(-1)) - first + 1).fill(0);
  for (const k of around) weights[inside(k) - first] += fixed(weight(filter, k - (centre - base), -0.75));
  return [first, weights];
}

function picture(width, height, channels, pixel) {
  const bytes = new Uint8Array(width * height * channels);
  let at = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) bytes[at++] = pixel(x, y, c);
  return { width, height, channels, bytes };
}

function made([first, weights], pixel) {
  if (weights.length === 0) return pixel(first);
  let sum = ONE / 2;
  for (let i = 0; i < weights.length; i++) sum += weights[i] * pixel(first + i);
  return clamped(sum >> PRECISION, 0, 255);
}

const reader = (p) => (x, y, c) => p.bytes[(y * p.width + x) * p.channels + c];

function colored(p, spec) {
  const at = reader(p);
  const over = (x, y, c) => {
    const value = at(x, y, p.channels === 1 ? 0 : c);
    if (p.channels < 4) return value;
    const t = (value * at(x, y, 3) + spec.background * (255 - at(x, y, 3)) + 128) << 7;
    return (((t >> 8) + t) >> 8) >> 7;
  };
  if (spec.color !== "grey") return picture(p.width, p.height, 3, over);
  const grey = (x, y) => (19595 * over(x, y, 0) + 38470 * over(x, y, 1) + 7471 * over(x, y, 2) + 32768) >> 16;
  return picture(p.width, p.height, 1, grey);
}

/** Return { type, dims, data } of the input that a picture becomes, by the steps in a manifest. */
export function prepared(given, spec) {
  const { resize } = spec;
  const place = placed(given.width, given.height, resize);
  const from = reader(given);
  const cut = picture(place.width, place.height, given.channels, (x, y, c) => from(place.left + x, place.top + y, c));
  const full = colored(cut, spec);
  const [columns, rows] = [taps(full.width, place.toWidth, resize), taps(full.height, place.toHeight, resize)];
  const flat = reader(full);
  const across = picture(columns.length, full.height, full.channels, (x, y, c) =>
    made(columns[x], (i) => flat(i, y, c)),
  );
  const tall = reader(across);
  const part = picture(columns.length, rows.length, full.channels, (x, y, c) => made(rows[y], (i) => tall(x, i, c)));
  const small = reader(part);
  const laid = picture(resize.width, resize.height, full.channels, (x, y, c) => {
    const [left, top] = [x - place.x, y - place.y];
    return left >= 0 && left < part.width && top >= 0 && top < part.height ? small(left, top, c) : resize.pad;
  });
  return normalized(laid, spec);
}

// Times scale, minus mean, divided by std, each rounded to float32; or left to the model.
function normalized(p, spec) {
  const { width, height, channels } = p;
  const first = spec.layout === "NCHW";
  const data = new (spec.in_graph ? Uint8Array : Float32Array)(p.bytes.length);
  const scale = Math.fround(spec.scale);
  const of = (values, c) => Math.fround(values[values.length === 1 ? 0 : c]);
  const at = reader(p);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const pixel = at(x, y, spec.color === "bgr" ? 2 - c : c);
        const scaled = Math.fround(Math.fround(pixel * scale) - of(spec.mean, c));
        data[first ? (c * height + y) * width + x : (y * width + x) * channels + c] = spec.in_graph
          ? pixel
          : Math.fround(scaled / of(spec.std, c));
      }
  const dims = first ? [1, channels, height, width] : [1, height, width, channels];
  return { type: spec.in_graph ? "uint8" : "float32", dims, data };
}
