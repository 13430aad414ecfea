// What has to happen before the first paint and cannot wait for a module: the theme, and a word to the
// browser that the code of the page in the address will be needed too.
(function () {
  try {
    var theme = localStorage.getItem("arkor.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    // No storage, no choice.
  }
  var chunks = __CHUNKS__;
  var pages = Object.keys(chunks).filter(function (page) {
    return location.hash.indexOf("#/" + page) === 0;
  });
  (chunks[pages[0]] || []).forEach(function (file) {
    var link = document.createElement("link");
    link.rel = "modulepreload";
    link.crossOrigin = "";
    link.href = "/" + file;
    document.head.append(link);
  });
})();
