import { Range, Uri, window } from "vscode";
import type { Client } from "../../service/client/call.ts";

/** Opens a file, at a line that counts from 1. */
export async function showLine(file: string, line: number | undefined): Promise<void> {
  const selection = line === undefined ? undefined : new Range(line - 1, 0, line - 1, 0);
  await window.showTextDocument(Uri.file(file), selection === undefined ? {} : { selection });
}

/** @param line `labeller.lua:12` */
export async function openWorkflowLine(client: Client, workflow: string, line: string): Promise<void> {
  const { file } = await client.getWorkflow({ workflow });
  const number = Number(/:(\d+)$/.exec(line)?.[1]);
  await showLine(file, Number.isInteger(number) ? number : undefined);
}
