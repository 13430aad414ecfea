import { expect, test, vi } from "vitest";

const withdrawn: boolean[] = [];
vi.mock("./stream", () => ({
  JobStream: class {
    state = { subscribe: () => () => undefined };
    reopen(end: boolean): boolean {
      withdrawn.push(end);
      return true;
    }
  },
}));

test("the end is withdrawn of a job that the list had as ended before its page was opened", async () => {
  const { historyLoaded, reopenStreams } = await import("./use-stream");
  reopenStreams(() => true);
  void historyLoaded("longer");
  reopenStreams(() => false);
  expect(withdrawn).toEqual([true]);
});

test("a list that lags behind the events withdraws no end", async () => {
  const { historyLoaded, reopenStreams } = await import("./use-stream");
  withdrawn.length = 0;
  reopenStreams(() => false);
  void historyLoaded("lagging");
  reopenStreams((id) => (id === "lagging" ? false : undefined));
  expect(withdrawn).toEqual([false]);
});
