// The chart of the last 60 seconds, drawn by uPlot.

import { labelText, text } from "./texts.js";

const span = 60; // seconds

export class Chart {
  #plot; #box; #data; #labels = [];

  constructor(box) {
    this.#box = box;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.reset(this.#labels));
  }

  // reset starts anew with a series for each label.
  reset(labels) {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#labels = labels;
    this.#data = [[], ...labels.map(() => [])];
    if (!window.uPlot) {
      this.#box.textContent = "There is no chart: the server was built without its library (make assets).";
      return;
    }
    this.#box.textContent = "";
    const css = getComputedStyle(document.documentElement);
    const ink = css.getPropertyValue("--soft").trim();
    const line = css.getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    this.#plot = new uPlot({
      ...this.#size(),
      cursor: { show: false },
      legend: { show: true, live: false },
      scales: {
        x: { time: false, range: [-span, 0] },
        y: { range: [0, 1] },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((t) => (t ? `${t} s` : text("now"))) },
        { ...axis, size: 44, values: (_, ticks) => ticks.map((t) => t.toFixed(1)) },
      ],
      series: [{}, ...labels.map((label, i) => ({
        label: labelText(label), width: 2, stroke: css.getPropertyValue(`--e${i % 7}`).trim(), points: { show: false }, spanGaps: false,
      }))],
    }, this.#data, this.#box);
  }

  // add appends the probabilities at a time; null where there are none.
  add(t, p) {
    const x = this.#data[0];
    if (x.length && t <= x.at(-1)) return; // another face of the same window, or one that came late
    x.push(t);
    this.#labels.forEach((l, i) => this.#data[i + 1].push(p ? p[l] : null));
    while (x[0] < t - span) for (const column of this.#data) column.shift();
    this.#plot?.setData([x.map((at) => at - t), ...this.#data.slice(1)]);
  }

  #size() { return { width: Math.max(this.#box.clientWidth, 200), height: 220 }; }
}
