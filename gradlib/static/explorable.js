// Brings <gradlib-explorable> to life: native controls choose a setting, Observable Plot draws it.
// A classic script without dependencies, so that it runs from file://, in a book and in a notebook's output.
(() => {
  "use strict";
  if (customElements.get("gradlib-explorable")) return; // a notebook may bring this script once per output

  // chart.js lies beside this script. It is large, so it loads when the first explorable comes near.
  const beside = document.currentScript?.src;
  let loading;

  function loadChart() {
    loading ??= new Promise((resolve, reject) => {
      if (globalThis.GradlibChart) return resolve();
      const script = document.createElement("script");
      script.src = new URL("chart.js", beside);
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${script.src} did not load`));
      document.head.append(script);
    });
    return loading;
  }

  const superscript = (exponent) => String(exponent).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

  /** A number as the book's prose writes it: 0.0557, 1.3 × 10⁻¹². */
  function written(value) {
    if (value === null) return "not finite";
    const [mantissa, exponent] = String(Number(value.toPrecision(6))).split("e");
    const text = mantissa.replace("-", "−");
    if (exponent !== undefined) return `${text}\u00a0×\u00a010${superscript(Number(exponent))}`;
    if (value === 0 || Math.abs(value) >= 1e-3) return text;
    const [digits, power] = value.toExponential().split("e");
    return `${digits.replace("-", "−")}\u00a0×\u00a010${superscript(Number(power))}`;
  }

  /** Round powers of ten, few enough to read; undefined where the axis spans too little to have any. */
  function powersOfTen([low, high], most) {
    const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    if (last - first < 2) return undefined;
    const step = [1, 2, 5, 10, 20, 50, 100].find((step) => (last - first) / step <= most);
    const ticks = [];
    for (let power = Math.ceil(first / step) * step; power <= last; power += step) ticks.push(10 ** power);
    return ticks;
  }

  /** A little room on both sides, so that no point lies on the frame. */
  function padded([low, high], logarithmic) {
    if (!logarithmic) return [low - 0.03 * (high - low), high + 0.03 * (high - low)];
    const room = 10 ** (0.03 * (Math.log10(high) - Math.log10(low))); // their ratio may be too large a number
    return [Math.max(low / room, Number.MIN_VALUE), high * room];
  }

  /** The rows of one setting: [{layer: 1, measured: 0.2, …}, …], values by the column's place. */
  function rows(payload, index) {
    const changing = JSON.parse(payload.settings[index]).values();
    const columns = payload.columns.map((column) =>
      column.values ? JSON.parse(column.values) : changing.next().value,
    );
    return columns[0].map((_, row) => columns.map((values) => values[row]));
  }

  function drawn(payload, rows, width, height) {
    const { plot, areaY, axisX, axisY, dot, gridY, line } = GradlibChart;
    const { columns, log_y: logarithmic } = payload;
    const x = (row) => row[0];
    // A missing value breaks the line: what cannot be drawn is not bridged.
    const y = (place) => (row) => (row[place] === null || (logarithmic && row[place] <= 0) ? NaN : row[place]);
    const bands = [], lines = [], points = [];
    columns.forEach(({ role, series, colour, shape, dashes }, place) => {
      const paint = `var(--gl-${colour})`;
      if (role === "low") {
        const high = columns.findIndex((other) => other.role === "high" && other.series === series);
        bands.push(areaY(rows, { x, y1: y(place), y2: y(high), fill: paint, fillOpacity: 0.2 }));
      } else if (role === "measured") {
        points.push(dot(rows, { x, y: y(place), fill: paint, symbol: shape, r: 3.5 }));
      } else if (role !== "x" && role !== "high") {
        lines.push(line(rows, { x, y: y(place), stroke: paint, strokeWidth: 2, strokeDasharray: dashes }));
      }
    });
    const yDomain = padded(payload.y_domain, logarithmic);
    const powers = logarithmic ? powersOfTen(yDomain, height / 45) : undefined;
    const yAxis = { ticks: powers ?? Math.round(height / 60), label: null };
    const chart = plot({
      width,
      height,
      marginTop: 30,
      marginRight: 12,
      marginBottom: 42,
      marginLeft: 56,
      style: "overflow: visible",
      x: { domain: padded(payload.x_domain) },
      y: { domain: yDomain, type: logarithmic ? "log" : "linear" },
      marks: [
        gridY({ ticks: yAxis.ticks, stroke: "var(--gl-grid)", strokeOpacity: 1 }),
        axisY({
          ...yAxis,
          tickSize: 0,
          tickFormat: (value) => (powers ? `10${superscript(Math.round(Math.log10(value)))}` : written(value)),
        }),
        axisX({
          ticks: Math.max(2, Math.round(width / 90)),
          tickFormat: written,
          label: columns[0].label,
          labelAnchor: "center",
          labelArrow: "none",
          labelOffset: 38,
        }),
        // The label of the vertical axis lies flat above it, where it can be read.
        axisY({ ticks: [], label: payload.y, labelAnchor: "top", labelArrow: "none", labelOffset: 56 }),
        ...bands,
        ...lines,
        ...points,
      ],
    });
    // The chart is one image with one name; inside it, names of marks are for tests and styles only.
    for (const mark of chart.querySelectorAll("[aria-label]")) {
      mark.dataset.mark = mark.getAttribute("aria-label");
      mark.removeAttribute("aria-label");
    }
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", "Chart"); // the figure around it carries the title
    return chart;
  }

  function cell(kind, text, scope) {
    const element = document.createElement(kind);
    element.textContent = text;
    if (scope) element.scope = scope;
    return element;
  }

  function table(payload, rows, setting) {
    const table = document.createElement("table");
    table.createCaption().textContent = setting ? `${payload.title}, at ${setting}` : payload.title;
    table.createTHead().insertRow().append(...payload.columns.map(({ label }) => cell("th", label, "col")));
    const body = table.createTBody();
    for (const [x, ...values] of rows) {
      body.insertRow().append(cell("th", written(x), "row"), ...values.map((v) => cell("td", written(v))));
    }
    return table;
  }

  class Explorable extends HTMLElement {
    connectedCallback() {
      if (this.payload) return; // notebooks move their outputs about
      if (document.readyState === "loading" && !this.querySelector("script")) {
        // The page defines explorables before it has read all of this one.
        document.addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
        return;
      }
      const part = (selector) => this.querySelector(selector);
      this.payload = JSON.parse(part("script[type='application/json']").textContent);
      [this.chart, this.summary, this.details] = [".gl-chart", ".gl-summary span", ".gl-data"].map(part);
      this.controls = [...this.querySelectorAll("input, select")];
      this.addEventListener("input", () => this.changed());
      this.details.addEventListener("toggle", () => this.tabulate());
      if (this.dataset.follow) this.follow();
      // Only now do the controls answer, so only now may they be seen.
      this.dataset.ready = "";
      const near = new IntersectionObserver(
        ([entry]) => {
          if (!entry.isIntersecting) return;
          near.disconnect();
          this.start();
        },
        { rootMargin: "600px" },
      );
      near.observe(this);
    }

    async start() {
      try {
        await loadChart();
      } catch (error) {
        // A picture that stays as it is would contradict the controls.
        this.chart.textContent = "The chart did not load. The table below has its data.";
        throw error;
      }
      this.started = true;
      // Fires once at the start, then whenever the width changes.
      new ResizeObserver(() => this.redraw()).observe(this.chart);
    }

    /** Place of each control's value, and with the last control fastest the place of the setting. */
    get places() {
      return this.controls.map((input, i) => {
        if (input.type === "range") return input.valueAsNumber;
        if (input.type === "checkbox") return this.payload.controls[i].values.indexOf(input.checked ? "on" : "off");
        return input.selectedIndex;
      });
    }

    get index() {
      return this.places.reduce((index, place, i) => index * this.payload.controls[i].values.length + place, 0);
    }

    get setting() {
      const { places } = this;
      return this.controls.map((_, i) => {
        const { label, values } = this.payload.controls[i];
        return `${label} ${values[places[i]]}`;
      }).join(", ");
    }

    changed() {
      const { places } = this;
      this.controls.forEach((input, i) => {
        if (input.type !== "range") return;
        const value = this.payload.controls[i].values[places[i]];
        input.setAttribute("aria-valuetext", value);
        input.closest(".gl-slider").querySelector(".gl-value").textContent = value;
      });
      this.querySelector(".gl-setting").textContent = this.setting;
      this.summary.textContent = this.payload.summaries[this.index];
      this.tabulate();
      // However fast the slider moves, one drawing a frame.
      this.frame ??= requestAnimationFrame(() => this.redraw());
    }

    redraw() {
      this.frame = undefined;
      const { clientWidth: width, clientHeight: height } = this.chart;
      if (!this.started || !width) return;
      this.chart.replaceChildren(drawn(this.payload, rows(this.payload, this.index), width, height));
    }

    tabulate() {
      this.details.querySelector(".gl-table")?.remove();
      if (!this.details.open) return;
      const scroller = document.createElement("div");
      scroller.className = "gl-table";
      // Focusable, so that the keyboard can scroll it; named, so that focus says where it is.
      Object.assign(scroller, { tabIndex: 0, role: "region", ariaLabel: `Data: ${this.payload.title}` });
      scroller.append(table(this.payload, rows(this.payload, this.index), this.setting));
      this.details.append(scroller);
    }

    /** Draw what a widget carries, at each of its changes; the axes may grow, never shrink. */
    follow() {
      let last;
      new MutationObserver(() => {
        const text = document.querySelector(`.${this.dataset.follow} script`)?.textContent;
        if (!text || text === last) return;
        last = text;
        const { x_domain: x, y_domain: y } = this.payload;
        this.payload = JSON.parse(text);
        this.payload.x_domain = union(x, this.payload.x_domain);
        this.payload.y_domain = union(y, this.payload.y_domain);
        this.changed();
      }).observe(document.body, { childList: true, subtree: true });
    }
  }

  const union = ([a, b], [c, d]) => [Math.min(a, c), Math.max(b, d)];

  customElements.define("gradlib-explorable", Explorable);
})();
