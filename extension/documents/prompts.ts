import {
  EventEmitter,
  type FileChangeEvent,
  FileSystemError,
  type FileSystemProvider,
  FileType,
  Uri,
  workspace,
} from "vscode";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { Disposable } from "../emitter.ts";
import type { ServiceLink } from "../service.ts";

const SCHEME = "signalbox-prompt";

/** A topic's prompt as a document: saving it tells the service. */
export function promptUri(topic: string): Uri {
  return Uri.from({ scheme: SCHEME, path: `/${encodeURIComponent(topic)}.prompt.md` });
}

export function registerPrompts(link: ServiceLink): Disposable {
  const changed = new EventEmitter<FileChangeEvent[]>();
  const registered = workspace.registerFileSystemProvider(SCHEME, promptFiles(link, changed), {
    isCaseSensitive: true,
  });
  return {
    dispose() {
      registered.dispose();
      changed.dispose();
    },
  };
}

function promptFiles(link: ServiceLink, changed: EventEmitter<FileChangeEvent[]>): FileSystemProvider {
  const none = () => {
    throw FileSystemError.NoPermissions();
  };
  const read = async (uri: Uri): Promise<Uint8Array> => {
    const client = await link.ready();
    try {
      const { prompt } = await client.getTopic({ topic: topicOf(uri) });
      return Buffer.from(prompt ?? "", "utf8");
    } catch (error) {
      throw SignalboxError.is(error, "not_found") ? FileSystemError.FileNotFound(uri) : error;
    }
  };
  // What the editor compares to see whether somebody else has changed the text meanwhile.
  let version = 0;
  return {
    onDidChangeFile: changed.event,
    watch: () => ({ dispose() {} }),
    async stat(uri) {
      const size = (await read(uri)).byteLength;
      return { type: FileType.File, ctime: 0, mtime: version, size };
    },
    readFile: read,
    async writeFile(uri, content) {
      const text = Buffer.from(content).toString("utf8");
      const client = await link.ready();
      await client.updateTopic({ topic: topicOf(uri), prompt: text.trim() === "" ? null : text });
      version += 1;
    },
    readDirectory: none,
    createDirectory: none,
    delete: none,
    rename: none,
  };
}

function topicOf(uri: Uri): string {
  return decodeURIComponent(uri.path.slice(1, -".prompt.md".length));
}
