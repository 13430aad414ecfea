/** Computed colours for an exported SVG, and its conversion to PNG. */
import { rgbOf } from "../data/colour";
import type { Scene } from "../geometry/scene";
import type { Palette } from "./formats";

const SCALE = 2;

/** The tokens' colours as `rgb()`: a drawing program knows neither custom properties nor oklch. */
export function paletteOf(scene: Scene): Palette {
  const probe = document.createElement("span");
  document.body.append(probe);
  const colour = (token: string): string => {
    probe.style.color = `var(${token})`;
    return rgbOf(getComputedStyle(probe).color);
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

/** Largest error of the pixels of a canvas filled with one colour, in 255ths, for a PNG to be usable. */
const MOST_NOISE = 16;
const SAMPLE = 8;

/** Whether this browser adds noise to canvas pixels, to resist fingerprinting. */
export function isGarbled(): boolean {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SAMPLE;
  const pen = canvas.getContext("2d")!;
  const colour = [40, 120, 200, 255];
  pen.fillStyle = `rgb(${colour.slice(0, 3).join()})`;
  pen.fillRect(0, 0, SAMPLE, SAMPLE);
  return pen
    .getImageData(0, 0, SAMPLE, SAMPLE)
    .data.some((value, at) => Math.abs(value - colour[at % 4]!) > MOST_NOISE);
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
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be made."))),
      "image/png",
    );
  });
}
