/** Types of markdown-it.min.js: those of the npm package that it is taken from. */
export { default, type Token } from "markdown-it";
