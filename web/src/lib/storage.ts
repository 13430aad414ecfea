/** What a person chose or wrote, over reloads. A browser may forbid storage: then it holds for this page alone. */

/** `tab`: for this tab alone, and until it is closed. */
type Reach = "browser" | "tab";

function storage(reach: Reach): Storage {
  return reach === "tab" ? sessionStorage : localStorage;
}

export function recall(key: string, reach: Reach = "browser"): string | null {
  try {
    return storage(reach).getItem(key);
  } catch {
    return null;
  }
}

/** Whether it will be there after a reload. */
export function remember(key: string, value: string | null, reach: Reach = "browser"): boolean {
  try {
    if (value === null) storage(reach).removeItem(key);
    else storage(reach).setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
