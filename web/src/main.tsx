import "./tokens.css";
import "./base.css";
import { render } from "preact";
import { startKeys } from "./actions/actions";
import { pause } from "./api/stream-slots";
import { App, preload } from "./app";
import { startClock } from "./lib/clock";
import { startScrollRestoration } from "./lib/scroll-restoration";
import { startRouter } from "./router";
import { startTheme } from "./shell/theme";
import { loadCredentials } from "./store/credentials";
import { startTitle } from "./store/document-title";
import { loadFeatures } from "./store/features";
import { startJobs } from "./store/jobs";
import { startWatch } from "./store/watch";

const AT_MOST_MS = 150;

startRouter();
startScrollRestoration();
startTheme();
startClock();
startTitle();
startWatch();
startKeys();
startJobs();
void loadCredentials();
loadFeatures();

const root = document.getElementById("app");
// A page that is almost ready is drawn once; drawn in parts, it would be laid out and painted several times.
const nearly = Promise.race([preload().catch(() => undefined), pause(AT_MOST_MS)]);
if (root) void nearly.then(() => render(<App />, root));
