// The parts of Observable Plot that the pages use; all else is left out of the bundle.
export { barX, cell, dot, plot, rectY, ruleX, ruleY, text } from "@observablehq/plot";
