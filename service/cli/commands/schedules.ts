import type { Command } from "commander";
import type { JsonObject } from "../../contract/common.ts";
import type { MissedPolicy, Schedule, ScheduleKind, ScheduleState } from "../../contract/schedules.ts";
import { parseDuration } from "../../lib/duration.ts";
import type { Context } from "../context.ts";
import { given } from "../given.ts";
import { readInput } from "../input.ts";
import { dateTime, duration, jsonObject, wholeNumber } from "../parse.ts";
import * as views from "../schedule-view.ts";
import { UsageError } from "../usage.ts";

interface WhenOptions {
  cron?: string;
  every?: number;
  at?: string;
  on?: string;
  tz?: string;
}

interface ScheduleOptions extends WhenOptions {
  title?: string | false;
  type?: string;
  subject?: string;
  topic?: string | false;
  body?: string | false;
  payload?: JsonObject;
  scope?: string | false;
  missed?: MissedPolicy;
  paused?: boolean;
  next?: number;
}

const policies = ["skip", "once", "all"] as const;

export function register(program: Command, context: Context): void {
  const schedules = program
    .command("schedules")
    .description("events at a time, in steps, by a cron expression, or because of other events");
  const list = schedules.command("list", { isDefault: true }).description("list schedules");
  list
    .addOption(list.createOption("--state <state>", "in this state").choices(["active", "paused", "done"]))
    .addOption(list.createOption("--kind <kind>", "of this kind").choices(["at", "every", "cron", "event"]))
    .option("--scope <scope>", "of this scope")
    .action(async (options: { state?: ScheduleState; kind?: ScheduleKind; scope?: string }) => {
      const reply = await (await context.client()).listSchedules(given(options));
      context.out.result(reply, () => views.printSchedules(context.out, reply.schedules));
    });
  schedules
    .command("show")
    .description("show a schedule and when it is due")
    .argument("<name>")
    .action(async (schedule: string) =>
      show(context, await (await context.client()).getSchedule({ schedule })),
    );
  changing(schedules, context);
  looking(schedules, context);
}

function changing(schedules: Command, context: Context): void {
  addSettings(
    addWhen(schedules.command("add").description("make a schedule").argument("<name>")).option(
      "--paused",
      "make it, but let it wait",
    ),
  )
    .option("--dry-run", "only show when it would be due")
    .action((name: string, options: ScheduleOptions & { dryRun?: boolean }) => add(context, name, options));
  addSettings(addWhen(schedules.command("set").description("change a schedule").argument("<name>")))
    .option("--no-title", "without a title")
    .option("--no-topic", "in no topic")
    .option("--no-body", "without a text")
    .option("--no-scope", "of no scope")
    .option("--next <time>", "when it is due next, whatever its rhythm says; now: at once", nextTime)
    .action(async (schedule: string, options: ScheduleOptions) => {
      const change = await toSettings(context, options);
      if (Object.keys(change).length === 0) {
        throw new UsageError("Nothing to change is given.", "See signalbox schedules set --help.");
      }
      show(context, await (await context.client()).updateSchedule({ schedule, ...change }));
    });
  for (const verb of ["pause", "resume"] as const) {
    schedules
      .command(verb)
      .description(verb === "pause" ? "let a schedule wait" : "let it go on, and forget its failures")
      .argument("<name>")
      .action(async (schedule: string) => {
        const client = await context.client();
        show(context, await client.updateSchedule({ schedule, paused: verb === "pause" }));
      });
  }
  schedules
    .command("run")
    .description("record its event now, besides its due times")
    .argument("<name>")
    .action(async (schedule: string) => {
      const reply = await (await context.client()).runSchedule({ schedule });
      context.out.result(reply, () => context.out.line(reply.event_id));
    });
  schedules
    .command("remove")
    .description("remove a schedule with its history; its events stay")
    .argument("<name>")
    .action(async (schedule: string) => {
      const reply = await (await context.client()).removeSchedule({ schedule });
      context.out.result(reply, () => context.out.line(`${schedule} is removed`));
    });
}

function looking(schedules: Command, context: Context): void {
  const history = schedules
    .command("history")
    .description("list its due times and what came of them, newest first");
  history
    .argument("<name>")
    .addOption(
      history
        .createOption("--outcome <outcome>", "with this outcome")
        .choices(["fired", "skipped", "settled", "failed"]),
    )
    .option("-n, --limit <count>", "at most so many", wholeNumber, 20)
    .option("--before <number>", "the page after the one that named this number", wholeNumber)
    .action(
      async (
        schedule: string,
        options: { outcome?: "fired" | "skipped" | "settled" | "failed"; limit: number; before?: number },
      ) => {
        const page = await (await context.client()).scheduleHistory({ schedule, ...given(options) });
        context.out.result(page, () => {
          views.printHistory(context.out, page.firings);
          if (page.next !== null) context.out.remark(`There is more: --before ${page.next}`);
        });
      },
    );
  schedules
    .command("next")
    .description("list what is due next")
    .argument("[name]", "of this schedule alone")
    .option("-n, --limit <count>", "at most so many", wholeNumber, 20)
    .action(async (schedule: string | undefined, { limit }: { limit: number }) => {
      const reply = await (await context.client()).upcomingSchedules({ limit, ...given({ schedule }) });
      context.out.result(reply, () => views.printDue(context.out, reply.due));
    });
  const missed = schedules.command("missed").description("decide about due times that were skipped");
  missed
    .argument("<name>")
    .addArgument(
      missed
        .createArgument("<action>", "skip: leave them; once: make up for the newest; all: for each")
        .choices([...policies]),
    )
    .action(async (schedule: string, action: MissedPolicy) => {
      const reply = await (await context.client()).settleMissed({ schedule, action });
      context.out.result(reply, () => context.out.line(views.settledText(reply)));
    });
}

function addWhen(command: Command): Command {
  return command
    .option(
      "--cron <expression>",
      'minute hour day month weekday: "0 9 * * 1-5"; six fields begin with seconds',
    )
    .option("--every <time>", "in steps of this length: 90s, 10m, 1h", duration)
    .option("--at <time>", "once: 2026-12-01T09:00")
    .option("--on <pattern>", "whenever such an event comes: markdown.updated, github.issue.*")
    .option("--tz <zone>", "time zone of --cron and --at, such as Europe/Berlin; default: this machine's");
}

function addSettings(command: Command): Command {
  return command
    .option("--title <text>", "a line for people")
    .option("-t, --type <type>", "type of its event (default: schedule.due)")
    .option("--subject <subject>", "subject of its event; default: schedules.NAME")
    .option("--topic <topic>", "queue that its event can be claimed from")
    .option("-b, --body <text>", "text of its event; - reads standard input")
    .option("-p, --payload <json>", "data of its event, a JSON object", jsonObject)
    .option("--scope <scope>", "scope of its event; with --on, of the events that count")
    .addOption(
      command
        .createOption("--missed <policy>", "what becomes of due times nobody saw (default: once)")
        .choices([...policies]),
    );
}

/** A moment to come: a date and time, how long from now, or `now`. */
function nextTime(text: string): number {
  if (text === "now") return Date.now();
  const ahead = parseDuration(text);
  return ahead === null ? dateTime(text) : Date.now() + ahead;
}

function whenFields({ cron, every, at, on, tz }: WhenOptions) {
  return given({ cron, every_ms: every, at, pattern: on, time_zone: tz });
}

async function toSettings({ io }: Context, options: ScheduleOptions) {
  const { title, type, subject, topic, body, payload, scope, missed, paused, next } = options;
  return {
    ...whenFields(options),
    ...given({
      title: orNull(title),
      type,
      subject,
      topic: orNull(topic),
      body: body === "-" ? (await readInput(io, "-")).trimEnd() : orNull(body),
      payload,
      scope: orNull(scope),
      missed,
      paused,
      next_ms: next,
    }),
  };
}

/** commander says `false` for `--no-…`. */
function orNull(value: string | false | undefined): string | null | undefined {
  return value === false ? null : value;
}

async function add(
  context: Context,
  name: string,
  { dryRun, ...options }: ScheduleOptions & { dryRun?: boolean },
): Promise<void> {
  const when = whenFields(options);
  if (Object.keys(when).every((field) => field === "time_zone")) {
    throw new UsageError("It is not said when.", "Give --cron, --every, --at or --on.");
  }
  const client = await context.client();
  if (dryRun) {
    const preview = await client.previewSchedule(when);
    context.out.result(preview, () => {
      context.out.line(`${name} would be due, in ${preview.time_zone}:`);
      views.printUpcoming(context.out, preview.upcoming);
    });
    return;
  }
  show(context, await client.createSchedule({ name, ...(await toSettings(context, options)) }));
}

function show({ out }: Context, schedule: Schedule): void {
  out.result(schedule, () => views.printSchedule(out, schedule));
}
