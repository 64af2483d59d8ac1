import { HostFolder } from "./host-folder";

// The binary logs in the repository: what of them is archived, and which of them a restore takes. restic and the server
// are stand-ins; the files are real.

jest.setTimeout(60_000);

const DATABASE = "opt/cluster/scripts/database";
const DATA = "srv/data/mysql";

let host: HostFolder;

beforeEach(() => {
  host = new HostFolder(
    "HOST_NAME=database-1 HOST_ROLE=database CLUSTER_NAME=demo DATABASE_NAME=app BACKUP_KEEP_DAYS=7",
  );
  host.bring("host/lib.sh", "database/repository.sh", "database/restore.sh");
  // What these scripts know of the rest: this host is the primary, and the server answers.
  host.put(
    `${DATABASE}/common.sh`,
    `source "$ROOT/opt/cluster/scripts/host/lib.sh"
    HERE=$ROOT/${DATABASE} DATABASE_RUN=$ROOT/run/cluster DATABASE_VOLUME=$ROOT/srv/data DATA=$ROOT/${DATA}
    SERIES=$DATABASE_VOLUME/log-series RESTORING=$DATABASE_VOLUME/restoring
    look() {
      own_state=member own_primary=database-1 own_writability=open own_executed=$(<"$ROOT/executed")
      if [[ -e $ROOT/own ]]; then source "$ROOT/own"; fi
    }
    ask() {
      printf 'ask %s\\n' "$2" >>"$ROOT/calls"
      case $2 in
        *primary_term*) ROWS=(the-history) ;;
        FLUSH*)
          printf '%s' "\${EPOCHREALTIME/[.,]/}" >"$ROOT/closed-at"
          mapfile -t ROWS <"$ROOT/logs" ;;
        *) ROWS=() ;;
      esac
      [[ ! -e $ROOT/silent ]]
    }`,
  );
  for (const name of ["engines", "transactions"]) {
    host.put(`${DATABASE}/${name}.sh`, "");
  }
  host.put("executed", "a:1-9\n");
  host.put("logs", ["1", "2", "3"].map((number) => `binlog.00000${number}\t157\tNo\n`).join(""));
  for (const number of ["1", "2", "3"]) {
    host.put(`${DATA}/binlog.00000${number}`, `log ${number}\n`);
  }
  host.standIn("opt/cluster/platform.sh", "printf the-password", { quiet: true });
  // Tells what the folder it is to keep holds.
  host.standIn(
    "restic",
    `case $* in
      *" init") touch "$ROOT/repository" ;;
      *" backup "*)
        [[ -e $ROOT/repository ]] || exit 10
        for file in "\${@: -1}"/*; do printf 'kept %s\\n' "\${file##*/}" >>"$ROOT/calls"; done
        [[ ! -e $ROOT/failing ]] ;;
      *" snapshots "*) cat "$ROOT/snapshots" ;;
      *" restore "*)
        read -r _ _ _ _ id _ <<<"$*"
        mkdir --parents "\${@: -1}/srv"
        cp --recursive "$ROOT/kept/$id" "\${@: -1}/srv/logs" ;;
    esac`,
  );
  host.put("repository", "");
});
afterEach(() => host.remove());

describe("archiving the primary's logs", () => {
  const archive = (when: "always" | "changed") => {
    host.put("calls", "");
    return host.shell(
      [`${DATABASE}/common.sh`, `${DATABASE}/repository.sh`],
      `RESTIC_REPOSITORY=somewhere; archive_logs ${when}`,
    );
  };
  const kept = () => host.calls().filter((call) => call.startsWith("kept"));
  const tags = () =>
    / --tag (\S+) /.exec(host.calls().find((call) => call.includes(" backup ")) ?? "")?.[1];

  test("keeps all but the one that is written to, and says until when they reach", async () => {
    const before = Date.now() * 1000;
    expect((await archive("changed")).status).toBe(0);
    expect(kept()).toEqual(["kept binlog.000001", "kept binlog.000002"]);
    const [, series, until] =
      /^logs,founded-the-history,series-([0-9a-f-]{36}),until-(\d{16})$/.exec(tags() ?? "") ?? [];
    expect(`${series}\n`).toBe(host.read("srv/data/log-series"));
    expect(Number(until)).toBeGreaterThanOrEqual(before);
    expect(Number(until)).toBeLessThanOrEqual(Date.now() * 1000);
    expect(host.read("var/lib/cluster/backups/logs")).toBe(`${until?.slice(0, -6)}\n`);
    expect(host.has("srv/data/closed-logs")).toBe(false);
  });

  test("says of no moment that it is in them when that was after they were closed", async () => {
    await archive("always");
    const until = Number(/until-(\d+)/.exec(tags() ?? "")?.[1]);
    expect(until).toBeLessThanOrEqual(Number(host.read("closed-at")));
  });

  test("goes on in one series, until the server's data is another", async () => {
    await archive("always");
    const series = () => /series-[^,]*/.exec(tags() ?? "")?.[0];
    const first = series();
    await archive("always");
    expect(series()).toBe(first);
    // Data that is replaced takes the name of its series with it.
    host.drop("srv/data/log-series");
    await archive("always");
    expect(series()).not.toBe(first);
  });

  test("does nothing where nothing was committed since, but for who wants all", async () => {
    await archive("changed");
    expect((await archive("changed")).status).toBe(0);
    expect(kept()).toEqual([]);
    await archive("always");
    expect(kept()).toHaveLength(2);
    host.put("executed", "a:1-10\n");
    await archive("changed");
    expect(kept()).toHaveLength(2);
  });

  test.each([
    ["is a replica", "own_primary=database-2"],
    ["has no data", "own_state=empty"],
    ["refuses writes", "own_writability=closed"],
  ])("is not for a host that %s", async (_what, own) => {
    host.put("own", own);
    expect((await archive("always")).status).toBe(0);
    expect(host.calls()).toEqual([]);
  });

  test("that fails fails, and is done again though nothing was committed since", async () => {
    host.put("failing", "");
    expect((await archive("changed")).status).not.toBe(0);
    expect(host.has("srv/data/closed-logs")).toBe(false);
    expect(host.has("var/lib/cluster/backups/logs")).toBe(false);
    host.drop("failing");
    expect((await archive("changed")).status).toBe(0);
    expect(kept()).toHaveLength(2);
  });

  test("of a server that says nothing fails, and keeps nothing", async () => {
    host.put("silent", "");
    expect((await archive("always")).status).not.toBe(0);
    expect(kept()).toEqual([]);
  });

  test("that was interrupted leaves nothing in the next", async () => {
    host.put("srv/data/closed-logs/binlog.000000", "of another time\n");
    expect((await archive("always")).status).toBe(0);
    expect(kept()).toEqual(["kept binlog.000001", "kept binlog.000002"]);
  });

  test("makes the repository where there is none", async () => {
    host.drop("repository");
    const { status, stderr } = await archive("always");
    expect(status).toBe(0);
    expect(stderr).toContain("creating the repository");
    expect(kept()).toHaveLength(2);
  });

  test("waits for another that is under way", async () => {
    const { stdout } = await host.shell(
      [`${DATABASE}/common.sh`, `${DATABASE}/repository.sh`],
      `exec 9>"$DATABASE_RUN/archive.lock"; flock 9
      RESTIC_REPOSITORY=somewhere
      archive_logs always 9>&- &
      /usr/bin/sleep 0.3; cat "$ROOT/calls"; echo "the lock is free"; flock --unlock 9; wait; cat "$ROOT/calls"`,
    );
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("the lock is free");
    expect(lines).toContain("kept binlog.000002");
  });
});

test("the repository's password is kept for restic in a file, and is no argument", async () => {
  const { stdout } = await host.shell(
    [`${DATABASE}/common.sh`, `${DATABASE}/repository.sh`],
    'use_repository; in_repository check; cat "$RESTIC_PASSWORD_FILE"',
  );
  expect(stdout).toBe("the-password");
  expect(host.calls()).toEqual(["restic --quiet --retry-lock 2m check"]);
});

const restore = (lines: string) => host.shell([`${DATABASE}/restore.sh`], lines);

test("sourcing the restore does nothing", async () => {
  expect(await restore("")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(host.calls()).toEqual([]);
});

describe("of each series the newest is taken", () => {
  test.each([
    ["", "-"],
    ["a:1", "a:1"],
    ["a:1,b:1,c:1", "c:1"],
    ["a:1,b:2", "b:2,a:1"],
    ["a:1,b:1,c:2,d:2,e:3", "e:3,d:2,b:1"],
    // A host whose data came back is primary once more, and its series goes on.
    ["a:1,b:2,c:1", "c:1,b:2"],
    // One name begins as another does, and one is in another's middle.
    ["a:11,b:1,c:111", "c:111,b:1,a:11"],
  ])("of %j it is %j", async (logs, expected) => {
    expect((await restore(`newest_of_series "${logs}"`)).stdout).toBe(expected);
  });
});

describe("what a restore plans", () => {
  // Seconds of one minute; complete means: the dump holds what was committed before.
  const at = (second: number) => `2026-11-26T10:00:${String(second).padStart(2, "0")}Z`;
  const until = (second: number) => `${Date.parse(at(second)) / 1000}000000`;
  const dump = (id: string, second: number, history = "h") => ({
    id,
    time: at(second - 1),
    tags: ["dump", `founded-${history}`],
    summary: { backup_end: at(second) },
  });
  const logs = (id: string, second: number, series: string, history = "h") => ({
    id,
    time: at(second),
    tags: ["logs", `founded-${history}`, `series-${series}`, `until-${until(second)}`],
  });
  const plan = async (snapshots: object[], time = "") => {
    host.put("snapshots", JSON.stringify(snapshots));
    const { stdout, stderr } = await restore(
      `archive_logs() { :; }; count_tables() { printf 4; }; plan ${time}`,
    );
    const [taken, , followed, reaches] = stdout.trim().split("\t");
    return stdout === "" ? stderr.trim() : { taken, followed, reaches };
  };
  const all = [
    logs("l4", 40, "s"),
    dump("d1", 10),
    logs("l2", 20, "r"),
    dump("d3", 30),
    logs("l3", 31, "r"),
  ];

  test("the last dump, and all logs of its history, whatever the order they are told in", async () => {
    expect(await plan(all)).toEqual({ taken: "d3", followed: "l4:s,l3:r", reaches: until(40) });
  });

  test("a moment: the last dump before it, and no log beyond the first that reaches it", async () => {
    expect(await plan(all, at(15))).toEqual({ taken: "d1", followed: "l2:r", reaches: until(20) });
    expect(await plan(all, at(25))).toEqual({ taken: "d1", followed: "l3:r", reaches: until(31) });
    expect(await plan(all, at(30))).toMatchObject({ taken: "d3", followed: "l3:r" });
  });

  test("nothing of another history", async () => {
    expect(await plan([...all, logs("x", 50, "t", "another")])).toMatchObject({
      reaches: until(40),
    });
    expect(await plan([...all, dump("x", 50, "another")])).toEqual({
      taken: "x",
      followed: "-",
      reaches: "-",
    });
  });

  test("no moment before all dumps, or after all logs", async () => {
    expect(await plan(all, at(9))).toContain(`there is no backup from ${at(9)} or earlier`);
    expect(await plan(all, at(41))).toContain(
      "binary logs are archived only up to 2026-11-26T10:00:40.000000Z: restore that moment or an earlier one",
    );
    expect(await plan([dump("d1", 10)], at(11))).toContain(
      "no binary logs are archived from after the backup",
    );
  });
});

describe("logs are fetched until they follow on the backup", () => {
  /** Snapshots by name: their logs, each with the transactions that had been executed when it began, a:1-N. */
  const chosen = async (had: number, logs: string, kept: Record<string, number[]>) => {
    for (const [id, began] of Object.entries(kept)) {
      host.put(`kept/${id}/.folder`, "");
      for (const [index, executed] of began.entries()) {
        host.put(`kept/${id}/binlog.00000${index + 1}`, `a:1-${executed}`);
      }
    }
    const { status, stdout, stderr } = await restore(
      `previous_gtids() { cat "$1"; }
      subset() { ((\${1#a:1-} <= \${2#a:1-})); }
      choose_logs a:1-${had} "${logs}"`,
    );
    const parts = stdout
      .replaceAll(`${host.root}/srv/data/restore/`, "")
      .replaceAll("/srv/logs/binlog.00000", " ");
    const fetched = host
      .calls()
      .map((call) => / restore (\S+) /.exec(call)?.[1])
      .filter(Boolean);
    return { status, parts: parts.split("\n").filter(Boolean), fetched, stderr };
  };

  test("of the newest from the last that begins with what the backup had", async () => {
    expect(await chosen(10, "n:2,o:1", { n: [0, 4, 9, 12], o: [0] })).toMatchObject({
      status: 0,
      parts: ["n 3 -"],
      fetched: ["n"],
    });
  });

  test("of an older series only up to where the newer begins", async () => {
    expect(await chosen(10, "n:2,o:1", { n: [20, 30], o: [0, 9, 15] })).toMatchObject({
      status: 0,
      parts: ["o 2 a:1-20", "n 1 -"],
      fetched: ["n", "o"],
    });
  });

  test("over three series, each up to the next, and none further back", async () => {
    const kept = { n: [30], m: [20, 25], o: [5, 15], p: [0] };
    expect(await chosen(10, "n:4,m:3,o:2,p:1", kept)).toMatchObject({
      parts: ["o 1 a:1-20", "m 1 a:1-30", "n 1 -"],
      fetched: ["n", "m", "o"],
    });
  });

  test("or it is said that something between is missing", async () => {
    const { status, parts, stderr } = await chosen(10, "n:2,o:1", { n: [30], o: [20] });
    expect([status, parts]).toEqual([1, []]);
    expect(stderr).toContain("the oldest archived binary log are missing");
  });

  test("and what holds no logs is not passed over", async () => {
    const { status, parts, stderr } = await chosen(10, "n:2,o:1", { n: [], o: [0] });
    expect([status, parts]).toEqual([1, []]);
    expect(stderr).toContain("snapshot n should contain binary logs, but contains none");
  });

  test("where there are none, none are", async () => {
    expect(await chosen(10, "-", {})).toMatchObject({ status: 0, parts: [], fetched: [] });
  });
});
