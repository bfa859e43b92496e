import type { ExtensionContext, LogOutputChannel } from "vscode";
import type { EventDocuments } from "./documents/events.ts";
import type { Approvals } from "./panels/approvals.ts";
import type { ServiceLink } from "./service.ts";
import type { Views } from "./views/index.ts";

/** What commands, views and panels are given; made once, in main.ts. */
export interface Parts {
  readonly context: ExtensionContext;
  readonly log: LogOutputChannel;
  readonly link: ServiceLink;
  readonly views: Views;
  readonly approvals: Approvals;
  readonly eventDocuments: EventDocuments;
}
