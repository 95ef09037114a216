"use strict";
// The pictures are whole without this script.  It zooms them, all to the same span of time, by showing
// another part of each, and reads out the numbers under the pointer.
function zoomable(root) {
  const data = JSON.parse(root.querySelector(".numbers").textContent);
  const reading = root.querySelector(".reading");
  const advice = reading.textContent;
  const FEWEST_BINS = 8;
  const ROOM_FOR_LABEL_PIXELS = 90;
  const LEVELS = 4;
  const DAY = 86400;
  const MONDAY = 4 * DAY; // 1970-01-05
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    ...[1, 2, 7, 14, 28, 56, 91, 182, 364, 3640, 36400].map((days) => days * DAY)];
  const charts = ["load", "workers", "waits"].map((name) => ({ name, svg: root.querySelector(`[data-chart=${name}]`) }));
  let from = 0;
  let to = data.bins;

  const svgElement = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const percent = (part) => `${100 * part}%`;
  const clock = (at, options) =>
    new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(new Date(at * 1000));
  const time = (bin) => data.start + bin * data.seconds;

  // What the visible part of a chart of numbers must have room for.
  const HIGHEST = {
    load: (bin) => Math.max(data.load.highest[bin], data.ready.highest[bin] * data.slots),
    workers: (bin) =>
      Math.max(data.desired.highest[bin], data.ready.highest[bin] + data.pending.mean[bin]),
  };

  function drawLevels(chart, top) {
    const group = chart.svg.querySelector(".levels");
    let step = 10 ** Math.floor(Math.log10(top / LEVELS));
    step *= [1, 2, 5, 10, 20].find((factor) => top / (factor * step) <= LEVELS);
    group.replaceChildren();
    for (let level = step; level <= top / data.headroom; level += step) {
      const y = percent((1 - level / top) * data.share);
      group.append(svgElement("line", { x1: 0, x2: "100%", y1: y, y2: y }));
      const label = level.toLocaleString("en", { maximumFractionDigits: 3 });
      group.append(svgElement("text", { x: 3, y, dy: -3 }, label));
    }
  }

  function drawInstants(chart) {
    const group = chart.svg.querySelector(".instants");
    const most = Math.max(2, Math.floor(chart.svg.clientWidth / ROOM_FOR_LABEL_PIXELS));
    const length = (to - from) * data.seconds;
    const step = STEPS.find((each) => length / each <= most) || STEPS[STEPS.length - 1];
    group.replaceChildren();
    let at = MONDAY + Math.ceil((time(from) - MONDAY) / step) * step;
    for (; at <= time(to); at += step) {
      const x = percent((at - time(from)) / length);
      const options = at % DAY === 0 ? { day: "numeric", month: "short" }
        : { hour: "2-digit", minute: "2-digit", ...(step < 60 && { second: "2-digit" }) };
      group.append(svgElement("line", { x1: x, x2: x, y1: 0, y2: percent(data.share) }));
      group.append(svgElement("text", { x, y: "100%", dy: -8, dx: 3 }, clock(at, options)));
    }
  }

  function draw() {
    for (const chart of charts) {
      const plot = chart.svg.querySelector(".plot");
      let [, low, , height] = plot.getAttribute("viewBox").split(" ").map(Number);
      const highest = HIGHEST[chart.name];
      if (highest) { // The axis of the waits stays: its steps are named.
        height = 1;
        for (let bin = Math.floor(from); bin < Math.min(to, data.bins); bin++)
          height = Math.max(height, highest(bin) * data.headroom);
        low = -height;
        drawLevels(chart, height);
      }
      plot.setAttribute("viewBox", `${from} ${low} ${to - from} ${height}`);
      drawInstants(chart);
    }
  }

  function show(start, end) {
    const length = Math.min(Math.max(end - start, Math.min(FEWEST_BINS, data.bins)), data.bins);
    from = Math.min(Math.max(start, 0), data.bins - length);
    to = from + length;
    draw();
  }

  const length = (seconds) => {
    for (const [unit, each] of [["d", DAY], ["h", 3600], ["min", 60]])
      if (seconds >= 2 * each) return `${(seconds / each).toFixed(1)} ${unit}`;
    return `${seconds.toFixed(1)} s`;
  };
  const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });

  function read(place) {
    const bin = Math.min(data.bins - 1, Math.max(0, Math.floor(from + place * (to - from))));
    const span = Math.floor(bin / data.waitEvery);
    const { tasks, p50, p95, highest } = data.waits;
    const when = clock(time(bin), { weekday: "short", day: "numeric", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const queued = Math.max(0, data.load.mean[bin] - data.running.mean[bin]);
    const waits = tasks[span]
      ? `${number(tasks[span])} tasks came then: half waited at most ${length(p50[span])}, ` +
        `95 % at most ${length(p95[span])}, the longest ${length(highest[span])}`
      : "no task came then";
    reading.textContent =
      `${when} UTC: ${number(queued)} queued, ${number(data.running.mean[bin])} running ` +
      `(load up to ${number(data.load.highest[bin])}); workers: ${number(data.desired.mean[bin])} desired, ` +
      `${number(data.ready.mean[bin])} ready, ${number(data.pending.mean[bin])} on their way; ${waits}.`;
  }

  function place(chart, event) {
    const box = chart.svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  }

  function pointAt(part) {
    for (const { svg } of charts) {
      const line = svg.querySelector(".cursor") || svg.appendChild(svgElement("line", { class: "cursor", y1: 0, y2: "100%" }));
      line.setAttribute("x1", percent(part));
      line.setAttribute("x2", percent(part));
    }
    read(part);
  }

  for (const chart of charts) {
    const { svg } = chart;
    let begun = null;
    let chosen = null;
    const end = () => {
      if (chosen) chosen.remove();
      begun = chosen = null;
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      begun = place(chart, event);
      chosen = svg.appendChild(svgElement("rect", { class: "chosen-span", y: 0, height: percent(data.share), width: 0 }));
      svg.setPointerCapture(event.pointerId);
      pointAt(begun);
    });
    svg.addEventListener("pointermove", (event) => {
      const part = place(chart, event);
      pointAt(part);
      if (begun === null) return;
      chosen.setAttribute("x", percent(Math.min(begun, part)));
      chosen.setAttribute("width", percent(Math.abs(part - begun)));
    });
    svg.addEventListener("pointerup", (event) => {
      if (begun === null) return;
      const [left, right] = [begun, place(chart, event)].sort((a, b) => a - b);
      end();
      if (right - left > 0.01) show(from + left * (to - from), from + right * (to - from));
    });
    svg.addEventListener("pointercancel", end);
    svg.addEventListener("dblclick", () => show(0, data.bins));
    svg.addEventListener("pointerleave", () => {
      for (const each of charts) each.svg.querySelector(".cursor")?.remove();
      reading.textContent = advice;
    });
  }

  const moves = {
    in: () => show(from + (to - from) / 4, to - (to - from) / 4),
    out: () => show(from - (to - from) / 2, to + (to - from) / 2),
    earlier: () => show(from - (to - from) / 2, to - (to - from) / 2),
    later: () => show(from + (to - from) / 2, to + (to - from) / 2),
    whole: () => show(0, data.bins),
  };
  const toolbar = root.querySelector(".toolbar");
  for (const button of toolbar.querySelectorAll("button"))
    button.addEventListener("click", () => moves[button.dataset.zoom]());
  toolbar.hidden = false;
  root.classList.add("zooming");
  new ResizeObserver(draw).observe(charts[0].svg);
}

for (const root of document.querySelectorAll(".timeline")) zoomable(root);
