// Draws the charts of metrics with uPlot: zoom, cross-hair, log scale, smoothing, full size. What is drawn is in the page:
// #charts names the runs, each figure its metric and axis. The lines come from the server, thinned to the width of a chart.
"use strict";
(() => {
  const HEIGHT = 168;
  const MOST_TOLD = 8; // lines in a tooltip
  const AT_ONCE = 6; // metrics in one request
  const FADED = 0.16;
  const BEHIND = 0.28; // the raw line behind a smoothed one
  const DASHES = { dash: [6, 3], dot: [2, 3] };
  const WHOLE = [1, 2, 5].flatMap((m) => Array.from({ length: 15 }, (_, power) => m * 10 ** power)).sort((a, b) => a - b);
  const CLOCK = [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800,
    432000, 864000, 8640000];

  const plots = new Map(); // by figure
  const zooms = new Map(); // by axis: [low, high]
  let page = { lines: new Map(), hidden: new Set(), smooth: 0, grouped: false };
  let lifted = null; // the run or group whose line is lifted out of the others
  let colors = {};

  // ---- numbers as people read them ----

  function number(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size < 1e-4 || size >= 1e7 ? value.toExponential(3).replace(/\.?0+e/, "e") : size >= 1e4 ? Math.round(value).toLocaleString("en") : value.toPrecision(4);
    return text.replaceAll("-", "−").replace("e+", "e");
  }

  function tick(value) {
    const size = Math.abs(value);
    const text = value !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential().replace(/(\.\d{3})\d+/, "$1").replace("e+", "e") : value >= 1e4 ? value.toLocaleString("en") : String(Number(value.toPrecision(8)));
    return text.replaceAll("-", "−");
  }

  function duration(seconds) {
    const whole = Math.floor(seconds);
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
    if (hours) return minutes ? `${hours}h ${String(minutes).padStart(2, "0")}m` : `${hours}h`;
    if (minutes) return rest ? `${minutes}m ${String(rest).padStart(2, "0")}s` : `${minutes}m`;
    return `${Number(seconds.toPrecision(3))}s`;
  }

  // Powers of ten, with steps between them where there are few; at most six.
  function powers(low, high) {
    const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    const every = Math.max(1, Math.ceil((last - first) / 6));
    const between = last - first > 3 ? [1] : last - first > 1 ? [1, 3] : [1, 2, 5];
    const found = [];
    for (let power = first; power <= last; power += every) for (const m of between) found.push(Number(`${m}e${power}`));
    return found.filter((value) => value >= low && value <= high);
  }

  const place = (axis, x) => (axis === "time" ? duration(x) : Number.isInteger(x) ? x.toLocaleString("en") : number(x));

  // ---- lines ----

  function decoded(line) {
    const unit = 10 ** -line.scale;
    let at = 0;
    const xs = line.x.map((step) => { at += step; return line.scale ? Number((at * unit).toPrecision(12)) : at; });
    return { ...line, key: line.group ?? line.run, xs, ys: line.y };
  }

  // An exponential moving average without a bias towards its start, as TensorBoard and W&B draw it.
  function smoothed(values, weight) {
    let mean = 0;
    let seen = 0;
    return values.map((value) => {
      mean = mean * weight + (1 - weight) * value;
      seen = seen * weight + (1 - weight);
      return mean / seen;
    });
  }

  function nearest(xs, x) {
    let [low, high] = [0, xs.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle + 1; else high = middle;
    }
    return low > 0 && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
  }

  // A colour role of the style sheet as a colour of the theme that holds.
  function color(classes) {
    if (!colors[classes]) {
      const probe = Object.assign(document.createElement("i"), { className: `probe ${classes}` });
      document.body.append(probe);
      colors[classes] = getComputedStyle(probe).color;
      probe.remove();
    }
    return colors[classes];
  }

  const dash = (classes) => DASHES[classes.split(" ")[1]] ?? [];

  // What a line is called and how it looks; groups have colours of their own in the order of the list.
  function look(key) {
    return page.lines.get(key) ?? { name: key, color: "s1" };
  }

  // ---- one chart ----

  class Plot {
    constructor(figure, box, { height = HEIGHT } = {}) {
      this.figure = figure;
      this.box = box;
      this.height = height;
      this.asked = 0;
      this.data = null;
      this.read(figure);
      box.addEventListener("keydown", (event) => this.key(event));
      box.addEventListener("blur", clear);
      box.addEventListener("pointermove", (event) => this.move(event));
      box.addEventListener("pointerleave", clear);
    }

    read({ dataset }) {
      const moved = this.axis !== undefined && this.axis !== dataset.axis;
      this.metric = dataset.metric;
      this.axis = dataset.axis;
      this.stream = dataset.stream;
      this.log = dataset.log !== undefined;
      return moved;
    }

    get shown() {
      return (this.data ?? []).filter((line) => line.xs.length && !page.hidden.has(line.key));
    }

    get whole() {
      const lines = this.shown;
      const low = Math.min(...lines.map((line) => line.xs[0]));
      const high = Math.max(...lines.map((line) => line.xs.at(-1)));
      return low < high ? [low, high] : [low - 0.5, low + 0.5];
    }

    get range() {
      return zooms.get(this.axis) ?? this.whole;
    }

    // The range of the values that are in sight, with a little room.
    heights() {
      const [from, to] = this.range;
      let [low, high] = [Infinity, -Infinity];
      for (const line of this.drawn) {
        for (const values of line.low ? [line.low, line.high] : [line.values]) {
          for (let at = 0; at < values.length; at += 1) {
            const value = values[at];
            if (line.xs[at] < from || line.xs[at] > to || (this.log && value <= 0)) continue;
            if (value < low) low = value;
            if (value > high) high = value;
          }
        }
      }
      if (low > high) return this.log ? [0.1, 1] : [0, 1];
      if (this.log) return low === high ? [low / 2, high * 2] : [low * (low / high) ** 0.04, high * (high / low) ** 0.04];
      const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
      return [low - room, high + room];
    }

    draw() {
      if (!this.data) return;
      const lines = this.shown;
      this.uplot?.destroy();
      this.uplot = null;
      this.box.querySelector(".none")?.remove();
      this.tell();
      this.drawn = lines.map((line) => ({ ...line, values: page.smooth ? smoothed(line.ys, page.smooth) : line.ys }));
      if (!lines.length) {
        const drawable = this.data.some((line) => line.xs.length);
        const beyond = "None of its values can be drawn.";
        const words = drawable ? "Nothing is drawn: all its runs are hidden." : this.data.length ? beyond : `No value by ${this.axis}.`;
        this.box.append(Object.assign(document.createElement("p"), { className: "none muted small", textContent: words }));
        return;
      }
      const layers = page.smooth ? [...this.drawn.map((line) => ({ ...line, values: line.ys, behind: true, low: undefined })), ...this.drawn] : this.drawn;
      const [text, grid] = [color("text-3"), color("line")];
      const font = `10.5px ${getComputedStyle(this.box).fontFamily}`;
      const width = Math.max(160, this.box.clientWidth);
      const axis = { stroke: text, font, ticks: { show: false }, grid: { stroke: grid, width: 1 } };
      const clock = this.axis === "time";
      const whole = lines.every((line) => !line.scale);
      this.uplot = new uPlot({
        mode: 2,
        width,
        height: this.height,
        padding: [8, 14, 0, 0],
        legend: { show: false },
        cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => null }, dataIdx: () => null },
        scales: { x: { time: false, range: () => this.range }, y: { distr: this.log ? 3 : 1, range: () => this.heights() } },
        axes: [
          { ...axis, grid: { show: false }, size: 24, gap: 3, space: Math.max(this.range[1] >= 1e5 ? 66 : 44, width / 7), incrs: clock ? CLOCK : whole ? WHOLE : undefined,
            values: (_, splits) => splits.map((x) => (x === null ? "" : clock ? duration(x) : tick(x))) },
          { ...axis, ...(this.log ? { splits: (_, __, low, high) => powers(low, high), filter: (_, splits) => splits } : {}), gap: 4, space: Math.max(26, this.height / 6), size: (_, values) => 12 + 6.2 * Math.max(1, ...(values ?? []).map((value) => (value ?? "").length)),
            values: (_, splits) => splits.map((y) => (y === null ? "" : tick(y))) },
        ],
        series: [null, ...layers.map((line) => this.series(line))],
        hooks: { setSelect: [(self) => this.selected(self)], ready: [(self) => this.ready(self)] },
      }, [null, ...layers.map((line) => [line.xs, line.values])], this.box);
    }

    series(line) {
      const { color: classes } = look(line.key);
      const faded = lifted !== null && lifted !== line.key;
      return {
        facets: [{ scale: "x", auto: false }, { scale: "y", auto: false }],
        stroke: color(classes.split(" ")[0]),
        width: line.behind ? 1 : lifted === line.key ? 2.5 : 1.6,
        alpha: line.behind ? BEHIND * (faded ? FADED : 1) : faded ? FADED : 1,
        dash: dash(classes),
        fill: line.low ? color(`${classes.split(" ")[0]} soft`) : undefined,
        points: { show: false },
        paths: (self) => this.paths(self, line),
      };
    }

    paths(self, line) {
      const stroke = new Path2D();
      const { left, top, width, height } = self.bbox;
      const [x, y] = [self.scales.x, self.scales.y];
      const [low, high] = this.log ? [Math.log(y.min), Math.log(y.max)] : [y.min, y.max];
      const across = (value) => left + ((value - x.min) / (x.max - x.min)) * width;
      const up = (value) => top + height - (((this.log ? Math.log(value) : value) - low) / (high - low)) * height;
      const ratio = devicePixelRatio;
      let pen = false;
      const { xs, values } = line;
      for (let at = 0; at < xs.length; at += 1) {
        if (this.log && values[at] <= 0) { pen = false; continue; }
        if (pen) stroke.lineTo(across(xs[at]), up(values[at])); else stroke.moveTo(across(xs[at]), up(values[at]));
        pen = true;
      }
      if (xs.length === 1 && pen) stroke.arc(across(xs[0]), up(values[0]), 2 * ratio, 0, 2 * Math.PI);
      let fill = null;
      if (line.low) {
        fill = new Path2D();
        const floor = (value) => up(this.log ? Math.max(value, y.min / 10) : value);
        line.high.forEach((value, at) => (at ? fill.lineTo(across(xs[at]), floor(value)) : fill.moveTo(across(xs[at]), floor(value))));
        for (let at = xs.length - 1; at >= 0; at -= 1) fill.lineTo(across(xs[at]), floor(line.low[at]));
        fill.closePath();
      }
      return { stroke, fill, clip: null, band: null, gaps: null, flags: 0 };
    }

    ready(self) {
      self.over.addEventListener("dblclick", () => zoom(this.axis, null));
    }

    selected(self) {
      const { left, width } = self.select;
      if (width < 4) return;
      let range = [self.posToVal(left, "x"), self.posToVal(left + width, "x")];
      if (this.drawn.every((line) => !line.scale)) range = [Math.floor(range[0]), Math.ceil(range[1])]; // steps are whole
      self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      zoom(this.axis, range);
    }

    // Beneath a chart: what is not in it.
    tell() {
      const left = this.shown.reduce((sum, line) => sum + (line.undrawable ?? 0), 0) + (this.data ?? []).filter((line) => !line.xs.length).reduce((sum, line) => sum + line.undrawable, 0);
      const low = this.log ? this.shown.reduce((sum, line) => sum + line.ys.filter((value) => value <= 0).length, 0) : 0;
      const said = [left && `${left.toLocaleString("en")} ${left === 1 ? "value" : "values"} not drawn: NaN, infinite, or beyond 1e300.`, low && "Values of zero and less have no place on a log scale."].filter(Boolean).join(" ");
      this.box.nextElementSibling.textContent = said;
    }

    // ---- reading values ----

    move(event) {
      if (!this.uplot || event.buttons) return;
      const box = this.uplot.over.getBoundingClientRect();
      const x = this.uplot.posToVal(event.clientX - box.left, "x");
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.point(x));
    }

    // Puts the cross-hair at the place nearest to x that a line has, in all charts of this axis; tells the values there.
    point(x) {
      if (!this.uplot || !this.box.isConnected) return null;
      clear();
      const [from, to] = this.range;
      let at = null;
      for (const { xs } of this.drawn) {
        const found = xs[nearest(xs, Math.min(to, Math.max(from, x)))];
        if (found >= from && found <= to && (at === null || Math.abs(found - x) < Math.abs(at - x))) at = found;
      }
      if (at === null) return null;
      this.at = at;
      const told = [];
      for (const line of this.drawn) {
        const near = nearest(line.xs, at);
        const reach = (line.xs.at(-1) - line.xs[0]) / Math.max(1, line.xs.length - 1);
        if (line.xs[near] === at || (at > line.xs[0] && at < line.xs.at(-1)) || Math.abs(line.xs[near] - at) <= reach / 2) told.push({ line, value: line.values[near], x: line.xs[near] });
      }
      told.sort((a, b) => b.value - a.value);
      for (const plot of all()) if (plot.axis === this.axis && plot.uplot) plot.cross(at);
      this.show(told, at);
      return told;
    }

    cross(at) {
      const [from, to] = this.range;
      if (at < from || at > to) return;
      const line = Object.assign(document.createElement("i"), { className: "cross" });
      line.style.left = `${this.uplot.valToPos(at, "x")}px`;
      this.uplot.over.append(line);
    }

    show(told, at) {
      const tip = Object.assign(document.createElement("ol"), { className: "tip" });
      tip.append(Object.assign(document.createElement("li"), { className: "faint", textContent: `${this.axis} ${place(this.axis, at)}` }));
      const fits = Math.max(3, Math.min(MOST_TOLD, told.length));
      for (const { line, value, x } of told.slice(0, fits)) {
        const item = document.createElement("li");
        const { name, color: classes } = look(line.key);
        item.append(swatch(classes), Object.assign(document.createElement("span"), { textContent: name }), Object.assign(document.createElement("b"), { textContent: number(value) }));
        tip.append(item);
        const dot = Object.assign(document.createElement("i"), { className: `dot ${classes.split(" ")[0]}` });
        dot.style.left = `${this.uplot.valToPos(x, "x")}px`;
        dot.style.top = `${this.uplot.valToPos(value, "y")}px`;
        if (!this.log || value > 0) this.uplot.over.append(dot);
      }
      if (told.length > fits) tip.append(Object.assign(document.createElement("li"), { className: "faint", textContent: `and ${told.length - fits} more below` }));
      (this.box.closest("dialog") ?? document.body).append(tip);
      const over = this.uplot.over.getBoundingClientRect();
      const from = over.left + this.uplot.valToPos(at, "x");
      const right = from + 14 + tip.offsetWidth < innerWidth - 4;
      tip.style.left = `${right ? from + 14 : Math.max(4, from - 14 - tip.offsetWidth)}px`;
      tip.style.top = `${Math.max(4, Math.min(over.top + 4, innerHeight - tip.offsetHeight - 4))}px`;
    }

    key(event) {
      const { key } = event;
      if (!this.uplot || event.target !== this.box) return;
      if (key === "ArrowLeft" || key === "ArrowRight") {
        const [from, to] = this.range;
        const places = [...new Set(this.drawn.flatMap((line) => line.xs))].filter((x) => x >= from && x <= to).sort((a, b) => a - b);
        const now = this.at === undefined ? (key === "ArrowRight" ? -1 : places.length) : nearest(places, this.at);
        const told = this.point(places[Math.min(places.length - 1, Math.max(0, now + (key === "ArrowRight" ? 1 : -1)))]);
        if (told) say(`${this.axis} ${place(this.axis, this.at)}: ${told.slice(0, 3).map(({ line, value }) => `${look(line.key).name} ${number(value)}`).join(", ")}${told.length > 3 ? `, and ${told.length - 3} more below` : ""}`);
      } else if (key === "+" || key === "=" || key === "-") {
        const [from, to] = this.range;
        const middle = this.at ?? (from + to) / 2;
        const factor = key === "-" ? 2 : 0.5;
        const [low, high] = this.whole;
        const range = [Math.max(low, middle - (middle - from) * factor), Math.min(high, middle + (to - middle) * factor)];
        zoom(this.axis, key === "-" && range[0] <= low && range[1] >= high ? null : range);
      } else if (key === "Escape" && zooms.has(this.axis) && !this.box.closest("dialog")) {
        zoom(this.axis, null);
      } else if (key === "Enter" && !this.box.closest("dialog")) {
        full(this);
      } else return;
      event.preventDefault();
    }
  }

  function swatch(classes) {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("class", `sw ${classes}`);
    drawn.setAttribute("viewBox", "0 0 18 8");
    drawn.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    drawn.firstChild.setAttribute("d", "M1 4h16");
    return drawn;
  }

  function clear() {
    for (const node of document.querySelectorAll(".cross, .plot .dot, .tip")) node.remove();
  }

  const all = () => (large ? [...plots.values(), large] : [...plots.values()]);

  // ---- asking for lines ----

  const waiting = new Set();

  function ask(plot) {
    if (!waiting.size) queueMicrotask(send);
    waiting.add(plot);
  }

  function send() {
    const together = new Map(); // those of one axis, width and part
    for (const plot of waiting) {
      const key = JSON.stringify([plot.axis, plot.stream, plot === large, zooms.get(plot.axis)]);
      together.set(key, [...(together.get(key) ?? []), plot]);
    }
    waiting.clear();
    for (const some of together.values()) for (let at = 0; at < some.length; at += AT_ONCE) request(some.slice(at, at + AT_ONCE));
  }

  function query(some) {
    const [{ axis, stream, box }] = some;
    const asked = new URLSearchParams(some.map((plot) => ["metric", plot.metric]));
    const means = page.grouped && stream === "history";
    for (const line of page.runs) {
      if (means && page.hidden.has(line.run)) continue; // a mean is that of the runs that are drawn
      asked.append("run", line.run);
      if (means) asked.append("group", line.group);
    }
    asked.set("axis", axis);
    asked.set("width", Math.max(160, box.clientWidth));
    if (stream !== "history") asked.set("stream", stream);
    const range = zooms.get(axis);
    if (range) { asked.set("from", range[0]); asked.set("to", range[1]); }
    return asked;
  }

  async function request(some) {
    const turns = some.map((plot) => (plot.asked += 1));
    let charts;
    try {
      const answer = await fetch(`${page.series}?${query(some)}`);
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      ({ charts } = await answer.json());
    } catch {
      for (const plot of some) if (!plot.data) plot.box.replaceChildren(Object.assign(document.createElement("p"), { className: "none muted small", textContent: "The registry doesn't answer. Load the page again." }));
      return;
    }
    some.forEach((plot, at) => {
      if (plot.asked !== turns[at]) return; // it was asked anew meanwhile
      plot.data = charts[at].map(decoded);
      plot.box.dataset.points = plot.data.reduce((sum, line) => sum + line.xs.length, 0);
      plot.draw();
      if (plot === large) list();
    });
  }

  // ---- zoom, in the address as x=epoch:5:20 ----

  function zoom(axis, range) {
    if (range) zooms.set(axis, range); else zooms.delete(axis);
    clear();
    for (const plot of all()) if (plot.axis === axis && plot.data) { plot.draw(); ask(plot); }
    for (const back of document.querySelectorAll("[data-unzoom]")) back.hidden = !zooms.size;
    const address = new URL(location);
    address.searchParams.delete("x");
    for (const [name, [low, high]] of zooms) address.searchParams.append("x", `${name}:${Number(low.toPrecision(6))}:${Number(high.toPrecision(6))}`);
    history.replaceState(null, "", address);
    say(range ? `Zoomed to ${axis} ${place(axis, Number(range[0].toPrecision(4)))} to ${place(axis, Number(range[1].toPrecision(4)))}` : "Whole range");
  }

  function zoomsOfAddress() {
    for (const text of new URL(location).searchParams.getAll("x")) {
      const [, axis, low, high] = text.match(/^(.*):([^:]+):([^:]+)$/) ?? [];
      if (axis && Number(low) < Number(high)) zooms.set(axis, [Number(low), Number(high)]);
    }
    for (const back of document.querySelectorAll("[data-unzoom]")) back.hidden = !zooms.size;
  }

  // ---- full size ----

  let large = null;
  let dialog = null;

  const button = (text, action) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "btn s", textContent: text });
    made.addEventListener("click", action);
    return made;
  };

  function full(plot) {
    dialog = Object.assign(document.createElement("dialog"), { id: "chart-full" });
    dialog.setAttribute("aria-labelledby", "full-head");
    dialog.innerHTML = `<div class="head"><h2 id="full-head"></h2><div class="actions"><label class="small muted row">Axis <select></select></label></div></div>
      <div class="full"><figure class="chart"><div class="plot" tabindex="0" role="img" aria-describedby="chart-keys"></div><p class="left-out small muted pad"></p></figure>
      <div class="scroll" tabindex="0" role="group" aria-label="Lines"><table class="narrow"><thead><tr><th scope="col">Line</th><th scope="col" class="num">Last</th>
      <th scope="col" class="num">Least</th><th scope="col" class="num">Greatest</th></tr></thead><tbody></tbody></table></div></div>`;
    dialog.querySelector("h2").textContent = plot.metric;
    const choice = dialog.querySelector("select");
    const axes = [...document.querySelectorAll("[data-charts] select[name=axis] option")].map((option) => option.value).filter(Boolean);
    for (const name of plot.stream === "history" && axes.length ? axes : [plot.axis]) choice.add(new Option(name, name, false, name === plot.axis));
    const log = button("Log scale", () => { large.log = !large.log; log.setAttribute("aria-pressed", large.log); large.draw(); });
    log.setAttribute("aria-pressed", plot.log);
    const address = () => `${page.series.replace(/series$/, "values")}?${values(large)}&format=csv`;
    dialog.querySelector(".actions").append(log, button("CSV", () => location.assign(address())), button("PNG", picture), button("Close", () => dialog.close()));
    document.body.append(dialog);
    const box = dialog.querySelector(".plot");
    box.setAttribute("aria-label", `${plot.metric} by ${plot.axis}, full size`);
    dialog.addEventListener("close", () => { clear(); large?.uplot?.destroy(); dialog.remove(); large = null; dialog = null; plot.box.focus(); });
    dialog.showModal();
    large = new Plot(plot.figure, box, { height: Math.max(260, Math.min(430, innerHeight - 220)) });
    large.log = plot.log;
    choice.addEventListener("change", () => { large.axis = choice.value; large.at = undefined; ask(large); });
    ask(large);
    box.focus();
  }

  function values(plot) {
    const asked = new URLSearchParams([[plot.stream === "history" ? "metric" : "system", plot.metric]]);
    for (const line of page.runs) if (!page.hidden.has(line.run)) asked.append("run", line.run);
    if (plot.stream === "history") asked.set("axis", plot.axis);
    return asked;
  }

  function list() {
    const rows = dialog.querySelector("tbody");
    rows.replaceChildren();
    for (const line of large.shown.toSorted((a, b) => b.last - a.last)) {
      const row = rows.insertRow();
      const { name, color: classes } = look(line.key);
      const head = Object.assign(document.createElement("th"), { scope: "row" });
      head.append(swatch(classes), name);
      row.append(head);
      for (const value of [line.last, line.least, line.greatest]) Object.assign(row.insertCell(), { className: "num", textContent: number(value) });
    }
  }

  // The chart with its name and its legend as a picture.
  function picture() {
    const drawn = large.uplot.ctx.canvas;
    const ratio = devicePixelRatio;
    const [head, row] = [34 * ratio, 20 * ratio];
    const lines = large.shown;
    const made = Object.assign(document.createElement("canvas"), { width: drawn.width, height: drawn.height + head + row * lines.length + 8 * ratio });
    const pen = made.getContext("2d");
    pen.fillStyle = color("surface");
    pen.fillRect(0, 0, made.width, made.height);
    pen.drawImage(drawn, 0, head);
    const family = getComputedStyle(document.body).fontFamily;
    pen.fillStyle = color("text");
    pen.font = `600 ${15 * ratio}px ${family}`;
    pen.fillText(`${large.metric} by ${large.axis}`, 12 * ratio, 22 * ratio);
    pen.font = `${12 * ratio}px ${family}`;
    lines.forEach((line, at) => {
      const y = head + drawn.height + row * (at + 0.7);
      const { name, color: classes } = look(line.key);
      pen.strokeStyle = color(classes.split(" ")[0]);
      pen.setLineDash(dash(classes).map((length) => length * ratio));
      pen.lineWidth = 2.5 * ratio;
      pen.beginPath();
      pen.moveTo(12 * ratio, y - 4 * ratio);
      pen.lineTo(36 * ratio, y - 4 * ratio);
      pen.stroke();
      pen.fillStyle = color("text");
      pen.fillText(`${name}  ${number(line.last)}`, 44 * ratio, y);
    });
    made.toBlob((blob) => {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${large.metric.replace(/[^\w.-]+/g, "-")}.png` });
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  // ---- the page ----

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const plot = plots.get(target.closest("figure"));
      if (!plot) continue;
      plot.near = isIntersecting;
      if (isIntersecting && (!plot.data || plot.stale)) { plot.stale = false; ask(plot); }
    }
  }, { rootMargin: "80px" });

  const sized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = plots.get(target.closest("figure"));
      if (plot?.uplot && plot.uplot.width !== Math.max(160, target.clientWidth)) plot.draw();
    }
  });

  // Reads what the page says now, and draws what that changes.
  function refresh() {
    const place = document.getElementById("charts");
    if (!place) return;
    const before = page;
    const runs = JSON.parse(place.dataset.lines);
    const grouped = place.dataset.grouped !== undefined;
    const groups = grouped ? [...new Set(runs.map((line) => line.group))].map((name, at) => [name, { name, color: `s${(at % 10) + 1}` }]) : [];
    page = {
      runs, grouped, series: place.dataset.series, smooth: Number(place.dataset.smooth),
      lines: new Map([...runs.map((line) => [line.run, line]), ...groups]),
      hidden: new Set(JSON.parse(place.dataset.hidden)),
      key: runs.map((line) => `${line.run} ${line.group}`).join() + (grouped ? ` means without ${place.dataset.hidden}` : ""),
    };
    const others = page.key !== before.key;
    for (const [figure, plot] of plots) if (!figure.isConnected) { plot.uplot?.destroy(); plots.delete(figure); }
    for (const figure of place.querySelectorAll("figure[data-metric]")) {
      const plot = plots.get(figure);
      const box = figure.querySelector(".plot");
      if (!plot) { plots.set(figure, new Plot(figure, box)); seen.observe(box); sized.observe(box); continue; }
      const { log, metric } = plot;
      const moved = plot.read(figure) || metric !== plot.metric;
      if (moved) plot.at = undefined;
      if (moved || others || runs.some((line) => line.live) || before.live) {
        if (plot.near) ask(plot); else plot.stale = true;
      }
      if (plot.data && !moved && (log !== plot.log || place.dataset.hidden !== before.hiddenText || page.smooth !== before.smooth)) plot.draw();
    }
    page.hiddenText = place.dataset.hidden;
    page.live = runs.some((line) => line.live);
  }

  // Goes to an address without leaving the page: what the server says there takes the place of what is here.
  async function visit(address) {
    const state = document.getElementById("state");
    try {
      const answer = await swap(state.dataset.swaps.split(" "), address);
      history.replaceState(null, "", answer.url);
    } catch {
      say("The registry doesn't answer.");
    }
  }

  function addressOf(form, submitter) {
    const fields = new URLSearchParams(new FormData(form, submitter));
    for (const text of new URL(location).searchParams.getAll("x")) if (!fields.getAll("x").includes(text)) fields.append("x", text);
    return `${location.pathname}?${fields}`;
  }

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "state") return;
    event.preventDefault();
    visit(addressOf(event.target, event.submitter));
  });

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-charts] [name=smooth]")) return;
    page.smooth = Number(event.target.value);
    event.target.nextElementSibling.textContent = page.smooth.toFixed(2);
    cancelAnimationFrame(page.frame);
    page.frame = requestAnimationFrame(() => { for (const plot of plots.values()) if (plot.near) plot.draw(); });
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-charts]");
    if (form && event.target.matches("select, [type=range]")) visit(addressOf(form));
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-unzoom]")) for (const axis of [...zooms.keys()]) zoom(axis, null);
    const opened = event.target.closest("[data-full]");
    if (opened) full(plots.get(opened.closest("figure")));
  });

  // Pointing at a run in the list lifts its line out of the others.
  function lift(event) {
    const row = event.target.closest?.("tr[data-run]");
    const key = row ? (page.grouped ? row.dataset.group : row.dataset.run) : null;
    if (key === lifted) return;
    lifted = key;
    cancelAnimationFrame(lift.frame);
    lift.frame = requestAnimationFrame(() => { for (const plot of plots.values()) if (plot.near && plot.data) plot.draw(); });
  }

  document.addEventListener("pointerover", lift);
  document.addEventListener("swapped", refresh);

  function repaint() {
    colors = {};
    for (const plot of all()) plot.draw();
  }

  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  zoomsOfAddress();
  refresh();
})();
