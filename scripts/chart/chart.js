export { plot, areaY, axisX, axisY, dot, gridX, gridY, line } from "@observablehq/plot";
