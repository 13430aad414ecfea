// The live chart of a run in a notebook: an anywidget module of plain JavaScript and SVG.
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, MARGIN, BOTTOM] = [640, 220, 44, 12, 24];

function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function chart(curves) {
  const points = curves.flatMap(({ points }) => points);
  if (points.length === 0) return null;
  const steps = points.map(([step]) => step);
  const values = points.map(([, value]) => value);
  const [first, low] = [Math.min(...steps), Math.min(...values)];
  const last = Math.max(Math.max(...steps), first + 1);
  const high = Math.max(...values) > low ? Math.max(...values) : low + 1;
  const x = (step) => LEFT + ((WIDTH - LEFT - MARGIN) * (step - first)) / (last - first);
  const y = (value) => MARGIN + ((HEIGHT - MARGIN - BOTTOM) * (high - value)) / (high - low);
  const root = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: "100%", role: "img", "aria-label": "Loss by step",
    "font-size": 11, fill: "currentColor",
  });
  for (const value of [low, (low + high) / 2, high]) {
    root.append(
      svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)),
      svg("line", {
        x1: LEFT, x2: WIDTH - MARGIN, y1: y(value), y2: y(value), stroke: "currentColor", opacity: 0.15,
      }),
    );
  }
  curves.forEach(({ label, colour, points }, number) => {
    const path = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    root.append(
      svg("polyline", { points: path, fill: "none", stroke: colour, "stroke-width": 1.5 }),
      svg("text", { x: WIDTH - MARGIN, y: MARGIN + 12 + 16 * number, "text-anchor": "end", fill: colour }, label),
    );
  });
  root.append(
    svg("text", { x: LEFT, y: HEIGHT - 6 }, `step ${first}`),
    svg("text", { x: WIDTH - MARGIN, y: HEIGHT - 6, "text-anchor": "end" }, last),
  );
  return root;
}

function render({ model, el }) {
  const head = document.createElement("div");
  const name = head.appendChild(document.createElement("b"));
  const status = head.appendChild(document.createElement("span"));
  const picture = document.createElement("div");
  const verdict = document.createElement("div");
  verdict.setAttribute("role", "status");
  const box = document.createElement("div");
  box.style.cssText = `font: 14px system-ui, sans-serif; max-width: ${WIDTH}px`;
  box.append(head, picture, verdict);
  el.append(box);
  const draw = () => {
    name.textContent = model.get("name");
    status.textContent = ` · ${model.get("status")}`;
    picture.replaceChildren(...[chart(model.get("curves"))].filter(Boolean));
    verdict.textContent = model.get("sentence");
  };
  const names = ["status", "curves", "sentence"].map((each) => `change:${each}`);
  for (const each of names) model.on(each, draw);
  draw();
  return () => {
    for (const each of names) model.off(each, draw);
  };
}

export default { render };
