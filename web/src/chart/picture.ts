/** A chart's way out of the browser: colours as they are computed now, and a picture drawn from the SVG. */
import type { Palette } from "./export";
import type { Scene } from "./scene";

const SCALE = 2;

/** The tokens' colours as `rgb()`: a drawing program knows neither custom properties nor oklch. */
export function paletteOf(scene: Scene): Palette {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true })!;
  const probe = document.createElement("span");
  document.body.append(probe);
  const colour = (token: string): string => {
    probe.style.color = `var(${token})`;
    pen.fillStyle = getComputedStyle(probe).color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    return `rgb(${red},${green},${blue})`;
  };
  const palette = {
    paper: colour("--bg"),
    ink: colour("--ink"),
    hint: colour("--ink-2"),
    grid: colour("--line"),
    axis: colour("--line-strong"),
    gap: colour("--warn"),
    tones: new Map(scene.drawn.map(({ track }) => [track.tone, colour(track.tone)])),
  };
  probe.remove();
  return palette;
}

export async function svgToPng(svg: string, width: number, height: number): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width * SCALE;
  canvas.height = height * SCALE;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be made."))), "image/png");
  });
}
