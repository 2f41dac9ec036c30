// The network, folded by module: boxes to open, coloured by what a person chooses. Its figures are those of the JSON
// inside the page; what a module has is the sum of its operations.
"use strict";
(() => {
  const read = (name) => {
    const found = document.getElementById(name);
    return found === null ? null : JSON.parse(found.textContent);
  };
  const { operations } = read("graph"), { artifacts } = read("report"), profile = read("profile");
  const root = document.querySelector("[data-network]");
  const part = (name) => root.querySelector(`.network-${name}`);
  const by = root.querySelector("#network-by"), of = root.querySelector("#network-of"), as = root.querySelector("#network-as");
  const made = (name, given = {}, ...inside) => {
    const one = Object.assign(document.createElement(name), given);
    one.append(...inside);
    return one;
  };

  // The tree of modules; an operation is a leaf below the module that it is in.
  const tree = { path: "", name: "model", parts: new Map(), numbers: [] };
  const leaves = operations.map((one, number) => {
    let at = tree;
    at.numbers.push(number);
    for (const name of one.path === "" ? [] : one.path.split(".")) {
      if (!at.parts.has(name)) at.parts.set(name, { path: at.path ? `${at.path}.${name}` : name, name, parts: new Map(), numbers: [], above: at });
      at = at.parts.get(name);
      at.numbers.push(number);
    }
    const leaf = { path: one.path, name: one.operation, parts: new Map(), numbers: [number], above: at, leaf: true };
    at.parts.set(`#${number}`, leaf);
    return leaf;
  });
  const single = (one) => one.numbers.length === 1; // a module around one operation is that operation
  const inside = (one) => [...one.parts.values()];
  const opened = (one) => { // past modules that hold nothing but one other
    while (inside(one).length === 1 && !single(inside(one)[0])) one = inside(one)[0];
    return one;
  };

  // What is known of an operation.
  const lost = new Map((profile?.sensitivities?.ranking ?? []).map((one) => [one.layer.path, one.only_sqnr_db === null ? 0 : 10 ** (-one.only_sqnr_db / 10)]));
  const layerOf = ({ operation, path }) => [path, path ? `${path}.${operation}` : operation].find((name) => lost.has(name));
  const claimed = new Map(); // several operations of one layer: the first stands for it
  operations.forEach((one, number) => {
    const layer = layerOf(one);
    if (layer !== undefined && !claimed.has(layer)) claimed.set(layer, number);
  });
  const stays = artifacts.map((artifact) => {
    const left = new Map();
    for (const one of artifact.left_out) {
      const key = `${one.operation}\n${one.path}`;
      left.set(key, [...(left.get(key) ?? []), one]);
    }
    return operations.map((one) => (left.get(`${one.operation}\n${one.path}`) ?? []).shift());
  });
  const measured = artifacts.map((artifact) => {
    const cost = profile?.costs.find((one) => one.artifact === artifact.file && one.precision === "quantized");
    const times = new Map();
    for (const one of cost?.operators ?? []) if (one.layer !== null) times.set(one.layer, (times.get(one.layer) ?? 0) + one.mean_ms);
    const found = operations.map((one) => {
      const name = [one.path, one.path ? `${one.path}.${one.operation}` : one.operation].find((each) => times.has(each));
      const time = times.get(name) ?? 0;
      times.delete(name);
      return time;
    });
    return found.some((time) => time > 0) ? found : null;
  });

  const sum = (numbers, value) => numbers.reduce((total, number) => total + value(number), 0);
  const kilo = (bytes) => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toLocaleString("en", { maximumFractionDigits: 1 })} kB`);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const count = (many, all, word) => `${many} of ${all} ${word}`;
  const file = () => Number(of.value || 0);
  const ways = {
    bytes: { title: "bytes", value: (numbers) => sum(numbers, (one) => operations[one].int8_bytes), told: kilo, scale: "bytes of the weights in int8" },
    estimated: { title: "time, estimated", value: (numbers) => sum(numbers, (one) => operations[one].time_share), told: percent, scale: "share of the time, estimated by multiply-adds and bytes moved" },
    time: { title: "time, measured", value: (numbers) => sum(numbers, (one) => measured[file()]?.[one] ?? 0), told: (ms) => `${ms.toFixed(3)} ms`, scale: "milliseconds on the machine that profiled" },
    lost: {
      title: "dB lost", value: (numbers) => sum(numbers, (one) => (claimed.get(layerOf(operations[one])) === one ? lost.get(layerOf(operations[one])) : 0)),
      told: (energy) => (energy > 0 ? `${(-10 * Math.log10(energy)).toFixed(1)} dB alone` : "no loss seen"), scale: "SQNR with this alone in int8, of a module with the errors of its layers together; lower costs more",
    },
    delegate: { title: "delegate", value: (numbers) => sum(numbers, (one) => (stays[file()][one]?.outside ? 1 : 0)) / numbers.length, told: (share, numbers) => count(Math.round(share * numbers.length), numbers.length, "outside"), scale: "operations outside of the delegate" },
    precision: { title: "precision", value: (numbers) => sum(numbers, (one) => (stays[file()][one]?.in_float ? 1 : 0)) / numbers.length, told: (share, numbers) => count(Math.round(share * numbers.length), numbers.length, "in float"), scale: "operations that compute in float" },
  };
  const offered = Object.keys(ways).filter((name) => (name === "lost" ? lost.size > 0 : name === "time" ? measured.some(Boolean) : true));
  by.append(...offered.map((name) => made("option", { value: name, textContent: ways[name].title })));
  by.value = offered.includes("lost") ? "lost" : "bytes";

  const SVG = "http://www.w3.org/2000/svg";
  const WIDE = 176, HIGH = 46, APART = 22, DOWN = 30;
  let view = opened(tree);

  // Each box a row below all that it reads; what reads from further down, as loops of folded modules do, changes nothing.
  const arrange = (boxes) => {
    const owner = new Map();
    boxes.forEach((box, at) => box.numbers.forEach((number) => owner.set(number, at)));
    const edges = new Set();
    boxes.forEach((box, at) => box.numbers.forEach((number) => operations[number].inputs.forEach((from) => {
      const other = owner.get(from);
      if (other !== undefined && other !== at) edges.add(`${other} ${at}`);
    })));
    const pairs = [...edges].map((edge) => edge.split(" ").map(Number));
    const rows = boxes.map(() => 0);
    boxes.forEach((_, at) => pairs.forEach(([from, to]) => {
      if (to === at && from < to) rows[to] = Math.max(rows[to], rows[from] + 1);
    }));
    const fed = boxes.map((box) => box.numbers.some((number) => operations[number].inputs.some((from) => !owner.has(from))));
    return { pairs, rows, fed };
  };

  // Squarified: a row is filled as long as its boxes become more like squares. Sizes come largest first.
  const packed = (sizes, place) => {
    const spots = [];
    let { x, y, wide, high } = place, rest = sizes.reduce((total, size) => total + size, 0);
    while (spots.length < sizes.length) {
      const side = Math.min(wide, high), scale = (wide * high) / rest;
      let row = [], total = 0, worst = Infinity;
      for (const size of sizes.slice(spots.length)) {
        const next = [...row, size], area = (total + size) * scale;
        const longest = Math.max(...next.map((one) => Math.max((side * side * one * scale) / area ** 2, area ** 2 / (side * side * one * scale))));
        if (longest > worst) break;
        row = next;
        total += size;
        worst = longest;
      }
      const thick = (total * scale) / side;
      let along = 0;
      for (const size of row) {
        const long = (size * scale) / thick;
        spots.push(wide >= high ? { x, y: y + along, wide: thick, high: long } : { x: x + along, y, wide: long, high: thick });
        along += long;
      }
      if (wide >= high) [x, wide] = [x + thick, wide - thick];
      else [y, high] = [y + thick, high - thick];
      rest -= total;
    }
    return spots;
  };
  const heavy = (boxes) => boxes.map((box) => ({ box, size: ways.bytes.value(box.numbers) })).filter(({ size }) => size > 0)
    .sort((one, other) => other.size - one.size);

  // What is drawn, and where: as a treemap what has weights, each box as large as its bytes.
  const mapped = (place) => {
    const found = heavy(inside(view)), wide = place.clientWidth - 2, high = Math.min(420, Math.max(220, wide * 0.6));
    const spots = packed(found.map(({ size }) => size), { x: 0, y: 0, wide, high });
    return { boxes: found.map(({ box }) => box), spots, width: wide, height: found.length ? high : 0, lines: [] };
  };
  const graphed = (place) => {
    const boxes = inside(view).sort((one, other) => one.numbers[0] - other.numbers[0]);
    const { pairs, rows, fed } = arrange(boxes);
    const counts = new Map();
    const columns = boxes.map((_, at) => {
      const column = counts.get(rows[at]) ?? 0;
      counts.set(rows[at], column + 1);
      return column;
    });
    const widest = Math.max(...counts.values());
    const width = Math.max(place.clientWidth - 2, widest * (WIDE + APART) + 60), middle = width / 2;
    const spots = boxes.map((_, at) => ({
      x: middle + (columns[at] - (counts.get(rows[at]) - 1) / 2) * (WIDE + APART) - WIDE / 2,
      y: 10 + rows[at] * (HIGH + DOWN), wide: WIDE, high: HIGH,
    }));
    const height = 20 + Math.max(...rows) * (HIGH + DOWN) + HIGH;
    const lines = document.createElementNS(SVG, "svg");
    for (const [key, value] of Object.entries({ width, height, "aria-hidden": "true" })) lines.setAttribute(key, value);
    pairs.forEach(([from, to]) => {
      const start = spots[from], end = spots[to], gap = rows[to] - rows[from];
      const x1 = start.x + WIDE / 2, y1 = start.y + HIGH, x2 = end.x + WIDE / 2, y2 = end.y;
      const line = document.createElementNS(SVG, "path");
      const bend = gap === 1 ? 0 : WIDE / 2 + 12 + Math.min(4 * Math.abs(gap), 60); // past the boxes between
      line.setAttribute("d", gap === 1 ? `M${x1},${y1}C${x1},${y1 + DOWN / 2} ${x2},${y2 - DOWN / 2} ${x2},${y2}`
        : `M${x1},${y1}C${x1 + bend},${y1 + DOWN} ${x2 + bend},${y2 - DOWN} ${x2},${y2}`);
      lines.append(line);
    });
    fed.forEach((is, at) => {
      if (!is) return;
      const line = document.createElementNS(SVG, "path"), x = spots[at].x + WIDE - 30;
      line.setAttribute("d", `M${x + 24},${Math.max(spots[at].y - 24, 0)}L${x},${spots[at].y}`);
      line.setAttribute("class", "outside");
      lines.append(line);
    });
    return { boxes, spots, width, height, lines: [lines] };
  };

  const draw = (focus) => {
    const way = ways[by.value], place = part("view"), asMap = as.value === "map";
    const { boxes, spots, width, height, lines } = (asMap ? mapped : graphed)(place);
    const values = boxes.map((box) => way.value(box.numbers)), most = Math.max(...values, 0);
    const buttons = boxes.map((box, at) => {
      const told = way.told(values[at], box.numbers);
      const opens = !single(box);
      const kind = opens ? `${box.numbers.length} operations` : operations[box.numbers[0]].operation;
      const name = made("span", { className: "network-name", textContent: opens ? `${box.name} ▸ ${box.numbers.length}` : box.name });
      const button = made("button", { type: "button", className: opens ? "opens" : "", title: box.path || box.name }, name,
        made("span", { className: "network-kind", textContent: box.leaf || opens ? told : `${kind}, ${told}` }));
      button.setAttribute("aria-label", `${box.path || "model"}${box.leaf ? ` ${box.name}` : ""}: ${kind}, ${told}${opens ? "; opens" : ""}`);
      button.style.cssText = `left:${spots[at].x}px;top:${spots[at].y}px;width:${spots[at].wide}px;height:${spots[at].high}px;--share:${most > 0 ? ((42 * values[at]) / most).toFixed(1) : 0}%`;
      button.tabIndex = at ? -1 : 0;
      button.addEventListener("click", () => (opens ? enter(box) : choose(box, button)));
      button.addEventListener("keydown", (event) => step(event, buttons, at, spots));
      button.addEventListener("focus", () => buttons.forEach((other) => (other.tabIndex = other === button ? 0 : -1)));
      return button;
    });
    const board = made("div", { className: asMap ? "network-board map" : "network-board" }, ...lines, ...buttons);
    board.style.cssText = `width:${width}px;height:${height}px`;
    place.replaceChildren(board);
    place.scrollLeft = (width - place.clientWidth) / 2;
    const whole = [view];
    while (whole[0].above) whole.unshift(whole[0].above);
    part("path").replaceChildren(...whole.flatMap((one, at) => {
      const crumb = made("button", { type: "button", textContent: one.name });
      if (one === view) crumb.setAttribute("aria-current", "true");
      crumb.addEventListener("click", () => { view = one; draw(true); });
      return at ? [" / ", crumb] : [crumb];
    }));
    part("scale").textContent = most > 0 || by.value === "lost" ? `${way.scale}; in all of ${view.path || "the model"} ${way.told(way.value(view.numbers), view.numbers)}` : `${way.scale}: none here`;
    if (asMap) part("scale").textContent += `. As large as its bytes in int8, ${kilo(ways.bytes.value(view.numbers))} in all; what has no weights is left out.`;
    tell(view);
    if (focus) buttons[0]?.focus();
  };

  const enter = (box) => {
    view = opened(box);
    draw(true);
  };
  const leave = () => {
    let above = view.above;
    while (above?.above && inside(above).length === 1) above = above.above;
    if (above) {
      view = above;
      draw(true);
    }
  };
  const step = (event, buttons, at, spots) => {
    if (event.key === "Escape" || event.key === "Backspace") {
      event.preventDefault();
      leave();
      return;
    }
    const ahead = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] }[event.key];
    if (ahead === undefined) return;
    event.preventDefault();
    const from = spots[at];
    const far = ({ x, y }) => Math.abs(x - from.x) + 3 * Math.abs(y - from.y);
    const there = spots.map((spot, number) => ({ spot, number }))
      .filter(({ spot }) => (ahead[0] ? (as.value === "map" || spot.y === from.y) && (spot.x - from.x) * ahead[0] > 0 : (spot.y - from.y) * ahead[1] > 0))
      .sort((one, other) => far(one.spot) - far(other.spot));
    if (there.length) buttons[there[0].number].focus();
  };

  const choose = (box, button) => {
    part("view").querySelectorAll("[aria-pressed]").forEach((other) => other.removeAttribute("aria-pressed"));
    button.setAttribute("aria-pressed", "true");
    tell(box);
  };
  const tell = (box) => {
    const facts = made("dl");
    for (const name of offered) facts.append(made("div", {}, made("dt", { textContent: ways[name].title }), made("dd", { textContent: ways[name].told(ways[name].value(box.numbers), box.numbers) })));
    const reasons = new Set(box.numbers.map((number) => stays[file()][number]).filter(Boolean)
      .map((one) => `${one.operation} ${[one.outside && "outside of the delegate", one.in_float && "in float"].filter(Boolean).join(", ")}: ${one.reason}`));
    const list = made("ul", {}, ...[...reasons].slice(0, 12).map((text) => made("li", { textContent: text })));
    const title = made("h3", {}, made("code", { textContent: box.path || box.name }));
    const shown = [title, facts, ...(reasons.size ? [made("p", { textContent: "Why not all of it is int8 in the delegate:" }), list] : [])];
    const layer = single(box) ? layerOf(operations[box.numbers[0]]) : undefined;
    const row = [...document.querySelectorAll("#layer-table tbody button")].find((one) => one.textContent === layer);
    if (row !== undefined) {
      const more = made("button", { type: "button", textContent: "Its ranges and histograms" });
      more.addEventListener("click", () => {
        row.click();
        document.getElementById("layers").scrollIntoView();
        row.focus({ preventScroll: true });
      });
      shown.push(more);
    }
    part("told").replaceChildren(...shown);
  };

  as.addEventListener("change", () => draw(false));
  by.addEventListener("change", () => draw(false));
  of.addEventListener("change", () => draw(false));
  let drawnAt = 0;
  new ResizeObserver(() => {
    const width = part("view").clientWidth;
    if (width !== drawnAt) draw(false);
    drawnAt = width;
  }).observe(part("view"));
})();
