import "./tokens.css";
import "./base.css";
import { render } from "preact";
import { App } from "./app";
import { startRouter } from "./router";

startRouter();
const root = document.getElementById("app");
if (root) render(<App />, root);
