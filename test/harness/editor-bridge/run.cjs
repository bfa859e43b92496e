// Runs in the extension host, as its test suite: evaluates what the test process sends over a socket, so that one test
// can mix gestures in the window with calls of the editor's API. It is never part of the package.
"use strict";
const { createServer } = require("node:net");
const vscode = require("vscode");

exports.run = () =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      let text = "";
      socket.setEncoding("utf8");
      socket.on("data", (piece) => {
        text += piece;
        const end = text.indexOf("\n");
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        evaluate(JSON.parse(line)).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
      });
    });
    server.listen(process.env.SIGNALBOX_TEST_BRIDGE);
    process.once("SIGTERM", () => resolve());
  });

async function evaluate({ body, arg }) {
  try {
    const value = await new Function("vscode", "arg", "require", body)(vscode, arg, require);
    return { value: value === undefined ? null : value };
  } catch (error) {
    return { error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) };
  }
}
