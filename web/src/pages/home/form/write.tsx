/** Shows how the file will change, before it is written. */
import { api } from "../../../api/client";
import type { SettingsWritten, Trainer } from "../../../contract.gen";
import { forgetEdits, reloadManifest, undoWrite } from "../../../store/manifest";
import { type Changes, dropDraft } from "../../../store/trainer-draft";
import { WriteDialog } from "../../../ui/diff";

interface Props {
  trainer: Trainer;
  revision: string;
  changes: Changes;
  onClose: () => void;
}

export function WriteSettings({ trainer, revision, changes, onClose }: Props) {
  const request = { trainer: trainer.name, revision, settings: changes };
  const post = (preview: boolean): Promise<SettingsWritten> =>
    api("/manifest/settings", { method: "POST", body: { ...request, preview } });
  const written = async (): Promise<void> => {
    await reloadManifest();
    dropDraft(trainer);
    forgetEdits();
  };
  return <WriteDialog post={post} written={written} undo={undoWrite} onClose={onClose} />;
}
