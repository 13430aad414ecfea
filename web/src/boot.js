// What has to happen before the first paint and cannot wait for a module: a question for a job's history
// (prefetch.ts), a word to the browser that the code of the page in the address will be needed too, and the theme.
(function () {
  var job = /^#\/jobs\/([^/?]+)/.exec(location.hash);
  if (job) {
    try {
      var url = "/api/jobs/" + encodeURIComponent(decodeURIComponent(job[1])) + "/history";
      var token = document.querySelector("meta[name=arkor-studio-token]").content;
      var answer = fetch(url, { headers: { "X-Arkor-Studio-Token": token }, cache: "no-store" });
      answer.catch(function () {});
      window.arkorPrefetched = { url: url, answer: answer };
    } catch {
      // Not a valid address: the page reports it.
    }
  }
  var chunks = __CHUNKS__;
  var pages = Object.keys(chunks).filter(function (page) {
    return location.hash.indexOf("#/" + page) === 0;
  });
  (chunks[pages[0]] || []).forEach(function (file) {
    var link = document.createElement("link");
    var style = /\.css$/.test(file);
    link.rel = style ? "preload" : "modulepreload";
    if (style) link.as = "style";
    link.crossOrigin = "";
    link.href = "/" + file;
    document.head.append(link);
  });
  // Last, because the first look into the storage takes a while.
  try {
    // The second is the choice in `arkor dev`, which people may run at the same address.
    var theme = localStorage.getItem("arkor.theme") ?? localStorage.getItem("arkor-studio-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // No storage, no choice.
  }
})();
