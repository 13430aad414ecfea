/** The export menu: a picture of the visible chart, or all the numbers. */

import type { Job } from "../../contract.gen";
import type { Rows } from "../../events/rows";
import { fileName, saveFile } from "../../lib/download";
import { configOf, shareable } from "../../lib/job-config-text";
import { say } from "../../ui/controls/live";
import type { MenuItem } from "../../ui/controls/menu";
import type { Scene } from "../geometry/scene";
import { rowsToCsv, rowsToJson, rowsToJsonLines, sceneToSvg } from "./formats";
import { isGarbled, paletteOf, svgToPng } from "./rasterize";

interface ExportRun {
  id: string;
  name: string;
  job: unknown;
  rows: Rows;
}

/** A job as named in an export. */
export function exportRun(id: string, name: string, job: Job | undefined, rows: Rows): ExportRun {
  return { id, name, job: { id, name: job?.name, config: job && shareable(configOf(job)) }, rows };
}

export function exportItems(
  scene: () => Scene | null,
  title: string,
  runs: readonly ExportRun[],
): MenuItem[] {
  const picture = (use: (svg: string, scene: Scene) => void | Promise<void>) => () => {
    const drawn = scene();
    if (drawn) void use(sceneToSvg(drawn, title, paletteOf(drawn)), drawn);
  };
  return [
    {
      label: "SVG",
      hint: "picture",
      run: picture((svg) => saveFile(fileName(title, "svg"), svg, "image/svg+xml")),
    },
    {
      label: "PNG",
      hint: "picture",
      run: picture(async (svg, { width }) => {
        if (isGarbled())
          return say("This browser garbles PNG pictures to resist fingerprinting. Save the SVG instead.");
        const height = Number(/height="(\d+)"/.exec(svg)?.[1]);
        try {
          saveFile(fileName(title, "png"), await svgToPng(svg, width, height));
        } catch {
          say("The picture could not be made");
        }
      }),
    },
    {
      label: "CSV",
      hint: "all points",
      run: () => saveFile(fileName(title, "csv"), rowsToCsv(runs), "text/csv"),
    },
    {
      label: "JSON Lines",
      hint: "all points",
      run: () => saveFile(fileName(title, "jsonl"), rowsToJsonLines(runs), "application/jsonl"),
    },
    {
      label: "JSON",
      hint: "all points",
      run: () => saveFile(fileName(title, "json"), rowsToJson(runs), "application/json"),
    },
  ];
}
