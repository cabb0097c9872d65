// Dragging along an axis of a sweep's parallel coordinates chooses a range. The server draws the page with it: what is chosen
// is in the address.
"use strict";
(() => {
  let drag = null;

  // How far down the axis a pointer is, from 0 to 1.
  function height(event, box) {
    const { top, height: tall } = box.getBoundingClientRect();
    const share = (event.clientY - top) / tall;
    return share < 0.03 ? 0 : share > 0.97 ? 1 : share; // the ends are easy to reach
  }

  function value({ low, high, log }, share) {
    const at = 1 - share;
    const found = log ? low * (high / low) ** at : low + (high - low) * at;
    return Number(found.toPrecision(4));
  }

  function show({ box, from, to, brush }) {
    const [y, tall] = [Number(box.getAttribute("y")), Number(box.getAttribute("height"))];
    brush.setAttribute("y", y + Math.min(from, to) * tall);
    brush.setAttribute("height", Math.max(1, Math.abs(to - from) * tall));
  }

  document.addEventListener("pointerdown", (event) => {
    const box = event.target.closest(".para .hit");
    if (!box) return;
    event.preventDefault();
    box.setPointerCapture(event.pointerId);
    const brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    brush.setAttribute("class", "brush");
    brush.setAttribute("x", Number(box.getAttribute("x")) + 6);
    brush.setAttribute("width", 16);
    box.after(brush);
    const { axis, low, high, log } = box.parentNode.dataset;
    const from = height(event, box);
    drag = { box, brush, name: axis, axis: { low: Number(low), high: Number(high), log: log !== undefined }, from, to: from };
    show(drag);
  });

  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.to = height(event, drag.box);
    show(drag);
  });

  document.addEventListener("pointerup", () => {
    if (!drag) return;
    const { brush, name, axis, from, to } = drag;
    drag = null;
    if (Math.abs(from - to) < 0.02) { brush.remove(); return; } // a click, not a drag
    const next = new URL(location.href);
    const others = next.searchParams.getAll("range").filter((text) => text.split(" ").slice(2).join(" ") !== name);
    next.searchParams.delete("range");
    next.searchParams.delete("page");
    for (const range of [...others, `${value(axis, Math.max(from, to))} ${value(axis, Math.min(from, to))} ${name}`]) next.searchParams.append("range", range);
    location.assign(next);
  });
})();
