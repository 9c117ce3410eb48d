"use strict";
// Draws the timeline. All times are in ticks since the first record.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const BANDS = ["D", "A", "I", "F", "MDSCR.SS", "PSTATE.SS"];
const BAND_NAMES = ["PSTATE.D", "PSTATE.A", "PSTATE.I", "PSTATE.F", "MDSCR_EL1.SS", "PSTATE.SS"];
const GUTTER = 112, AXIS = 26, LEVEL = 26, BAND = 16, GAP = 14;
// At the closest, this many ticks fill the drawing.
const CLOSEST = 8;
const LEGEND = [
  ["irq", "interrupt"], ["nmi", "NMI, SError"], ["step", "step"], ["breakpoint", "breakpoint"], ["watchpoint", "watchpoint"],
  ["brk", "BRK"], ["svc", "system call"], ["fault", "fault"], ["other", "other"],
];

const drawing = document.getElementById("drawing");
const details = document.getElementById("details");
let view = { from: 0, to: Math.max(data.end, CLOSEST) };
let chosen = null;
let width = 800;
let lanes = [];

function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function html(name, parent, text) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/** A count of ticks in words. */
function duration(ticks) {
  if (data.exact) return `${ticks.toLocaleString("en")} ${ticks === 1 ? "instruction" : "instructions"}`;
  const seconds = ticks / data.frequency;
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const [unit, name] = units.find(([unit]) => seconds >= unit) || units[3];
  return `${Number((seconds / unit).toPrecision(4))} ${name}`;
}

const x = (time) => GUTTER + (time - view.from) * (width - GUTTER) / (view.to - view.from);
const timeAt = (place) => view.from + (place - GUTTER) * (view.to - view.from) / (width - GUTTER);

/** Where each CPU's lane is, and its bands: runs of the same value. 0 is clear, 1 is set, 2 is changed somewhere in the run. */
function layOut() {
  let top = AXIS;
  lanes = [];
  for (let cpu = 0; cpu < data.cpus; cpu++) {
    const levels = data.spans.reduce((most, span) => span.cpu === cpu ? Math.max(most, span.level + 1) : most, 1);
    const stretches = data.stretches.filter((stretch) => stretch.cpu === cpu);
    const bands = BANDS.map((_, bit) => {
      const runs = [];
      for (const { begin, end, first, last } of stretches) {
        const [was, is] = [first >> bit & 1, last >> bit & 1];
        const value = was === is ? was : 2;
        const previous = runs[runs.length - 1];
        if (previous && previous.value === value && previous.end === begin && value !== 2) previous.end = end;
        else runs.push({ begin, end, value, is });
      }
      return runs;
    });
    const bandsTop = top + levels * LEVEL + 6;
    const bottom = bandsTop + (BANDS.length + 1) * BAND;
    lanes.push({ cpu, top, levels, stretches, bands, bandsTop, bottom });
    top = bottom + GAP;
  }
  return top;
}

function patterns() {
  const defs = make("defs", {}, drawing);
  const pattern = (id, size, shapes) => {
    const element = make("pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse" }, defs);
    for (const [name, attributes] of shapes) make(name, attributes, element);
  };
  pattern("masked", 6, [["rect", { width: 6, height: 6, class: "set" }], ["path", { d: "M0 6L6 0", class: "hatch" }]]);
  pattern("stepping", 6, [["rect", { width: 6, height: 6, class: "set ss" }], ["path", { d: "M3 0V6", class: "hatch" }]]);
  pattern("changing", 5, [["rect", { width: 5, height: 5, class: "changing" }], ["circle", { cx: 2.5, cy: 2.5, r: 1, class: "dots" }]]);
  const marks = {
    irq: "M0 6L6 0", nmi: "M0 0L6 6M0 6L6 0", step: "M3 0V6", breakpoint: "M0 3H6", watchpoint: "M0 6L3 0L6 6", brk: "M0 0L6 6",
    svc: "M3 2V4", fault: "M3 0V6M0 3H6", other: "",
  };
  for (const [kind, d] of Object.entries(marks)) pattern(`mark-${kind}`, 6, [["path", { d, class: "mark" }]]);
}

/** The distance of the axis's marks: 1, 2 or 5 and zeros, so that they are not too near. */
function distance() {
  const least = (view.to - view.from) * 90 / (width - GUTTER);
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least));
}

function axis(bottom) {
  const step = distance();
  const single = (width - GUTTER) / (view.to - view.from);
  // Near enough, each tick has its line.
  const lines = single >= 12 ? 1 : step;
  const group = make("g", { "aria-hidden": "true" }, drawing);
  for (let time = Math.ceil(view.from / lines) * lines + 0; time <= view.to; time += lines) {
    make("line", { x1: x(time), x2: x(time), y1: AXIS - 6, y2: bottom - GAP, class: "grid" }, group);
    if (time % step === 0 && x(time) < width - 40) make("text", { x: x(time) + 3, y: AXIS - 10, class: "axis" }, group, data.exact ? time.toLocaleString("en") : duration(time));
  }
}

function drawBands(lane, clip) {
  const group = make("g", { "clip-path": "url(#inside)", "aria-hidden": "true" }, drawing);
  lane.bands.forEach((runs, band) => {
    const top = lane.bandsTop + band * BAND;
    const isSs = band >= 4;
    make("text", { x: 8, y: top + 11, class: "band-name" }, drawing, BANDS[band]);
    const shapes = { 1: "", 2: "" };
    for (const run of runs) {
      if (run.end < view.from || run.begin > view.to || run.value === 0) continue;
      const [left, right] = [Math.max(x(run.begin), clip - 9), Math.min(x(run.end), width + 9)];
      shapes[run.value] += `M${left.toFixed(1)} ${top + 1}h${Math.max(right - left, 0.6).toFixed(1)}v${BAND - 2}H${left.toFixed(1)}z`;
    }
    if (shapes[2]) make("path", { d: shapes[2], fill: "url(#changing)", "data-band": `${BANDS[band]}?` }, group);
    if (shapes[1]) make("path", { d: shapes[1], fill: `url(#${isSs ? "stepping" : "masked"})`, "data-band": BANDS[band] }, group);
    make("line", { x1: GUTTER, x2: width, y1: top + BAND - 0.5, y2: top + BAND - 0.5, class: "band" }, group);
    for (const run of runs) {
      const [left, right] = [Math.max(x(run.begin), clip), Math.min(x(run.end), width)];
      if (run.value === 1 && right - left > 16) {
        make("text", { x: left + 4, y: top + 11.5, class: isSs ? "letter ss" : "letter" }, group, isSs ? "SS" : BANDS[band]);
      } else if (run.value === 2 && right - left > 34) {
        make("text", { x: (left + right) / 2 - 12, y: top + 12, class: "change" }, group, run.is ? "0→1" : "1→0");
      }
    }
  });
  const top = lane.bandsTop + BANDS.length * BAND;
  make("text", { x: 8, y: top + 11, class: "band-name" }, drawing, "owners");
  for (const stretch of lane.stretches) {
    const [left, right] = [Math.max(x(stretch.begin), clip), Math.min(x(stretch.end), width)];
    const text = stretch.owners;
    if (text !== "-" && right - left > text.length * 6 + 4) make("text", { x: left + 3, y: top + 11, class: "owner" }, group, text);
  }
}

function drawSpan(span, index, lane, clip) {
  const top = lane.top + span.level * LEVEL + 2;
  const [left, right] = [Math.max(x(span.begin), clip - 4), Math.min(x(span.end), width + 4)];
  const wide = Math.max(right - left, 1.5);
  const kind = span.kind;
  const group = make("g", {
    class: index === chosen ? "span chosen" : "span",
    tabindex: "0",
    role: "button",
    "aria-label": `${span.name} on CPU ${span.cpu}, ${duration(span.end - span.begin)}, at ${span.begin}`,
    "data-span": index,
  }, drawing);
  make("rect", { x: left, y: top, width: wide, height: LEVEL - 4, class: `body ${kind}` }, group);
  if (wide > 4) make("rect", { x: left, y: top + LEVEL - 10, width: wide, height: 6, fill: `url(#mark-${kind})` }, group);
  const room = Math.min(right, width) - Math.max(left, clip) - 8;
  const text = [span.name, span.name.replace(/ \(.*/, ""), span.rule].find((text) => text.length * 6.8 < room);
  if (text) make("text", { x: Math.max(left, clip) + 4, y: top + 12.5 }, group, text);
}

function draw() {
  const hadFocus = drawing.contains(document.activeElement);
  width = Math.max(drawing.clientWidth, 400);
  drawing.replaceChildren();
  patterns();
  const bottom = layOut();
  drawing.setAttribute("height", bottom);
  drawing.setAttribute("viewBox", `0 0 ${width} ${bottom}`);
  const inside = make("clipPath", { id: "inside" }, drawing.querySelector("defs"));
  make("rect", { x: GUTTER, y: 0, width: width - GUTTER, height: bottom }, inside);
  for (const lane of lanes) {
    make("rect", { x: GUTTER, y: lane.top, width: width - GUTTER, height: lane.bottom - lane.top, class: "lane" }, drawing);
    make("text", { x: 8, y: lane.top + 16, class: "cpu" }, drawing, `CPU ${lane.cpu}`);
  }
  axis(bottom);
  for (const lane of lanes) drawBands(lane, GUTTER);
  data.spans.forEach((span, index) => {
    if (span.end >= view.from && span.begin <= view.to) drawSpan(span, index, lanes[span.cpu], GUTTER);
  });
  // Spans that begin before the view end at the gutter, not in it.
  make("rect", { x: GUTTER - 5, y: 0, width: 5, height: bottom, style: "fill: var(--paper)" }, drawing);
  const shown = duration(Math.round(view.to - view.from));
  document.getElementById("where").textContent = `${shown} from ${Math.max(0, Math.round(view.from)).toLocaleString("en")}`;
  if (hadFocus && chosen !== null) element(chosen)?.focus({ preventScroll: true });
}

const element = (index) => drawing.querySelector(`[data-span="${index}"]`);

/** Shows the stretch of time between `from` and `to`, or more if that is too little. */
function show(from, to) {
  const least = CLOSEST;
  const most = data.end * 1.02 + CLOSEST;
  const length = Math.min(Math.max(to - from, least), most);
  const middle = (from + to) / 2;
  const begin = Math.min(Math.max(middle - length / 2, -data.end * 0.01 - CLOSEST / 2), data.end + CLOSEST - length / 2);
  view = { from: begin, to: begin + length };
  draw();
}

function zoom(factor, around) {
  const length = Math.max((view.to - view.from) * factor, CLOSEST);
  const share = (around - view.from) / (view.to - view.from);
  show(around - length * share, around + length * (1 - share));
}

function move(share) {
  const by = (view.to - view.from) * share;
  show(view.from + by, view.to + by);
}

function fit() { show(-data.end * 0.01, data.end * 1.01); }

function zoomTo(span) {
  const room = Math.max((span.end - span.begin) * 0.1, CLOSEST / 2);
  show(span.begin - room, span.end + room);
}

/** Shows a span with the ones before and behind it that are near. */
function zoomToNeighbours(index) {
  const span = data.spans[index];
  const beside = data.spans.filter((other) => other.cpu === span.cpu && other.level === span.level);
  const at = beside.indexOf(span);
  const near = Math.max(span.end - span.begin, CLOSEST) * 2;
  const [before, behind] = [beside[at - 1], beside[at + 1]];
  const from = before && before.begin > span.begin - near ? before.begin : span.begin;
  const to = behind && behind.end < span.end + near ? behind.end : span.end;
  zoomTo({ begin: from, end: to });
}

/** Shows single ticks around the beginning of a span, or around the middle of the view. */
function one(span) {
  const at = span ? span.begin : (view.from + view.to) / 2;
  show(at - CLOSEST / 2, at + CLOSEST / 2);
}

/** The words for a side: masks and SS. */
function state(side) {
  const ss = (name, set) => set ? ` ${name}=1` : "";
  return `${side.masks}${ss("MDSCR.SS", side.mdscr)}${ss("PSTATE.SS", side.ss)}${side.owners === "-" ? "" : ` (${side.owners})`}`;
}

function rows(parent, pairs) {
  const body = html("tbody", html("table", parent));
  for (const [name, value] of pairs) {
    if (value === null || value === undefined) continue;
    const row = html("tr", body);
    html("th", row, name).setAttribute("scope", "row");
    html("td", row, value);
  }
}

function describeRecord(title, record, before, after) {
  html("h3", details, title);
  rows(details, [
    ["at", `${record.time}, CPU ${record.cpu}`],
    ["pc", record.place ? `${record.pc} ${record.place}` : record.pc],
    ["source", record.line],
    ["esr", record.esr], ["far", record.far], ["sp", record.sp],
    ["level", `EL${record.el}`],
    ["thread", record.thread],
    ["depth, stash", `${record.depth}, ${record.stash}`],
    [before, state(record.before)], [after, state(record.after)],
  ]);
}

function describe(index) {
  const span = data.spans[index];
  details.replaceChildren();
  html("h2", details, span.name);
  html("p", details, `CPU ${span.cpu}, ${duration(span.end - span.begin)} from ${span.begin.toLocaleString("en")}`);
  if (!span.entry) html("p", details, "It has begun before the trace.");
  if (!span.exit && span.later === null) html("p", details, "The trace has no return from it.");
  if (span.earlier !== null) html("p", details, `Its thread was switched away, and goes on here; before, it was on CPU ${data.spans[span.earlier].cpu}.`);
  if (span.later !== null) html("p", details, `Its thread is switched away here, and goes on on CPU ${data.spans[span.later].cpu}.`);
  const rule = data.rules[span.rule];
  if (rule) {
    html("h3", details, `Rule ${span.rule}: ${rule.class}, ${rule.origin}`);
    if (rule.masks) html("p", details, `Masks: ${rule.masks}.`);
    if (rule.ss) html("p", details, `SS: ${rule.ss}.`);
    html("p", details, rule.why);
  }
  if (span.entry) describeRecord("Entry", span.entry, "interrupted", "handler");
  if (span.exit) describeRecord("Exit", span.exit, "way out", "returned to");
}

function choose(index, focus) {
  const old = chosen;
  chosen = index;
  describe(index);
  const span = data.spans[index];
  if (span.end < view.from || span.begin > view.to) {
    const half = (view.to - view.from) / 2;
    const middle = Math.min((span.begin + span.end) / 2, span.begin + half * 0.9);
    show(middle - half, middle + half);
  } else {
    if (old !== null) element(old)?.classList.remove("chosen");
    element(index)?.classList.add("chosen");
  }
  if (focus) element(index)?.focus({ preventScroll: true });
}

const ACTIONS = {
  fit,
  in: () => zoom(0.5, (view.from + view.to) / 2),
  out: () => zoom(2, (view.from + view.to) / 2),
  one: () => one(chosen === null ? null : data.spans[chosen]),
  left: () => move(-0.2),
  right: () => move(0.2),
};
const KEYS = { "0": "fit", "+": "in", "=": "in", "-": "out", "1": "one", "ArrowLeft": "left", "ArrowRight": "right" };

function keyOnSpan(event, index) {
  const span = data.spans[index];
  const to = (next) => {
    if (next === undefined || next === null || !data.spans[next]) return false;
    choose(next, true);
    event.preventDefault();
    return true;
  };
  switch (event.key) {
    // Behind the last one the browser goes on with what is behind the drawing.
    case "Tab": return to(index + (event.shiftKey ? -1 : 1));
    case "ArrowUp": return to(span.parent);
    case "ArrowDown": return to(data.spans.findIndex((inner) => inner.parent === index));
    case "Enter": case " ":
      zoomTo(span);
      event.preventDefault();
      return true;
    case "Escape":
      document.getElementById("one").focus();
      return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const on = event.target.closest?.(".span");
  if (on && keyOnSpan(event, Number(on.dataset.span))) return;
  const action = KEYS[event.key];
  if (action) {
    ACTIONS[action]();
    event.preventDefault();
  }
});
document.getElementById("toolbar").addEventListener("click", (event) => ACTIONS[event.target.dataset.do]?.());
drawing.addEventListener("focusin", (event) => {
  const on = event.target.closest(".span");
  if (on && Number(on.dataset.span) !== chosen) choose(Number(on.dataset.span), false);
});
drawing.addEventListener("pointerover", (event) => {
  const on = event.target.closest(".span");
  if (on) describe(Number(on.dataset.span));
});
drawing.addEventListener("pointerleave", () => { if (chosen !== null) describe(chosen); });
drawing.addEventListener("click", (event) => {
  const on = event.target.closest(".span");
  if (on) choose(Number(on.dataset.span), true);
});
drawing.addEventListener("dblclick", (event) => {
  const on = event.target.closest(".span");
  if (on) zoomTo(data.spans[Number(on.dataset.span)]);
});
drawing.addEventListener("wheel", (event) => {
  event.preventDefault();
  const place = event.clientX - drawing.getBoundingClientRect().left;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) move((event.deltaX || event.deltaY) / 1000);
  else zoom(Math.exp(event.deltaY / 400), timeAt(Math.max(place, GUTTER)));
}, { passive: false });
let drag = null;
drawing.addEventListener("pointerdown", (event) => { drag = { at: event.clientX, view, moved: false }; });
window.addEventListener("pointermove", (event) => {
  if (!drag || event.buttons === 0) { drag = null; return; }
  const by = (drag.at - event.clientX) * (drag.view.to - drag.view.from) / (width - GUTTER);
  if (drag.moved || Math.abs(drag.at - event.clientX) > 4) {
    drag.moved = true;
    show(drag.view.from + by, drag.view.to + by);
  }
});
window.addEventListener("pointerup", () => { drag = null; });
window.addEventListener("resize", draw);

function legend() {
  const parent = document.getElementById("legend");
  const entry = (draw, text) => {
    const item = html("span", parent);
    draw(make("svg", { viewBox: "0 0 30 16", "aria-hidden": "true" }, item));
    item.append(text);
  };
  const used = new Set(data.spans.map((span) => span.kind));
  for (const [kind, text] of LEGEND.filter(([kind]) => used.has(kind))) {
    entry((svg) => {
      make("rect", { width: 30, height: 16, class: kind }, svg);
      make("rect", { y: 10, width: 30, height: 6, fill: `url(#mark-${kind})` }, svg);
    }, text);
  }
  entry((svg) => make("rect", { width: 30, height: 13, fill: "url(#masked)" }, svg), "masked");
  entry((svg) => make("rect", { width: 30, height: 13, fill: "url(#stepping)" }, svg), "SS set");
  entry((svg) => make("rect", { width: 30, height: 13, fill: "url(#changing)" }, svg), "changed somewhere in between");
}

function start() {
  document.title = data.title;
  document.getElementById("title").textContent = data.title;
  const lost = data.lost ? `, ${data.lost.toLocaleString("en")} earlier records left out` : "";
  const tick = data.exact ? "one tick is one instruction" : `${data.frequency.toLocaleString("en")} ticks in a second`;
  document.getElementById("summary").textContent = `${data.records.toLocaleString("en")} records of ${data.cpus} CPUs${lost}; ${tick}.`;
  document.getElementById("one").textContent = data.exact ? "One instruction" : "One tick";
  fit();
  legend();
  html("p", details, "Point at an exception, or go there with Tab.");
  if (data.start !== null) {
    zoomToNeighbours(data.start);
    choose(data.start, false);
  }
}
start();

/** Tries what a reader does, and leaves in the document what came of it. The tool reads that in a browser without a window. */
function check() {
  const result = {};
  const press = (key, on) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  fit();
  result.spans = drawing.querySelectorAll(".span").length;
  result.bands = [...new Set([...drawing.querySelectorAll("[data-band]")].map((path) => path.dataset.band))].sort();
  result.names = [...new Set([...drawing.querySelectorAll(".span")].map((span) => span.getAttribute("aria-label").split(" on CPU")[0]))].sort();
  result.nested = data.spans.every((span, index) => {
    const box = (of) => element(of).querySelector(".body").getBBox();
    if (span.parent === null) return true;
    const [inner, outer] = [box(index), box(span.parent)];
    // A span that would be too narrow to be seen is drawn wider.
    return inner.y > outer.y && inner.x >= outer.x - 0.01 && inner.x + inner.width <= outer.x + outer.width + 2;
  });
  result.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  // Tab goes through all of them, and then out.
  choose(0, true);
  const walked = [];
  for (let turn = 0; turn <= data.spans.length; turn++) {
    const on = document.activeElement.closest?.(".span");
    if (!on) break;
    walked.push(Number(on.dataset.span));
    if (press("Tab", on)) break;
  }
  result.walked = walked.length;
  result.inOrder = walked.every((span, turn) => span === turn);
  const last = document.activeElement.closest(".span");
  const shown = data.spans[walked[walked.length - 1]];
  result.described = details.textContent.includes(shown.name)
    && details.textContent.includes((shown.exit || shown.entry).pc) && details.textContent.includes(data.rules[shown.rule].why);
  press("1", last);
  result.ticks = view.to - view.from;
  result.lines = drawing.querySelectorAll(".grid").length;
  const before = view.from;
  press("ArrowLeft", element(chosen));
  result.moved = view.from < before;
  press("-", element(chosen) || document.body);
  result.out = view.to - view.from;
  press("0", document.body);
  result.again = drawing.querySelectorAll(".span").length;
  drawing.querySelector(".span").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  result.hovered = details.querySelector("h2")?.textContent;
  press("Escape", element(chosen));
  result.left = document.activeElement.id;
  result.contrast = contrast();
  const output = document.createElement("script");
  output.type = "application/json";
  output.id = "check";
  output.textContent = JSON.stringify(result);
  document.body.append(output);
}

/** The least contrast (WCAG 2) between text and what is behind it. */
function contrast() {
  const probe = html("i", document.body);
  const luminance = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = ["irq", "nmi", "step", "breakpoint", "watchpoint", "brk", "svc", "fault", "other"].map((kind) => ["on-span", kind]);
  pairs.push(["ink", "paper"], ["ink", "panel"], ["ink", "lane"], ["quiet", "paper"], ["quiet", "panel"], ["quiet", "lane"], ["on-band", "masked"], ["on-band", "stepping"]);
  const ratios = pairs.map(([a, b]) => {
    const [one, two] = [luminance(a), luminance(b)];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  });
  probe.remove();
  return Math.min(...ratios);
}
if (location.hash === "#check") check();
