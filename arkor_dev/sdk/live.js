// The live chart of a run in a notebook, an anywidget module: the picture is drawn in Python (chart.py).
function render({ model, el }) {
  const box = el.appendChild(document.createElement("div"));
  box.style.cssText = "font: 14px system-ui, sans-serif; max-width: 640px";
  const add = (parent, tag) => parent.appendChild(document.createElement(tag));
  const head = add(box, "div");
  const name = add(head, "b");
  const status = add(head, "span");
  const image = add(box, "img");
  image.alt = "Loss by step";
  image.style.maxWidth = "100%";
  const verdict = add(box, "div");
  verdict.setAttribute("role", "status");
  const draw = () => {
    name.textContent = model.get("name");
    status.textContent = ` · ${model.get("status")}`;
    image.hidden = !model.get("picture");
    if (!image.hidden) image.src = model.get("picture");
    verdict.textContent = model.get("sentence");
  };
  const events = ["status", "picture", "sentence"].map((trait) => `change:${trait}`);
  for (const event of events) model.on(event, draw);
  draw();
  return () => {
    for (const event of events) model.off(event, draw);
  };
}

export default { render };
