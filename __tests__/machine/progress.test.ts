import { Progress, type Screen } from "../../machine/progress";
import { Interrupted } from "../../ops/run";

let interrupted = false;
const isInterrupted = () => interrupted;

/** A terminal, as far as `Progress` uses one, or a file. */
class FakeScreen implements Screen {
  written = "";

  constructor(
    readonly isTTY: boolean,
    readonly columns = 80,
    readonly rows = 24,
  ) {}

  write(text: string): void {
    this.written += text;
  }

  /** The rows that one would see. */
  get seen(): string[] {
    const rows: string[] = [""];
    let row = 0;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor
    for (const part of this.written.match(/\u001b\[\d*[A-Z]|\r|\n|[^\u001b\r\n]+/g) ?? []) {
      const up = /\[(\d+)A/.exec(part)?.[1];
      if (up !== undefined) {
        row -= Number(up);
      } else if (part.endsWith("[J")) {
        rows.splice(row, rows.length, "");
      } else if (part === "\n") {
        row++;
        rows[row] ??= "";
      } else if (part !== "\r") {
        rows[row] += part;
      }
    }
    return rows.slice(0, -1);
  }
}

beforeEach(() => {
  jest.useFakeTimers();
  interrupted = false;
});

afterEach(() => {
  jest.useRealTimers();
});

describe("on a terminal", () => {
  test("running lines stay below finished ones, and are redrawn in place", () => {
    const screen = new FakeScreen(true);
    const progress = new Progress(screen);
    const deploy = progress.begin("deploy");
    const host = progress.begin("  web-1");
    host.note("started");
    expect(screen.seen).toEqual(["…    0 s  deploy", "…    0 s    web-1              started"]);
    jest.advanceTimersByTime(12_000);
    host.end("done", "ready");
    jest.advanceTimersByTime(3000);
    deploy.note("parts: 3 to make");
    expect(screen.seen).toEqual([
      "✓   12 s    web-1              ready",
      "…   15 s  deploy               parts: 3 to make",
    ]);
    deploy.end("done");
    progress.say("The cluster serves");
    expect(screen.seen).toEqual([
      "✓   12 s    web-1              ready",
      "✓   15 s  deploy               parts: 3 to make",
      "The cluster serves",
    ]);
  });

  test("a running line is cut to the terminal's width, so that it takes one row", () => {
    const screen = new FakeScreen(true, 40);
    const line = new Progress(screen).begin("host image");
    line.note("a sentence that is longer than the terminal is wide");
    expect(screen.seen).toEqual(["…    0 s  host image           a senten"]);
    line.end("done");
    expect(screen.seen[0]).toMatch(/wide$/);
  });

  test("running lines never take more rows than the terminal has", () => {
    const screen = new FakeScreen(true, 80, 6);
    const progress = new Progress(screen);
    for (let index = 1; index <= 9; index++) {
      progress.begin(`web-${index}`);
    }
    expect(screen.seen).toEqual([
      "…    0 s  web-1",
      "…    0 s  web-2",
      "…    0 s  web-3",
      "          and 6 more",
    ]);
  });

  test("notes cannot move the cursor", () => {
    const screen = new FakeScreen(true);
    new Progress(screen).begin("deploy").note("\u001b[31mred\u001b[0m\r\nand\u0007 bell");
    expect(screen.seen).toEqual(["…    0 s  deploy               red and  bell"]);
  });

  test("a terminal that cannot move its cursor is treated like a file", () => {
    const before = process.env.TERM;
    process.env.TERM = "dumb";
    const screen = new FakeScreen(true);
    const line = new Progress(screen).begin("deploy");
    process.env.TERM = before;
    line.note("under way");
    expect(screen.written).toBe("");
  });
});

describe("without a terminal", () => {
  test("a line is written once it ends, and nothing is redrawn", () => {
    const screen = new FakeScreen(false);
    const line = new Progress(screen).begin("host image");
    line.note("unpacking");
    jest.advanceTimersByTime(59_000);
    expect(screen.written).toBe("");
    line.end("done", "built");
    expect(screen.written).toBe("✓   59 s  host image           built\n");
  });

  test("running lines are listed every minute", () => {
    const screen = new FakeScreen(false);
    const progress = new Progress(screen);
    progress.begin("deploy");
    const host = progress.begin("  web-1");
    host.note("started");
    jest.advanceTimersByTime(61_000);
    expect(screen.written).toBe("          in progress: deploy, web-1 (started)\n");
  });
});

describe.each([true, false])("a stage (terminal: %s)", (isTTY) => {
  const stage = (work: () => Promise<unknown>) => {
    const screen = new FakeScreen(isTTY);
    const progress = new Progress(screen, isInterrupted);
    const ended = progress.stage("deploy", (line) => {
      line.note("at work");
      return work();
    });
    return { screen, ended };
  };

  test("returns the result of its work", async () => {
    const { screen, ended } = stage(async () => 7);
    await expect(ended).resolves.toBe(7);
    expect(screen.seen).toEqual(["✓    0 s  deploy               at work"]);
  });

  test("that fails shows it, and rethrows the error", async () => {
    const { screen, ended } = stage(() => Promise.reject(new Error("no room")));
    await expect(ended).rejects.toThrow("no room");
    expect(screen.seen).toEqual(["✗    0 s  deploy               failed: at work"]);
  });

  test.each([
    ["fails", () => Promise.reject(new Error("killed"))],
    ["succeeds anyway", async () => undefined],
  ])("that is interrupted and %s ends the command", async (_, work) => {
    const { screen, ended } = stage(() => {
      interrupted = true;
      return work();
    });
    await expect(ended).rejects.toThrow(Interrupted);
    expect(screen.seen).toEqual(["✗    0 s  deploy               interrupted: at work"]);
  });
});

test("a cleanup stage that begins after an interrupt does not count as interrupted", async () => {
  interrupted = true;
  const screen = new FakeScreen(false);
  await new Progress(screen, isInterrupted).stage("destroy", async () => undefined);
  expect(screen.seen).toEqual(["✓    0 s  destroy"]);
});

test("abandon() ends all running lines", () => {
  const screen = new FakeScreen(true);
  const progress = new Progress(screen);
  progress.begin("types");
  progress.begin("lint").note("3 passed");
  progress.abandon();
  expect(screen.seen).toEqual([
    "✗    0 s  types                interrupted",
    "✗    0 s  lint                 interrupted: 3 passed",
  ]);
  expect(jest.getTimerCount()).toBe(0);
});
