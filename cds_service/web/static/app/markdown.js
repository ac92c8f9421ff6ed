/** The Markdown of a card's detail to nodes, one by one: no markup is parsed by the browser, nothing else can come of it. */

import markdownIt from "./vendor/markdown-it.min.js";
import { h } from "./dom.js";

// CDS Hooks 2.0, Card Attributes: detail is GitHub Flavored Markdown. HTML in it stays text.
const reader = markdownIt({ html: false, linkify: false, typographer: false });

const SAFE = new Set(["p", "ul", "ol", "li", "strong", "em", "s", "blockquote", "code", "pre", "hr", "table", "thead", "tbody", "tr", "th", "td"]);
// The page has headings of its own; those of a card are no part of its outline.
const INSTEAD = new Map([["h1", "p"], ["h2", "p"], ["h3", "p"], ["h4", "p"], ["h5", "p"], ["h6", "p"]]);

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function markdown(text) {
  const root = document.createDocumentFragment();
  build(reader.parse(text, {}), root);
  return root;
}

/**
 * @param {any[]} tokens
 * @param {ParentNode & Node} root
 */
function build(tokens, root) {
  /** @type {any[]} */
  const open = [root];
  for (const token of tokens) {
    const parent = open[open.length - 1];
    if (token.nesting === 1) {
      const element = made(token);
      parent.append(element);
      open.push(element);
    } else if (token.nesting === -1) {
      open.pop();
    } else if (token.type === "inline") {
      build(token.children, parent);
    } else {
      parent.append(leaf(token));
    }
  }
}

/** @param {any} token @returns {HTMLElement} */
function made(token) {
  if (token.hidden) return h("span");
  if (token.tag === "a") return link(token.attrGet("href") ?? "");
  const tag = INSTEAD.get(token.tag) ?? token.tag;
  return h(SAFE.has(tag) ? tag : "span");
}

/** @param {string} href @returns {HTMLElement} */
function link(href) {
  return /^https?:\/\//.test(href) ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }) : h("span");
}

/** @param {any} token @returns {Node} */
function leaf(token) {
  if (token.type === "hardbreak") return h("br");
  if (token.type === "softbreak") return document.createTextNode("\n");
  if (token.type === "hr") return h("hr");
  if (token.type === "code_inline") return h("code", {}, token.content);
  if (token.type === "fence" || token.type === "code_block") return h("pre", {}, h("code", {}, token.content));
  // A picture would be a request to another host: its description is shown.
  return document.createTextNode(token.content);
}
