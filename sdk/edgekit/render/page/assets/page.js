// Sorting, filtering, and choosing a layer. The figures are in the page already; nothing is computed here.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // What a cell is sorted by: its value, or its text. Empty cells come last either way.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    const data = cell.querySelector("data:not(.before data)");
    const value = data === null ? text : data.value;
    return text === "" ? null : value !== "" && !Number.isNaN(Number(value)) ? Number(value) : text;
  };

  const compare = (one, other) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return one === other ? 0 : one < other ? -1 : 1;
    return String(one).localeCompare(String(other), "en", { numeric: true });
  };

  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    rows.sort(([one], [other]) => (one === null || other === null || ascending ? compare(one, other) : compare(other, one)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  for (const table of all("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });
  }

  all("table[data-filter]").forEach((table, number) => {
    const rows = [...table.tBodies[0].rows];
    const said = element("output", { className: "quiet" });
    const input = element("input", { type: "search", id: `filter-${number}`, autocomplete: "off", spellcheck: false });
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      said.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
    };
    input.addEventListener("input", show);
    const label = element("label", { htmlFor: input.id, textContent: table.dataset.filter });
    (table.closest(".scroll") ?? table).before(element("div", { className: "filter" }, label, input, said));
  });

  // One layer's details at a time; of those beyond the first ones they are made of the JSON when they are asked for.
  const rows = all("tr[data-layer]");
  const make = (row) => {
    const profile = JSON.parse(document.getElementById("profile").textContent);
    const path = row.querySelector("button").textContent, number = row.dataset.layer;
    const at = profile.values.findIndex((one) => one.path === path);
    const short = (value) => Number(value.toPrecision(4)).toString();
    const title = element("h3", { id: `layer-${number}-title` }, element("code", { textContent: path }));
    const figures = at < 0 ? [element("p", { className: "quiet", textContent: "No range of this layer was recorded." })]
      : profile.values[at].values.map((value, index) => {
        const place = element("div", { className: "plot" });
        Object.assign(place.dataset, { plot: "range", from: `/profile/values/${at}/values/${index}` });
        const told = `range ${short(value.range_lo)} to ${short(value.range_hi)}, step ${short(value.scale)}; ${value.saturated.toLocaleString("en")} of ${value.values.toLocaleString("en")} values are clipped`;
        return element("figure", { className: "range" }, element("figcaption", {}, element("code", { textContent: value.name }), ` ${value.kind}`, element("br"), told), place);
      });
    const made = element("article", { className: "detail", id: `layer-${number}`, tabIndex: -1 }, title, ...figures);
    made.setAttribute("aria-labelledby", title.id);
    document.getElementById("layer-details").append(made);
    return made;
  };
  const choose = (number, seen) => {
    for (const row of rows) {
      const chosen = row.dataset.layer === number;
      row.classList.toggle("chosen", chosen);
      row.querySelector("button").setAttribute("aria-pressed", String(chosen));
      const shown = document.getElementById(`layer-${row.dataset.layer}`) ?? (chosen ? make(row) : null);
      if (shown !== null) shown.hidden = !chosen;
    }
    const details = document.getElementById(`layer-${number}`);
    window.dispatchEvent(new CustomEvent("edgekit-shown", { detail: details }));
    if (seen && details.getBoundingClientRect().top > window.innerHeight - 100) details.scrollIntoView({ block: "start" });
  };
  rows.forEach((row) => {
    const button = row.querySelector("button");
    button.addEventListener("click", () => choose(row.dataset.layer, true));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const shown = [...row.parentNode.rows].filter((other) => !other.hidden);
      shown[shown.indexOf(row) + step]?.querySelector("button").focus();
    });
  });
  if (rows.length) choose(rows[0].dataset.layer, false);

  for (const pre of all(".paste pre")) {
    const button = element("button", { type: "button", textContent: "Copy" });
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.textContent.trimEnd() + "\n");
      button.textContent = "Copied";
    });
    if (navigator.clipboard) pre.after(button);
  }

  // Paper shows what is folded; what was open stays open.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((one) => (one.open = false)));
})();
