import * as z from "zod";
import { jsonObject, pageLimit, text } from "./common.ts";

/** One decision about an effect, or its end. Entries are never changed or removed. */
export const auditEntry = z.object({
  /** 1, 2, 3, … without a gap. */
  seq: z.int(),
  time_ms: z.int(),
  /** `judged`, `approved`, `denied`, `changed`, `retried`, `succeeded`, `failed`, `expired`, `skipped`, `unknown`. */
  kind: z.string(),
  effect_id: z.string(),
  /** Of the effect as it was then. */
  sha256: z.string(),
  /** Who decided, or carried it out. */
  actor: z.string().nullable(),
  detail: jsonObject,
  /** The hash of the entry before. */
  prev: z.string(),
  /** Hex SHA-256 over the canonical JSON of all other fields. */
  hash: z.string(),
});
export type AuditEntry = z.infer<typeof auditEntry>;

export const auditQuery = z.strictObject({
  effect_id: text(200).optional(),
  /** Only entries with a larger `seq`. */
  after: z.coerce.number().int().min(0).default(0),
  limit: pageLimit.default(100),
});
export type AuditQuery = z.infer<typeof auditQuery>;
export const auditPage = z.object({ entries: z.array(auditEntry), next: z.int().nullable() });

/** `head`: a hash that somebody noted earlier; it has to be in the chain. */
export const verifyAudit = z.strictObject({
  head: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export const auditVerified = z.object({
  ok: z.boolean(),
  entries: z.int(),
  /** Note it somewhere else: it proves later that nothing up to here was changed. */
  head: z.string().nullable(),
  problem: z.string().nullable(),
});

export const auditRoutes = {
  listAudit: {
    method: "GET",
    path: "/v1/audit",
    summary: "List decisions about effects and their ends, oldest first.",
    query: auditQuery,
    reply: auditPage,
  },
  verifyAudit: {
    method: "GET",
    path: "/v1/audit/verify",
    summary: "Tell whether the audit trail is whole and unchanged.",
    query: verifyAudit,
    reply: auditVerified,
  },
  exportAudit: {
    method: "GET",
    path: "/v1/audit/export",
    summary: "Read the whole audit trail, one entry a line.",
    reply: auditEntry,
    stream: "ndjson",
  },
} as const;
