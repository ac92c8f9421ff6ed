/** The Markdown of a card's detail as elements, made one by one: the browser parses no markup. */

import markdownIt from "./vendor/markdown-it.min.js";
import { h } from "./dom.js";

/** @import { Token } from "./vendor/markdown-it.min.js" */

// CDS Hooks 2.0, Card Attributes: detail is GitHub Flavored Markdown. HTML in it stays text.
const parser = markdownIt({ html: false, linkify: false, typographer: false });

const ALLOWED = /** @type {const} */ (
  ["p", "ul", "ol", "li", "strong", "em", "s", "blockquote", "code", "pre", "hr", "table", "thead", "tbody", "tr", "th", "td"]
);

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function markdown(text) {
  const root = document.createDocumentFragment();
  build(parser.parse(text, {}), root);
  return root;
}

/**
 * @param {Token[]} tokens
 * @param {ParentNode} root
 */
function build(tokens, root) {
  /** @type {ParentNode[]} */
  const open = [root];
  for (const token of tokens) {
    const parent = open.at(-1) ?? root;
    if (token.nesting === 1) {
      const element = container(token);
      parent.append(element);
      open.push(element);
    } else if (token.nesting === -1) {
      open.pop();
    } else if (token.type === "inline") {
      build(token.children ?? [], parent);
    } else {
      parent.append(leaf(token));
    }
  }
}

/** @param {Token} token @returns {HTMLElement} */
function container(token) {
  if (token.hidden) return h("span");
  if (token.tag === "a") return link(String(token.attrGet("href")));
  // The page has headings of its own; those of a card are no part of its outline.
  if (/^h[1-6]$/.test(token.tag)) return h("p");
  return h(ALLOWED.find((tag) => tag === token.tag) ?? "span");
}

/** @param {string} href @returns {HTMLElement} */
function link(href) {
  return /^https?:\/\//.test(href) ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }) : h("span");
}

/** @param {Token} token @returns {Node} */
function leaf(token) {
  if (token.type === "hardbreak") return h("br");
  if (token.type === "softbreak") return document.createTextNode("\n");
  if (token.type === "hr") return h("hr");
  if (token.type === "code_inline") return h("code", {}, token.content);
  if (token.type === "fence" || token.type === "code_block") return h("pre", {}, h("code", {}, token.content));
  // A picture would be a request to another host, so its description is shown.
  return document.createTextNode(token.content);
}
