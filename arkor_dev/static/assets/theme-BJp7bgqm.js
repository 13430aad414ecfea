(function () {
  try {
    var theme = localStorage.getItem("arkor.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    return;
  }
})();
