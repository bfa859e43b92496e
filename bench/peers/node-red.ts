import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { FlowPeer } from "../peer.ts";
import { freePort } from "../port.ts";
import { stopProcess } from "../service.ts";

const require = createRequire(import.meta.url);

/** Node-RED with one flow: webhook → function → HTTP call to `target`; the caller is answered at once. */
export async function startNodeRed(folder: string, target: string): Promise<FlowPeer> {
  const port = await freePort();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "flows.json"), JSON.stringify(flow(target)));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "bench-flows", private: true }));
  writeFileSync(join(folder, "settings.js"), settings(port));
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [require.resolve("node-red/red.js"), "--userDir", folder, "--settings", join(folder, "settings.js")],
    { cwd: folder, stdio: "ignore" },
  );
  const url = `http://127.0.0.1:${port}/hook`;
  for (const deadline = performance.now() + 60_000; !(await answers(url)); ) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error("Node-RED did not start");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    pid: child.pid ?? 0,
    startMs: performance.now() - begun,
    url,
    close: () => stopProcess(child),
  };
}

/** A plain GET is no part of the flow, and its 404 has another text before the flow is there. */
async function answers(url: string): Promise<boolean> {
  try {
    const reply = await fetch(url, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    await reply.arrayBuffer();
    return reply.status === 202;
  } catch {
    return false; // Nobody listens yet.
  }
}

function flow(target: string): object[] {
  const decide = `
    if (msg.payload.action !== "opened") return null;
    const labels = msg.payload.issue.title.toLowerCase().includes("crash") ? ["bug"] : ["triage"];
    msg.url = ${JSON.stringify(target)} + "/repos/" + msg.payload.repository.full_name + "/issues/" + msg.payload.issue.number + "/labels";
    msg.method = "POST";
    msg.headers = { "content-type": "application/json" };
    msg.payload = { labels };
    return msg;`;
  return [
    { id: "tab", type: "tab", label: "bench", disabled: false },
    { id: "in", type: "http in", z: "tab", url: "/hook", method: "post", wires: [["answer", "decide"]] },
    { id: "answer", type: "http response", z: "tab", statusCode: "202", wires: [] },
    { id: "decide", type: "function", z: "tab", func: decide, outputs: 1, wires: [["call"]] },
    { id: "call", type: "http request", z: "tab", method: "use", ret: "obj", persist: true, wires: [[]] },
  ];
}

function settings(port: number): string {
  return `module.exports = {
    uiPort: ${port}, uiHost: "127.0.0.1", flowFile: "flows.json", httpAdminRoot: false, disableEditor: true,
    telemetry: { enabled: false }, diagnostics: { enabled: false }, logging: { console: { level: "off" } },
  };\n`;
}
