import { expect, test } from "vitest";
import { rgbOf } from "./colour";

test.each([
  // As Chromium draws them.
  ["oklch(1 0 0)", "rgb(255,255,255)"],
  ["oklch(0 0 0)", "rgb(0,0,0)"],
  ["oklch(0.627955 0.257683 29.2339)", "rgb(255,0,0)"],
  ["oklch(0.86644 0.294827 142.4953)", "rgb(0,255,0)"],
  ["oklch(0.452014 0.313214 264.052)", "rgb(0,0,255)"],
  ["oklab(0.627955 0.224863 0.125846)", "rgb(255,0,0)"],
  ["oklch(58% 0.17 38)", "rgb(202,75,32)"],
  ["oklch(62.8% none none)", "rgb(136,136,136)"],
  ["rgb(12, 34, 56)", "rgb(12,34,56)"],
  ["rgba(12, 34, 56, 0.5)", "rgb(12,34,56)"],
  // More than sRGB can show.
  ["oklch(0.7 0.4 150)", "rgb(0,214,0)"],
  ["color(display-p3 1 0 0)", "color(display-p3 1 0 0)"],
])("%s is %s", (text, rgb) => expect(rgbOf(text)).toBe(rgb));
