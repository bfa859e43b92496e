/** One and the same small rule in Lua and in JavaScript: look into an issue, decide, send a command. */
export const RULE = `
sekia.on("github.issue.opened", function(event)
  local issue = event.payload
  local labels = { "triage" }
  if string.find(string.lower(issue.title), "crash", 1, true) then labels = { "bug", "triage" } end
  if issue.number % 2 == 0 then labels[#labels + 1] = "even" end
  sekia.command("bench-agent", "add_labels", { repository = issue.repository, number = issue.number, labels = labels })
end)
`;

export interface Issue {
  title: string;
  number: number;
  repository: string;
  author: { login: string; id: number };
  labels: string[];
}

export function makeIssue(number: number): Issue {
  return {
    title: number % 3 === 0 ? `Crash while saving ${number}` : `Please add button ${number}`,
    number,
    repository: `acme/project-${number % 50}`,
    author: { login: `user-${number % 300}`, id: 1_000_000 + (number % 300) },
    labels: ["new"],
  };
}

export interface Order {
  repository: string;
  number: number;
  labels: string[];
}

export function ruleInJavaScript(issue: Issue): Order {
  const labels = issue.title.toLowerCase().includes("crash") ? ["bug", "triage"] : ["triage"];
  if (issue.number % 2 === 0) labels.push("even");
  return { repository: issue.repository, number: issue.number, labels };
}

/** A payload of about so many characters of JSON, as events have them: records of short texts and numbers in a list. */
export function makePayload(chars: number): { items: { id: number; name: string; is_open: boolean }[] } {
  const items: { id: number; name: string; is_open: boolean }[] = [];
  for (let at = 0; at < chars; at += 50) {
    items.push({ id: at, name: `item number ${at}`, is_open: at % 100 === 0 });
  }
  return { items };
}
