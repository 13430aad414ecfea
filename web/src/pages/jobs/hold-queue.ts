import { errorText } from "../../api/client";
import { arrangeQueue } from "../../store/jobs";
import { announce, say } from "../../ui/controls/live";

/** Holds or resumes the queue, and announces the result. */
export async function holdQueue(held: boolean): Promise<void> {
  try {
    await arrangeQueue({ held });
    announce(held ? "The queue is held: no waiting job starts" : "Queue resumed");
  } catch (error) {
    say(`The queue was not changed: ${errorText(error)}`);
  }
}
