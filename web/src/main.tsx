import "./tokens.css";
import "./base.css";
import { render } from "preact";
import { App, preload } from "./app";
import { startRouter } from "./router";
import { startTheme } from "./shell/theme";
import { startClock } from "./store/clock";
import { loadCredentials } from "./store/credentials";
import { startJobs } from "./store/jobs";
import { startWatch } from "./store/watch";
import { startKeys } from "./ui/actions";
import { startTitle } from "./ui/title";

preload();
startRouter();
startTheme();
startClock();
startTitle();
startWatch();
startKeys();
startJobs();
void loadCredentials();

const root = document.getElementById("app");
if (root) render(<App />, root);
