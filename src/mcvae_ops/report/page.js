"use strict";
// What the explorer and the report share: the data of the page, and its elements.
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
// Replace words with those of the screen: genes may be compounds.
const say = (text) => text.replace(/\b(gene|guide|NTC)(s?)\b/g, (_, word, s) => DATA.words[word] + s);

function element(tag, text, attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.textContent = text;
  return made;
}
