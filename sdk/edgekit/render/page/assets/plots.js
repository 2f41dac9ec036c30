// The plots, drawn from the JSON inside the page by Observable Plot. Positions and lengths are its figures as they are.
"use strict";
(() => {
  const profile = JSON.parse(document.getElementById("profile").textContent);
  const at = (pointer) =>
    pointer.split("/").slice(2).reduce((value, part) => value[part.replaceAll("~1", "/").replaceAll("~0", "~")], profile);
  const one = "var(--accent)", two = "var(--two)", ink = "var(--ink)", quiet = "var(--quiet)", bad = "var(--bad)";
  const NARROW = 480;
  const left = (names, width) => Math.min(Math.max(40, 6.6 * Math.max(...names.map((name) => name.length)) + 12), width * 0.42);
  const short = (width) => (name) => {
    const room = Math.floor((width * 0.42 - 12) / 6.4);
    return name.length > room ? `…${name.slice(name.length - room + 1)}` : name;
  };
  const bins = ({ lo, hi, counts }) => {
    const step = (hi - lo) / counts.length;
    return counts.map((count, index) => ({ x1: lo + index * step, x2: lo + (index + 1) * step, count }));
  };

  const sensitivity = (width) => {
    const { ranking, all_int8_sqnr_db: all } = profile.sensitivities;
    const names = ranking.map((item) => item.layer.path);
    const known = ranking.flatMap((item) => [item.only_sqnr_db, item.all_but_sqnr_db]).filter((value) => value !== null);
    const end = Math.max(...known, all ?? 0);
    const end_of = (value) => value ?? end; // identical: at the end
    return Plot.plot({
      ariaLabel: "Drift by layer; the table below holds the figures",
      width, marginLeft: left(names, width), height: 17 * names.length + 50, marginTop: 38,
      x: { label: "SQNR dB →", axis: "top", labelOffset: 34, grid: true, nice: true }, y: { domain: names, label: null, tickFormat: short(width), tickSize: 0 },
      marks: [
        all === null ? null : Plot.ruleX([all], { stroke: ink, strokeOpacity: 0.6 }),
        Plot.ruleY(ranking, { y: (d) => d.layer.path, x1: (d) => end_of(d.only_sqnr_db), x2: (d) => end_of(d.all_but_sqnr_db), stroke: "var(--line)" }),
        Plot.dot(ranking, { y: (d) => d.layer.path, x: (d) => end_of(d.all_but_sqnr_db), fill: two, r: 3.5 }),
        Plot.dot(ranking, { y: (d) => d.layer.path, x: (d) => end_of(d.only_sqnr_db), fill: one, r: 4 }),
      ],
    });
  };

  const sizes = (width) => {
    const layers = [...profile.layers].sort((a, b) => b.float_bytes - a.float_bytes).filter((layer) => layer.float_bytes > 0);
    const names = layers.map((layer) => layer.path);
    return Plot.plot({
      ariaLabel: "Size by layer; the table above holds the figures",
      width, marginLeft: left(names, width), height: 17 * names.length + 50, marginTop: 38,
      x: { label: "kB →", axis: "top", labelOffset: 34, grid: true, transform: (bytes) => bytes / 1000 }, y: { domain: names, label: null, tickFormat: short(width), tickSize: 0 },
      marks: [
        Plot.barX(layers, { y: "path", x: "float_bytes", fill: two, fillOpacity: 0.45, insetTop: 1, insetBottom: 1 }),
        Plot.barX(layers, { y: "path", x: "int8_bytes", fill: one, insetTop: 1, insetBottom: 1 }),
        Plot.ruleX([0], { stroke: quiet }),
      ],
    });
  };

  // How counts are drawn, and whether weights are by channel: what a person chooses for all layers.
  const SCALES = { sqrt: "square root", linear: "linear", log: "logarithm" };
  const shown = { scale: "sqrt", channels: false };
  const range = (width, pointer) => {
    const value = at(pointer);
    if (shown.channels && value.channels?.length) return channels(width, value);
    const logarithmic = shown.scale === "log", floor = logarithmic ? 0.5 : 0; // of one value there is a bar, too
    const most = Math.max(...value.histogram.counts, 1);
    const ticks = logarithmic ? Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, power) => 10 ** power) : 3;
    return Plot.plot({
      ariaLabel: `Histogram of ${value.name} with its range`,
      width, height: 138, marginLeft: 44, marginBottom: 28, marginTop: 22,
      x: { label: null, ticks: width < NARROW ? 4 : 6 }, y: { type: shown.scale, domain: [floor, most], label: `count (${SCALES[shown.scale]})`, ticks, tickFormat: "~s" },
      marks: [
        Plot.rectY([value], { x1: "range_lo", x2: "range_hi", y1: floor, y2: most, fill: one, fillOpacity: 0.12 }),
        Plot.rectY(bins(value.histogram).filter(({ count }) => count > 0), {
          x1: "x1", x2: "x2", y1: floor, y2: "count", inset: 0,
          fill: (d) => (d.x2 < value.range_lo || d.x1 > value.range_hi ? bad : one),
        }),
        Plot.ruleX([value.range_lo, value.range_hi], { stroke: ink, strokeOpacity: 0.7 }),
        Plot.ruleY([floor], { stroke: quiet }),
      ],
    });
  };
  const channels = (width, value) => {
    const most = value.range_hi / value.scale; // steps of a range
    const rows = value.channels.map((item, index) => ({ ...item, x1: index - 0.42, x2: index + 0.42, reach: most * item.scale }));
    const apart = Math.ceil((24 * rows.length) / width); // room for the numbers
    return Plot.plot({
      ariaLabel: `Weights of ${value.name} by channel, each with its range`,
      width, height: 168, marginLeft: 44, marginBottom: 42, marginTop: 22,
      x: {
        label: "channel, from the narrowest to the widest", labelArrow: "none", domain: [-0.6, rows.length - 0.4], tickSize: 0,
        ticks: rows.map((_, index) => index).filter((index) => index % apart === 0), tickFormat: (index) => String(rows[index].channel),
      },
      y: { label: "weight", grid: true, ticks: 4 },
      marks: [
        Plot.rectY(rows, { x1: "x1", x2: "x2", y1: (d) => -d.reach, y2: "reach", fill: one, fillOpacity: 0.14, inset: 0 }),
        Plot.rectY(rows, { x1: "x1", x2: "x2", y1: "lo", y2: "hi", fill: (d) => (Math.max(d.hi, -d.lo) > d.reach + d.scale / 2 ? bad : one), inset: 1 }),
        Plot.ruleY([0], { stroke: quiet }),
      ],
    });
  };

  const latency = (width) => {
    const costs = [...profile.costs].sort((a, b) => a.format.localeCompare(b.format)); // int8 beside its float
    const names = costs.map((cost) => (cost.precision === "float32" ? cost.artifact : `${cost.artifact} ${cost.precision}`));
    const drawn = costs.flatMap((cost, index) => bins(cost.latency.histogram).map((bin) => ({ ...bin, of: names[index], precision: cost.precision })));
    const ticks = costs.flatMap((cost, index) =>
      ["median_ms", "p90_ms", "p99_ms"].map((name) => ({ x: cost.latency[name], of: names[index], name: name.replace("_ms", "") })));
    const start = 0, end = Math.max(...costs.map((cost) => cost.latency.histogram.hi));
    const beyond = names.map((of) => ({ of, text: ticks.filter((tick) => tick.of === of && tick.x > end).map((tick) => `${tick.name} →`).join(", ") }));
    return Plot.plot({
      ariaLabel: "Latency distribution; the table below holds the figures",
      width, height: 78 * costs.length + 40, marginLeft: 10, marginRight: 10,
      x: { label: "ms →", grid: true, domain: [start, end] }, y: { axis: null }, fy: { domain: names, label: null, axis: null },
      marks: [
        Plot.rectY(drawn, { x1: "x1", x2: "x2", y: "count", fy: "of", fill: (d) => (d.precision === "float32" ? two : one), inset: 0 }),
        Plot.ruleY([0], { stroke: quiet }),
        Plot.ruleX(ticks.filter((tick) => tick.x <= end), { x: "x", fy: "of", stroke: ink, strokeOpacity: 0.75, strokeDasharray: (d) => (d.name === "median" ? null : "2 2") }),
        Plot.text(names, { fy: (d) => d, text: (d) => d, frameAnchor: "top-right", dx: -4, dy: 2, fill: ink, stroke: "var(--paper)", strokeWidth: 4 }),
        Plot.text(beyond, { fy: "of", text: "text", frameAnchor: "right", dx: -4, fill: quiet }),
      ],
    });
  };

  const moved = (width, pointer) => {
    const { classes, moved: moves } = at(pointer);
    const there = new Set(moves.flatMap(([from, to]) => [from, to]));
    const names = classes.map((item) => item.name).filter((name) => there.has(name));
    const side = Math.min(width, left(names, width) + 46 * names.length + 20);
    const most = Math.max(...moves.map(([, , count]) => count));
    return Plot.plot({
      ariaLabel: "Answers that moved; the table below holds the figures",
      width: side, height: 30 * names.length + 50, marginLeft: left(names, width), marginTop: 34,
      x: { domain: names, axis: "top", label: "artifact →", tickSize: 0 }, y: { domain: names, label: "reference", tickSize: 0, tickFormat: short(width) },
      marks: [
        Plot.cell(names.flatMap((from) => names.map((to) => ({ from, to }))), { x: "to", y: "from", fill: (d) => (d.from === d.to ? "var(--line)" : "var(--raised)"), inset: 1 }),
        Plot.cell(moves, { x: "1", y: "0", fill: two, fillOpacity: (d) => 0.3 + (0.5 * d[2]) / most, inset: 1 }),
        Plot.text(moves, { x: "1", y: "0", text: (d) => String(d[2]), fill: ink, fontWeight: 600 }),
      ],
    });
  };

  const details = document.getElementById("layer-details");
  const offer = (label, choices, choose) => {
    const id = `range-by-${label.toLowerCase()}`;
    const select = Object.assign(document.createElement("select"), { id });
    select.append(...Object.entries(choices).map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent })));
    select.addEventListener("change", () => {
      choose(select.value);
      for (const place of details.querySelectorAll("[data-plot=range]")) {
        delete place.dataset.width;
        refresh(place);
      }
    });
    const span = document.createElement("span");
    span.append(Object.assign(document.createElement("label"), { htmlFor: id, textContent: label }), " ", select);
    return span;
  };
  if (details?.querySelector("[data-plot=range]")) {
    const bar = Object.assign(document.createElement("div"), { className: "network-bar" });
    bar.append(offer("Counts", SCALES, (value) => (shown.scale = value)));
    if (profile.values.some((layer) => layer.values.some((value) => value.channels?.length)))
      bar.append(offer("Weights", { all: "all together", channel: "by channel" }, (value) => (shown.channels = value === "channel")));
    details.prepend(bar);
  }

  const draw = { sensitivity, sizes, range, latency, moved };
  const refresh = (place) => {
    const width = Math.floor(place.clientWidth);
    if (width === 0 || String(width) === place.dataset.width) return; // hidden, or drawn already
    place.dataset.width = width;
    const drawn = draw[place.dataset.plot](width, place.dataset.from);
    for (const svg of [drawn, ...drawn.querySelectorAll("svg")].filter((one) => one.tagName === "svg")) svg.setAttribute("role", "img");
    drawn.querySelectorAll("g[aria-label]").forEach((group) => group.removeAttribute("aria-label")); // the names of marks
    place.replaceChildren(drawn);
  };
  const places = [...document.querySelectorAll("[data-plot]")];
  // One plot at a time, so that a page of hundreds of layers scrolls while it is drawn; paper waits for none.
  const waiting = new Set();
  const next = () => {
    const [place] = waiting;
    if (place === undefined) return;
    waiting.delete(place);
    refresh(place);
    setTimeout(next);
  };
  const watch = new ResizeObserver((entries) => {
    const idle = waiting.size === 0;
    entries.forEach((entry) => waiting.add(entry.target));
    if (idle) setTimeout(next);
  });
  addEventListener("beforeprint", () => waiting.forEach(refresh));
  places.forEach((place) => watch.observe(place));
  window.addEventListener("edgekit-shown", (event) => event.detail.querySelectorAll("[data-plot]").forEach(refresh));

  for (const image of document.querySelectorAll("[data-picture]")) image.src = `data:image/png;base64,${at(image.dataset.picture)}`;
})();
