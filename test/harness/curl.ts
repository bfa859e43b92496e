/** Does what the documentation asks of curl, since a bare machine may lack it: `node curl.ts [options] URL`. */
import { request } from "node:http";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    silent: { type: "boolean" },
    "unix-socket": { type: "string" },
    header: { type: "string", multiple: true },
    data: { type: "string" },
  },
});
const url = new URL(positionals[0] ?? "");
const headers = (values.header ?? []).map((line) => line.split(/:\s*/, 2) as [string, string]);
request({
  socketPath: values["unix-socket"],
  method: values.data === undefined ? "GET" : "POST",
  path: url.pathname + url.search,
  headers: Object.fromEntries([["Host", url.host], ...headers]),
})
  .on("response", (response) => response.pipe(process.stdout))
  .end(values.data);
