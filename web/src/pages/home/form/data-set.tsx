/** The data set among the settings: the source of its rows, and a replacement file. */
import type { Trainer } from "../../../contract.gen";
import { datasetName } from "../../../lib/job-config-text";
import { clean } from "../../../lib/text";
import { drafted } from "../../../store/trainer-draft";
import { UseFile } from "../use-file";

export function DataSetRow({ trainer, revision }: { trainer: Trainer; revision: string }) {
  const { datasetSource, evalDatasetSource } = drafted(trainer).config!;
  return (
    <div class="set-row set-row-text">
      <div class="set-name">
        <span id="set-dataset">Data set</span>
      </div>
      <div class="set-data" role="group" aria-labelledby="set-dataset">
        <bdi class="set-data-name">{clean(datasetName(datasetSource), 400)}</bdi>
        <UseFile trainer={trainer} revision={revision} />
      </div>
      {evalDatasetSource && (
        <p class="set-note">
          Evaluated on <bdi>{clean(datasetName(evalDatasetSource), 400)}</bdi>
        </p>
      )}
    </div>
  );
}
