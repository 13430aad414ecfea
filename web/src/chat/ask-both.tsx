/** A question for a job's base and its adapter, side by side in the playground, answered as its run did: greedily. */
import type { ComponentChildren } from "preact";
import type { Job } from "../contract.gen";
import { clean } from "../lib/text";
import { go, href } from "../router";
import { BUILT_IN } from "./model/presets";
import { handOver, parseTarget, queryOfTargets } from "./targets";

interface Props {
  job: Job | undefined;
  /** The model that answers beside the base, as an address names it. */
  target: string;
  question: string;
  /** The system prompt. */
  system: string;
  class?: string;
  children: ComponentChildren;
}

/** A press asks; opened in another tab, the question waits there. */
export function AskBoth({ job, target, question, system, children, class: name = "" }: Props) {
  const base = job?.config?.model;
  const targets = [base && `base:${base}`, target]
    .flatMap((key) => (key ? [parseTarget(key)] : []))
    .filter((one) => one !== null);
  const ask = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const { params } = BUILT_IN[0]!;
    handOver({
      conversation: { system, targets, params, turns: {}, leaf: null, columns: columns(targets) },
      question,
    });
    go(href("/playground"));
  };
  return (
    <a
      class={name}
      href={href("/playground", { ...queryOfTargets(targets), prompt: question, system, steady: 1 })}
      aria-label={`Ask in Playground: ${clean(question, 80)}`}
      onClick={ask}
    >
      {children}
    </a>
  );
}

const columns = (targets: readonly unknown[]): number[] => targets.map((_, index) => index);
