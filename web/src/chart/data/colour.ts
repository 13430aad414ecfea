/**
 * A computed colour as `rgb()`. Reading it back from a canvas would be shorter, but a browser that resists fingerprinting
 * answers with noise.
 */

/** `text` is a colour as `getComputedStyle` returns it: `rgb()`, `oklch()` or `oklab()`; anything else is returned unchanged. */
export function rgbOf(text: string): string {
  const [, space, inside = ""] = /^(\w+)\((.*)\)$/.exec(text) ?? [];
  const [a = 0, b = 0, c = 0] = inside
    .split(/[\s,/]+/)
    .map((part) => (part.endsWith("%") ? Number.parseFloat(part) / 100 : Number.parseFloat(part) || 0));
  if (space === "rgb" || space === "rgba") return rgbText([a, b, c]);
  if (space === "oklab") return rgbText(oklabToRgb(a, b, c));
  const hue = (c * Math.PI) / 180;
  return space === "oklch" ? rgbText(oklabToRgb(a, b * Math.cos(hue), b * Math.sin(hue))) : text;
}

/** B. Ottosson, "A perceptual color space for image processing", 2020; clipped to what sRGB can show. */
function oklabToRgb(lightness: number, a: number, b: number): number[] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map(
    (value) => 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055),
  );
}

const rgbText = (parts: number[]): string =>
  `rgb(${parts.map((part) => Math.round(Math.min(255, Math.max(0, part)))).join()})`;
