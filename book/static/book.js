// A formula that is wider than the page scrolls sideways; then the keyboard must reach it, too.
(() => {
  const reachable = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const formula of document.querySelectorAll("div.math")) {
    named(formula, "Formula");
    reachable.observe(formula);
  }

  // So does the theme with code and tables. What can have the focus has a name, and to the ear
  // code ends where text begins.
  for (const block of document.querySelectorAll("article pre")) {
    named(block, block.closest(".cell_output") ? "Output" : "Code");
  }
  for (const box of document.querySelectorAll(".pst-scrollable-table-container")) named(box, "Table");

  function named(element, name) {
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", name);
  }
})();

// The theme's drawers: they and their buttons say what is inside; Escape leads back to the button.
(() => {
  const drawers = { primary: "Contents of the book", secondary: "Contents of the page" };
  for (const [which, name] of Object.entries(drawers)) {
    const drawer = document.getElementById(`pst-${which}-sidebar-modal`);
    const button = document.querySelector(`.${which}-toggle`);
    drawer?.setAttribute("aria-label", name);
    button?.setAttribute("aria-label", name);
    drawer?.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      drawer.addEventListener("close", () => setTimeout(() => button?.focus()), { once: true });
    });
  }
  document.getElementById("pst-search-dialog")?.setAttribute("aria-label", "Search");
})();

// The button for the colours says which are chosen.
(() => {
  const root = document.documentElement;
  const modes = { auto: "those of the system", light: "light", dark: "dark" };
  const tell = () => {
    for (const button of document.querySelectorAll(".theme-switch-button")) {
      button.setAttribute("aria-label", `Colours: ${modes[root.dataset.mode]}`);
    }
  };
  new MutationObserver(tell).observe(root, { attributeFilter: ["data-mode"] });
  tell();
})();

// Paper is light, whatever the screen is.
(() => {
  const { dataset } = document.documentElement;
  let onScreen;
  addEventListener("beforeprint", () => {
    onScreen = dataset.theme;
    dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    dataset.theme = onScreen;
  });
})();
