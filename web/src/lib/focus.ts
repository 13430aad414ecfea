/** Moves the focus to a neighbour when the focused element is removed; the browser would drop it. */

/**
 * Listens to the whole page. An element with `data-focus-next="selector"` names the element to focus when the focused
 * one inside it is removed: the first match inside it, else on the page. The nearest such element that still exists
 * decides.
 */
export function startFocusRecovery(): void {
  let last: Element | null = null;
  let boxes: HTMLElement[] = [];
  addEventListener("focusin", ({ target }) => {
    last = target as Element;
    boxes = [];
    for (let box: Element | null = last; box; box = box.parentElement) {
      if (box instanceof HTMLElement && box.dataset.focusNext) boxes.push(box);
    }
  });
  new MutationObserver(() => {
    if (!last || last.isConnected || document.activeElement !== document.body) return;
    last = null;
    const box = boxes.find((candidate) => candidate.isConnected);
    const selector = box?.dataset.focusNext;
    if (!selector) return;
    const next = box.querySelector<HTMLElement>(selector) ?? document.querySelector<HTMLElement>(selector);
    next?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
}
