// How good each file is against what it costs, drawn from the JSON inside the page. Places are its figures as they are.
"use strict";
(() => {
  const bundles = JSON.parse(document.getElementById("bundles").textContent);
  const best = { bytes: "best_for_size", median_ms: "best_for_latency" };
  const units = { bytes: ["size, kB", 1000], median_ms: ["median latency, ms", 1] };
  const NAMED = 24;
  const SVG = "http://www.w3.org/2000/svg";
  const add = (parent, name, given, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const nice = (from, to, count) => {
    const rough = (to - from) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
    const ticks = [];
    for (let at = Math.ceil(from / step) * step; at <= to + step / 1e6; at += step) ticks.push(Number(at.toPrecision(12)));
    return ticks;
  };

  const front = (width, { cost, metric, named }) => {
    const rows = bundles.filter((one) => one.metric === metric && one[cost] !== null);
    const scale = rows.some((one) => one.percent) ? 100 : 1, [label, unit] = units[cost];
    const left = 56, right = width - 16, top = 30, bottom = 250;
    const values = rows.map((one) => one.value * scale), costs = rows.map((one) => one[cost] / unit);
    const spread = Math.max(Math.max(...values) - Math.min(...values), scale / 100);
    const low = Math.min(...values) - 0.25 * spread, high = Math.max(...values) + 0.25 * spread, end = 1.15 * Math.max(...costs);
    const x = (value) => left + ((right - left) * value) / end, y = (value) => bottom - ((bottom - top) * (value - low)) / (high - low);
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of Object.entries({ width, height: 300, viewBox: `0 0 ${width} 300`, role: "img", class: "front" })) svg.setAttribute(key, value);
    svg.setAttribute("aria-label", `${metric} against ${label}; the table below holds the figures`);
    for (const tick of nice(0, end, width < 480 ? 4 : 6)) {
      add(svg, "line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom, class: "grid" });
      add(svg, "text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, tick.toLocaleString("en"));
    }
    for (const tick of nice(low, high, 4)) {
      add(svg, "line", { x1: left, x2: right, y1: y(tick), y2: y(tick), class: "grid" });
      add(svg, "text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, tick.toLocaleString("en"));
    }
    add(svg, "text", { x: left - 48, y: 14 }, `↑ ${metric}${scale === 100 ? ", %" : ""}`);
    add(svg, "text", { x: right, y: bottom + 40, "text-anchor": "end" }, `${label} →`);
    const steps = rows.filter((one) => one[best[cost]]).sort((one, other) => one[cost] - other[cost]);
    const path = steps.map((one, at) => `${at ? "H" : "M"}${x(one[cost] / unit)}${at ? "V" : ","}${y(one.value * scale)}`).join("");
    if (path) add(svg, "path", { d: `${path}H${right}`, class: "best" });
    const taken = [];
    rows.forEach((one) => {
      const at = { x: x(one[cost] / unit), y: y(one.value * scale) };
      const dot = add(svg, "circle", { cx: at.x, cy: at.y, r: 5, class: one.passed ? "passed" : "failed" });
      add(dot, "title", {}, `${one.model} for ${one.target}, ${one.file}`);
      if ((named || rows.length > NAMED) && !one[best[cost]]) return; // of many only the front has room for names
      const ends = at.x > (left + right) / 2;
      let height = at.y - 10; // a label goes above those that stand there already
      while (taken.some((other) => Math.abs(other.x - at.x) < 150 && Math.abs(other.height - height) < 13)) height -= 13;
      taken.push({ x: at.x, height });
      add(svg, "text", { x: at.x + (ends ? 4 : -4), y: height, "text-anchor": ends ? "end" : "start", class: "name" }, `${one.target} ${one.file.replace("model", "")}`);
    });
    return svg;
  };

  const refresh = (place) => {
    const width = Math.floor(place.clientWidth);
    if (width === 0 || String(width) === place.dataset.width) return;
    place.dataset.width = width;
    place.replaceChildren(front(width, place.dataset));
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => refresh(entry.target)));
  document.querySelectorAll("[data-plot=front]").forEach((place) => watch.observe(place));
})();
