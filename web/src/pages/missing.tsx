import { useEffect } from "preact/hooks";
import { setTitle } from "../store/document-title";
import { Empty } from "../ui/empty";

export function Missing() {
  useEffect(() => setTitle("Not found"), []);
  return (
    <>
      <h1 tabIndex={-1} class="visually-hidden">
        No such page
      </h1>
      <Empty title="There is no page at this address." action={<a href="#/">Go to Home</a>} />
    </>
  );
}
