"use strict";

// Tables: a click on a heading sorts; rows without a value stay last, reference rows stay below their rule.

const words = new Intl.Collator(undefined, { numeric: true });

function sortRows(body, column, number, sign) {
  const value = (row) => row.cells[column].dataset.value;
  const rows = [...body.rows].filter((row) => !row.classList.contains("rule"));
  const compare = number ? (a, b) => Number(a) - Number(b) : words.compare;
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return x === "" || y === "" ? (x === "") - (y === "") : sign * compare(x, y);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const turned = { ascending: "descending", descending: "ascending", none: head.dataset.first };
      const order = turned[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
      const sign = order === "ascending" ? 1 : -1;
      for (const body of table.tBodies) sortRows(body, column, head.dataset.kind === "number", sign);
    });
  });
}

// Clips: those in view play, the others give their decoders back.

const play = document.getElementById("play");
if (play) {
  const videos = [...document.querySelectorAll("video")];
  const sources = new Map(videos.map((video) => [video, video.src]));
  const seen = new Set();
  let running = !matchMedia("(prefers-reduced-motion: reduce)").matches;

  const show = (video) => {
    if (!video.src) video.src = sources.get(video);
    if (running) video.play().catch(() => {}); // refused by the browser's settings: the first frame stands
    else video.preload = "auto";
  };
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) {
          seen.add(target);
          show(target);
        } else if (seen.delete(target)) {
          target.removeAttribute("src");
          target.load();
        }
      }
    },
    { rootMargin: "200px" },
  );
  const label = () => {
    play.textContent = running ? "Pause all" : "Play all";
  };
  play.addEventListener("click", () => {
    running = !running;
    label();
    for (const video of seen) running ? show(video) : video.pause();
  });
  label();
  for (const video of videos) {
    video.addEventListener("loadedmetadata", () => {
      video.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
    });
    watcher.observe(video);
  }
}

// Curves: drawn to the width they have.

const HEIGHT = 200;
const EDGE = { left: 46, right: 10, top: 8, bottom: 22 };

function make(tag, attributes, parent) {
  const node = document.createElementNS(document.getElementById("namespace").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

function html(tag, text, parent) {
  const node = document.createElement(tag);
  node.textContent = text;
  parent.append(node);
  return node;
}

function written(value) {
  const size = Math.abs(value);
  if (size >= 1e4) return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
  if (size > 0 && size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const out = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) out.push(at);
  return out.map((at) => (Math.abs(at) < step * 1e-6 ? 0 : at));
}

function range(lines, axis) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    const bounds = axis === "y" && line.low ? [...line.low, ...line.high] : line[axis];
    for (const value of bounds) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const room = low === high ? Math.abs(low) * 0.1 || 1 : 0;
  return [low - room, high + room];
}

function nearest(sorted, wanted) {
  let [low, high] = [0, sorted.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - sorted[low - 1] < sorted[low] - wanted ? low - 1 : low;
}

function draw(svg, lines, mark) {
  const width = svg.clientWidth;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  if (!lines.length || !width) return null;
  let [x0, x1] = range(lines, "x");
  if (mark !== undefined) x0 = Math.min(x0, mark - (x1 - x0) * 0.02); // curves may begin behind it
  let [y0, y1] = range(lines, "y");
  const room = (y1 - y0) * 0.04;
  [y0, y1] = [y0 - room, y1 + room];
  const x = (value) => EDGE.left + ((value - x0) / (x1 - x0)) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - y0) / (y1 - y0)) * (HEIGHT - EDGE.top - EDGE.bottom);
  for (const at of ticks(y0, y1, 4)) {
    make("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(at), y2: y(at) }, svg);
    make("text", { x: EDGE.left - 6, y: y(at) + 4, "text-anchor": "end" }, svg).textContent = written(at);
  }
  for (const at of ticks(x0, x1, width / 80)) {
    if (x(at) > width - EDGE.right - 8 && x(at) < width - EDGE.right) continue; // would be cut off
    make("text", { x: x(at), y: HEIGHT - 5, "text-anchor": "middle" }, svg).textContent = written(at);
  }
  if (mark !== undefined) {
    const line = make("line", { class: "mark", x1: x(mark), x2: x(mark), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }, svg);
    make("title", {}, line).textContent = "end of the context";
  }
  const path = (line, values) => values.map((value, i) => `${x(line.x[i]).toFixed(1)},${y(value).toFixed(1)}`);
  for (const line of lines.filter((each) => each.low)) {
    const outline = [...path(line, line.high), ...path(line, line.low).reverse()];
    make("polygon", { class: `band c${line.color}`, points: outline.join(" ") }, svg);
  }
  for (const line of lines) {
    const points = path(line, line.y);
    make("polyline", { class: `curve c${line.color} d${line.dash}`, points: points.join(" ") }, svg);
    if (points.length > 12) continue;
    line.x.forEach((step, i) => make("circle", { class: `point c${line.color}`, cx: x(step), cy: y(line.y[i]), r: 2.5 }, svg));
  }
  return { x, step: (pixel) => x0 + ((pixel - EDGE.left) / (width - EDGE.left - EDGE.right)) * (x1 - x0) };
}

function chart(figure, { title, axis, lines, mark }) {
  const hidden = new Set();
  const svg = make("svg", { role: "img", tabindex: 0, "aria-label": `${title} over ${axis === "frame" ? "the frames of a clip" : "training steps"}` }, figure);
  const legend = html("div", "", figure);
  const tip = html("div", "", figure);
  legend.className = "legend";
  tip.className = "tip";
  tip.hidden = true;
  let scale = null;
  let cursor = null;
  const shown = () => lines.filter((line) => !hidden.has(line));

  const leave = () => {
    tip.hidden = true;
    cursor?.remove();
    cursor = null;
  };
  const redraw = () => {
    leave();
    scale = draw(svg, shown(), mark);
  };
  const point = (pixel) => {
    if (!scale) return;
    const wanted = scale.step(pixel);
    const steps = shown().map((line) => line.x[nearest(line.x, wanted)]);
    const step = steps.reduce((best, at) => (Math.abs(at - wanted) < Math.abs(best - wanted) ? at : best));
    leave();
    cursor = make("line", { class: "cursor", x1: scale.x(step), x2: scale.x(step), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }, svg);
    tip.replaceChildren();
    html("b", `${axis} ${step}`, tip);
    for (const line of shown()) {
      const at = nearest(line.x, step);
      const row = html("div", "", tip);
      const name = html("span", line.label, row);
      const dot = html("i", "", name);
      dot.className = `dot c${line.color}`;
      name.prepend(dot);
      html("span", written(line.y[at]) + (line.low ? ` (${written(line.low[at])} to ${written(line.high[at])})` : "") + (line.x[at] === step ? "" : ` at ${line.x[at]}`), row);
    }
    tip.hidden = false;
    const room = figure.clientWidth - tip.offsetWidth - 8;
    const beside = scale.x(step) + 28;
    tip.style.left = `${Math.max(8, beside > room ? scale.x(step) - tip.offsetWidth + 4 : beside)}px`;
    tip.style.top = `${svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + 6}px`;
  };
  svg.addEventListener("pointermove", (event) => point(event.clientX - svg.getBoundingClientRect().left));
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!turn || !scale) return;
    event.preventDefault();
    const all = [...new Set(shown().flatMap((line) => line.x))].sort((a, b) => a - b);
    const now = cursor ? nearest(all, scale.step(Number(cursor.getAttribute("x1")))) : -turn;
    point(scale.x(all[Math.min(Math.max(now + turn, 0), all.length - 1)]));
  });
  for (const line of lines) {
    const button = html("button", "", legend);
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    make("line", { class: `curve c${line.color} d${line.dash}`, x1: 0, x2: 22, y1: 4, y2: 4 }, make("svg", {}, button));
    button.append(line.label);
    button.addEventListener("click", () => {
      if (!hidden.delete(line)) hidden.add(line);
      button.setAttribute("aria-pressed", String(!hidden.has(line)));
      redraw();
    });
  }
  new ResizeObserver(redraw).observe(svg);
}

const data = document.getElementById("data");
if (data) {
  const all = JSON.parse(data.textContent);
  for (const figure of document.querySelectorAll("[data-chart]")) chart(figure, all[figure.dataset.chart]);
}
