import * as z from "zod";

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
};

const units: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

/** What is wrong with a value, to be read after its name: `repo: is missing`. Nothing where zod's own words will do. */
export function faultOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "is missing";
      return kinds[issue.expected] === undefined ? undefined : `must be ${kinds[issue.expected]}`;
    case "invalid_value":
      return issue.input === undefined ? "is missing" : `must be ${anyOf(issue.values)}`;
    case "too_big":
      return range(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "too_small":
      if (issue.origin === "string" && issue.minimum === 1) return "must not be empty";
      return range(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "unrecognized_keys":
      return `has no field ${issue.keys.join(", ")}`;
    default:
      return undefined;
  }
}

function range(origin: string, bound: string, limit: number | bigint): string {
  const unit = units[origin];
  return unit === undefined ? `must be ${bound} ${limit}` : `must have ${bound} ${limit}${unit}`;
}

function anyOf(values: readonly unknown[]): string {
  const [only] = values;
  return values.length === 1 ? String(only) : `one of ${values.map(String).join(", ")}`;
}

z.config({ customError: faultOf });
