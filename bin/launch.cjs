// biome-ignore-all lint: an old Node has to understand this file, so that it says what is wrong, not "SyntaxError".
"use strict";

var needed = [22, 12];

/** Runs the command line under the name it was called by. */
module.exports = function launch(name) {
  var have = process.versions.node.split(".").map(Number);
  if (have[0] < needed[0] || (have[0] === needed[0] && have[1] < needed[1])) {
    return fail(
      "node_too_old",
      "Signalbox needs Node.js " + needed.join(".") + " or newer; this is " + process.versions.node + ".",
      "Install Node.js " + needed.join(".") + " or newer; in a checkout, `npx signalbox` brings its own.",
    );
  }
  var path = require("path");
  var bundle = path.join(__dirname, "..", "dist", "cli.cjs");
  // Compiled code is kept in a folder of this user: one in the shared temporary folder could be prepared by others.
  var home = process.env.HOME || process.env.LOCALAPPDATA || process.env.USERPROFILE;
  var cache = process.env.XDG_CACHE_HOME || (home && path.join(home, ".cache"));
  if (cache) require("module").enableCompileCache(path.join(cache, "signalbox"));
  var cli;
  try {
    cli = require(bundle);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND" || error.message.indexOf("cli.cjs") < 0) throw error;
    return fail("not_found", bundle + " is not there.", "Build it first: npm run build");
  }
  cli.run(name);
};

function fail(code, message, hint) {
  var isJson = process.argv.indexOf("--json") >= 0;
  process.stderr.write(
    isJson
      ? JSON.stringify({ error: { code: code, message: message, hint: hint } }) + "\n"
      : message + "\n" + hint + "\n",
  );
  process.exitCode = 1;
}
