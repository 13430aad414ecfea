import { signal } from "@preact/signals";
import { expect, it } from "vitest";
import { askWhenever } from "./ask-whenever";

it("asks again for a change that came while it was asking", async () => {
  const away = signal(true);
  const asked: boolean[] = [];
  let answer = (): void => undefined;
  let known = false;
  askWhenever(
    () => away.value !== undefined && !known,
    async () => {
      const wasAway = away.peek();
      asked.push(wasAway);
      await new Promise<void>((done) => {
        answer = done;
      });
      known = !wasAway;
    },
  );
  away.value = false;
  expect(asked).toEqual([true]);
  answer();
  await expect.poll(() => asked).toEqual([true, false]);
  answer();
  await expect.poll(() => known).toBe(true);
  away.value = true;
  expect(asked).toEqual([true, false]);
});
