// Evaluated in the page by widths.py: what cannot be read or hit in the layout as it is, one line each.
(async () => {
  // A frame, in which the page hears of its new size, and what it does then in timers that it has set in that frame.
  await new Promise((done) => requestAnimationFrame(() => setTimeout(() => setTimeout(done))));
  const faults = [];
  const root = document.scrollingElement;
  const over = root.scrollWidth - root.clientWidth;
  if (over > 0) faults.push(`the page scrolls sideways by ${over} px`);

  const name = (element) => {
    const own = element.getAttribute("class") || element.id || element.parentElement?.getAttribute("class") || "";
    return `<${element.tagName.toLowerCase()} ${own}>`;
  };
  const styles = new Map();
  const style = (element) => {
    let known = styles.get(element);
    if (!known) styles.set(element, (known = getComputedStyle(element)));
    return known;
  };
  const frames = new Map();
  const frameOf = (element) => {
    if (!frames.has(element)) frames.set(element, element.getBoundingClientRect());
    return frames.get(element);
  };
  // What an element lies in: the nearest that scrolls, those that clip below it, and the nearest that floats.
  const around = new Map([[document.body, { clips: [], scrolls: null, floats: null }]]);
  const aroundOf = (element) => {
    let known = around.get(element);
    if (!known) {
      const above = aroundOf(element.parentElement ?? document.body);
      const { overflowX, overflowY, position, display } = style(element);
      const scrolls = overflowX === "auto" || overflowX === "scroll" || overflowY === "auto" || overflowY === "scroll";
      const clips = overflowX !== "visible" && display !== "inline" ? [element, ...above.clips] : above.clips;
      known = {
        clips: scrolls ? [] : clips,
        scrolls: scrolls ? element : above.scrolls,
        floats: ["fixed", "sticky", "absolute"].includes(position) ? element : above.floats,
      };
      around.set(element, known);
    }
    return known;
  };
  // A modal dialog makes the rest of the page inert; what is under it is not read now.
  const modal = document.querySelector("dialog:modal");
  const shown = new Map();
  const isShown = (element) => {
    if (!element || element === document.body) return true;
    let known = shown.get(element);
    if (known === undefined) {
      const { clipPath, opacity } = style(element);
      known = clipPath === "none" && opacity !== "0" && isShown(element.parentElement);
      shown.set(element, known);
    }
    return known;
  };
  const isSeen = (element) =>
    (!modal || modal.contains(element)) && element.checkVisibility({ visibilityProperty: true }) && isShown(element);
  const colours = new Map();
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  // Red, green and blue from 0 to 255, and alpha from 0 to 1, of any form that CSS has for a colour.
  const colour = (text) => {
    if (!colours.has(text)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = text;
      pixel.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
      colours.set(text, [red, green, blue, alpha / 255]);
    }
    return colours.get(text);
  };
  const blend = ([red, green, blue, alpha], under) =>
    [red, green, blue].map((value, at) => value * alpha + under[at] * (1 - alpha));
  const grounds = new Map([[null, [255, 255, 255]]]);
  // What is painted behind an element's text by itself and what it lies in; none is known on a picture or gradient.
  const ground = (element) => {
    if (!grounds.has(element)) {
      const { backgroundColor, backgroundImage } = style(element);
      const own = colour(backgroundColor);
      const under = own[3] === 1 ? [0, 0, 0] : ground(element.parentElement);
      grounds.set(element, backgroundImage === "none" && under ? blend(own, under) : null);
    }
    return grounds.get(element);
  };
  const opacity = (element) =>
    element && element !== document.documentElement ? style(element).opacity * opacity(element.parentElement) : 1;
  const luminance = (values) => {
    const [red, green, blue] = values.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const isOff = (element) =>
    element.closest(":disabled, [aria-disabled=true]") || element.closest("label")?.control?.disabled;
  // WCAG 1.4.3. What is one character may be a drawing.
  const contrastFault = (element, text) => {
    const { color, fill, fontSize, fontWeight } = style(element);
    const behind = ground(element);
    if (!behind || [...text].length < 2 || isOff(element)) return;
    const [red, green, blue, alpha] = colour(element.closest("svg") ? fill : color);
    const pair = [luminance(blend([red, green, blue, alpha * opacity(element)], behind)), luminance(behind)];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    const size = parseFloat(fontSize);
    const wanted = size >= 24 || (size >= 18.66 && fontWeight >= 700) ? 3 : 4.5;
    if (ratio < wanted) faults.push(`a contrast of ${ratio.toFixed(2)}, and it must be ${wanted}: ${text.slice(0, 40)}`);
  };
  const isReadElsewhere = (element) => element.closest("[title]:not([title=''])") || element.closest("g, svg")?.querySelector("title");
  // Where the text ends up on the screen; a scrolling box can be scrolled to it, a clipping one cuts it.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.trim();
    const element = node.parentElement;
    if (!text || !isSeen(element) || element.closest("option, script, style, title")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
    if (rects.length === 0) continue;
    const { fontSize, lineHeight } = style(element);
    contrastFault(element, text);
    if (parseFloat(lineHeight) < parseFloat(fontSize)) faults.push(`lines of ${lineHeight} for letters of ${fontSize}: ${text.slice(0, 40)}`);
    const { clips, scrolls, floats } = aroundOf(element);
    const layer = floats ? name(floats) : "";
    const clip = clips[0] ?? null;
    const cutter = clips.find((at) => {
      const box = frameOf(at);
      const right = Math.max(...rects.map((rect) => rect.right)) - box.right;
      const left = box.left - Math.min(...rects.map((rect) => rect.left));
      const below = Math.max(...rects.map((rect) => rect.bottom)) - box.bottom;
      return Math.max(right, left) > 1 || below > 4;
    });
    if (cutter && !isReadElsewhere(element)) faults.push(`cut by ${name(cutter)}: ${text.slice(0, 60)}`);
    if (!scrolls && !clip && rects.some(({ left, right }) => left < -1 || right > innerWidth + 1)) {
      faults.push(`beyond the window: ${text.slice(0, 60)}`);
    }
    // SVG text is drawn where the drawing wants it; a chart has its own tests.
    if (!element.closest("svg")) for (const rect of rects) texts.push({ element, text, rect, layer, clip, scrolls });
  }
  const within = ({ rect, clip, scrolls }) => {
    let { left, right, top, bottom } = rect;
    for (const frame of [clip, scrolls]) {
      if (!frame) continue;
      const box = frameOf(frame);
      [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    return { left, right, top, bottom };
  };
  // Two texts in one layer, and in one scrolling box, lie over one another: neither can be read.
  const drawn = texts.map((text) => ({ ...text, box: within(text) })).sort((one, two) => one.box.top - two.box.top);
  for (let one = 0; one < drawn.length; one++) {
    const { element, text, layer, scrolls, box: a } = drawn[one];
    // What begins below its end cannot lie over it, and neither can any that follows.
    for (let two = one + 1; two < drawn.length && a.bottom - drawn[two].box.top > 5; two++) {
      const other = drawn[two];
      if (element === other.element || layer !== other.layer || scrolls !== other.scrolls) continue;
      const b = other.box;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 5) faults.push(`one over the other: ${text.slice(0, 40)} / ${other.text.slice(0, 40)}`);
    }
  }
  for (const element of document.querySelectorAll("input:not([type=checkbox], [type=radio], [type=range]), select, textarea")) {
    if (isSeen(element)) contrastFault(element, element.value || "");
  }
  // A finger needs 24 px each way; a link within a sentence is as high as its line (WCAG 2.5.8 says the same).
  for (const element of document.querySelectorAll("a, button, input, select, textarea, summary, [role=button]")) {
    if (!isSeen(element) || element.closest("svg")) continue;
    const target = element.closest("label") ?? element;
    const { width, height } = target.getBoundingClientRect();
    if (width === 0 || (width >= 23.5 && height >= 23.5)) continue;
    const after = getComputedStyle(element, "::after");
    if (after.position === "absolute" && after.content !== "none") continue;
    const inText = element.tagName === "A" && style(element).display === "inline";
    if (!inText) faults.push(`a target of ${Math.round(width)} × ${Math.round(height)} px: ${name(element)} ${element.textContent.trim().slice(0, 30)}`);
  }
  return [...new Set(faults)];
})();
