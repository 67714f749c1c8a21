// Each line of the input is a JSON list of texts; each line of the output the list of what the oracle says of them:
// [encoding, parts, parts if each code point stands by itself, whether each does].
"use strict";

const readline = require("node:readline");
const { SegmentedMessage } = require("sms-segments-calculator");
const textUtils = require("sms-segments-calculator/dist/libs/textUtils");

const splitGraphemes = textUtils.splitGraphemes;
const splitCodePoints = (text) => [...text];

function count(text, split) {
  textUtils.splitGraphemes = split;
  return new SegmentedMessage(text);
}

readline.createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
  const found = JSON.parse(line).map((text) => {
    const message = count(text, splitGraphemes);
    const alone = message.graphemes.length === splitCodePoints(text).length;
    return [message.encodingName, message.segmentsCount, count(text, splitCodePoints).segmentsCount, alone];
  });
  process.stdout.write(JSON.stringify(found) + "\n");
});
