export default function Endpoints() {
  return <h1>Endpoints</h1>;
}
