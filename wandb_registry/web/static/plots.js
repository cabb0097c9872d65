// Draws what `wandb.plot` has logged, as Vega-Lite. A figure names the plot, its columns by their roles, and where the table
// of its values is. Vega interprets expressions instead of compiling them, so that no text of a page becomes a script.
"use strict";
(() => {
  const HEIGHT = 200;
  const LINES = { // the fields for x, y and the name of the line
    "wandb/line/v0": ["x", "y", "stroke"], "wandb/lineseries/v0": ["step", "lineVal", "lineKey"], "wandb/area-under-curve/v0": ["x", "y", "class"],
  };

  // The colour of a role of the style sheet, in the theme that holds.
  function color(classes) {
    const probe = Object.assign(document.createElement("i"), { className: `probe ${classes}` });
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  const field = (name) => String(name).replace(/([.[\]\\'"])/g, "\\$1"); // a dot in a name is no path
  const quantity = (name, more) => ({ field: field(name), type: "quantitative", title: name, ...more });
  const kind = (name) => ({ field: field(name), type: "nominal", title: null });

  function encoded(plot, fields, strings, rows) {
    if (plot in LINES) {
      const [x, y, line] = LINES[plot].map((role) => fields[role]);
      const along = { ...quantity(x, { scale: { zero: false } }), title: strings.xname || strings["x-axis-title"] || x };
      const up = { ...quantity(y, { scale: { zero: false } }), title: strings["y-axis-title"] || y };
      return { mark: { type: "line", tooltip: true, interpolate: "linear" }, encoding: { x: along, y: up, order: quantity(x), ...(line ? { color: kind(line) } : {}) } };
    }
    switch (plot) {
      case "wandb/scatter/v0":
        return { mark: { type: "point", filled: true, tooltip: true }, encoding: { x: quantity(fields.x, { scale: { zero: false } }), y: quantity(fields.y, { scale: { zero: false } }) } };
      case "wandb/bar/v0":
        return { height: 60 + 22 * rows, mark: { type: "bar", tooltip: true }, encoding: { y: { ...kind(fields.label), sort: null }, x: quantity(fields.value) } };
      case "wandb/histogram/v0":
        return { mark: { type: "bar", tooltip: true }, encoding: { x: { ...quantity(fields.value), bin: { maxbins: 30 } }, y: { aggregate: "count", title: "count" } } };
      case "wandb/confusion_matrix/v1":
        return {
          mark: { type: "rect", tooltip: true },
          encoding: { y: { ...kind(fields.Actual), title: "actual", sort: null }, x: { ...kind(fields.Predicted), title: "predicted", sort: null },
            color: { ...quantity(fields.nPredictions), scale: { range: [color("surface"), color("s1")] } } },
        };
      default:
        return null;
    }
  }

  // A number that JSON lacks has no place in a plot.
  const finite = (text) => JSON.parse(text.replace(/(?<=[[,:\s])(-?Infinity|NaN)(?=[\],}\s])/g, "null"));

  async function draw(figure) {
    const { plot, fields, strings, rows } = JSON.parse(figure.dataset.plot);
    const box = figure.querySelector(".vega");
    try {
      const table = finite(await (await fetch(rows)).text());
      const names = table.columns.map(String);
      const values = table.data.map((row) => Object.fromEntries(row.map((value, at) => [names[at], value])));
      const [text, grid] = [color("text-3"), color("line")];
      const labels = { labelColor: text, titleColor: text, gridColor: grid, domainColor: grid, tickColor: grid, labelFontSize: 10.5, titleFontSize: 10.5, titleFontWeight: 400, tickCount: 5 };
      const spec = vegaLite.compile({
        width: Math.max(160, box.clientWidth - 70), height: HEIGHT, autosize: { type: "fit", contains: "padding" }, background: null, description: figure.querySelector("figcaption strong").textContent, data: { values },
        ...encoded(plot, fields, strings, values.length),
        config: { font: getComputedStyle(box).fontFamily, view: { stroke: null }, axis: labels, legend: { labelColor: text, labelFontSize: 11, orient: "top" },
          bar: { color: color("s1") }, line: { color: color("s1"), strokeWidth: 1.75 }, point: { color: color("s1"), size: 34 },
          range: { category: Array.from({ length: 10 }, (_, at) => color(`s${at + 1}`)) } },
      }).spec;
      await figure.view?.finalize();
      // what a plot says may not load anything, nor lead anywhere
      const loader = { ...vega.loader(), load: () => Promise.reject(new Error("A plot loads nothing.")), sanitize: () => Promise.reject(new Error("A plot leads nowhere.")) };
      figure.view = new vega.View(vega.parse(spec, null, { ast: true }), { renderer: "svg", container: box, expr: vega.expressionInterpreter, loader, logLevel: vega.Error });
      await figure.view.runAsync();
    } catch (error) {
      box.replaceChildren(Object.assign(document.createElement("p"), { className: "pad muted small", textContent: `This plot can't be drawn: ${error.message}. Its table has the values.` }));
    }
  }

  const figures = () => document.querySelectorAll("figure[data-plot]");

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) { seen.unobserve(target); draw(target); }
  }, { rootMargin: "100px" });

  function repaint() {
    for (const figure of figures()) if (figure.view) draw(figure);
  }

  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  for (const figure of figures()) seen.observe(figure);
  document.addEventListener("swapped", () => { for (const figure of figures()) if (!figure.view) seen.observe(figure); });
})();
