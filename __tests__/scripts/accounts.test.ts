import { HostFolder } from "./host-folder";

// The statements that give an account its passwords, executed on a model of MySQL's dual passwords: whatever the account
// accepts before, nobody who uses a password that the platform names is refused at any moment.
// https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(24)) as [string, string, string];

jest.setTimeout(120_000);

interface Account {
  readonly primary: string;
  readonly secondary?: string | undefined;
}

const accepted = (account: Account | undefined): string[] =>
  account === undefined
    ? []
    : [account.primary, account.secondary].filter((one) => one !== undefined);

/** What a statement about the app's account makes of it. */
function after(account: Account | undefined, statement: string): Account | undefined {
  const [, password = ""] = /IDENTIFIED BY '(\w+)'/.exec(statement) ?? [];
  if (statement.startsWith("CREATE USER IF NOT EXISTS")) {
    return account ?? { primary: password };
  }
  if (account === undefined) {
    throw new Error(`there is no account: ${statement}`);
  }
  if (statement.includes("DISCARD OLD PASSWORD")) {
    return { primary: account.primary };
  }
  return statement.includes("RETAIN CURRENT PASSWORD")
    ? { primary: password, secondary: account.primary }
    : { ...account, primary: password };
}

let host: HostFolder;

beforeEach(() => {
  host = new HostFolder(
    "HOST_NAME=database-1 HOST_ROLE=database HOST_ADDRESS=10.0.0.4 CLUSTER_NETWORK=10.0.0.0/255.255.255.0 DATABASE_USER=app DATABASE_READ_USER=app_read DATABASE_NAME=app DATABASE_VOLUME=/srv/data DATABASE_RUN=/run/cluster/database MYSQL_CONFIGURATION=/etc/mysql/cluster MYSQL_PORT=3306",
  );
  host.bring("host/lib.sh", "database/common.sh", "database/declared.sh");
  host.standIn(
    "opt/cluster/platform.sh",
    `if [[ -e $ROOT/secrets/$2 ]]; then cat "$ROOT/secrets/$2"; else printf '%s' ${C}; fi`,
    { quiet: true },
  );
  // Lets in whoever has a password that is accepted.
  host.standIn(
    "mysql",
    `file=\${1#--defaults-file=}
    password=$(sed --quiet 's/^password=//p' "$file")
    if grep --quiet --line-regexp --fixed-strings "$password" "$ROOT/accepted"; then exit; fi
    cat "$ROOT/refusal" >&2
    exit 1`,
    { quiet: true },
  );
  host.put("refusal", "ERROR 1045 (28000): Access denied for user\n");
});
afterEach(() => host.remove());

const declaration = async (when: "live" | "founding", content: string, account?: Account) => {
  host.put("secrets/mysql-app-password", content);
  host.put("accepted", `${[...accepted(account), C].join("\n")}\n`);
  return host.shell(
    ["opt/cluster/scripts/database/declared.sh"].flatMap((declared) => [
      "opt/cluster/scripts/database/common.sh",
      declared,
    ]),
    `fetch_secret mysql-app-password; declaration ${when}`,
  );
};

/** The account after each statement of the declaration. */
async function states(when: "live" | "founding", content: string, account?: Account) {
  const { status, stdout, stderr } = await declaration(when, content, account);
  expect([status, stderr]).toEqual([0, ""]);
  const all: Array<Account | undefined> = [account];
  for (const statement of stdout.split(";").map((one) => one.trim())) {
    if (/^(CREATE|ALTER) USER .*'app'@/.test(statement)) {
      all.push(after(all.at(-1), statement));
    }
  }
  return all;
}

/** The passwords that somebody may use in a phase, and those that the account is to accept at its end. */
const PHASES = {
  next: { content: `${A} next ${B}`, used: [A], wanted: [A, B] },
  previous: { content: `${B} previous ${A}`, used: [A, B], wanted: [A, B] },
  former: { content: `${B} former ${A}`, used: [B], wanted: [B] },
  steady: { content: A, used: [A], wanted: [A] },
} as const;

describe.each(Object.entries(PHASES))("in phase %s", (_phase, { content, used, wanted }) => {
  const accounts: Account[] = [
    { primary: A },
    { primary: B },
    { primary: A, secondary: B },
    { primary: B, secondary: A },
    { primary: A, secondary: A },
  ];

  test.each(accounts)("from %j", async (account) => {
    const all = await states("live", content, account);
    expect(new Set(accepted(all.at(-1)))).toEqual(new Set(wanted));
    // Who was let in before is let in after each statement.
    for (const password of used.filter((one) => accepted(account).includes(one))) {
      for (const state of all) {
        expect(accepted(state)).toContain(password);
      }
    }
  });

  test("where there is no account yet", async () => {
    const all = await states("founding", content);
    expect(new Set(accepted(all.at(-1)))).toEqual(new Set(wanted));
  });

  test("the version is the same whatever the account accepts", async () => {
    const version = async (account: Account) => {
      await declaration("live", content, account);
      return host.shell(
        ["opt/cluster/scripts/database/common.sh", "opt/cluster/scripts/database/declared.sh"],
        "declared_version",
      );
    };
    const first = await version({ primary: A });
    expect(first).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^[0-9a-f]{64}$/),
      stderr: "",
    });
    expect(await version({ primary: B, secondary: A })).toEqual(first);
  });
});

test("what cannot be told changes nothing", async () => {
  host.put("refusal", "ERROR 2003 (HY000): Can't connect to MySQL server\n");
  const { status, stderr } = await declaration("live", `${A} next ${B}`, { primary: A });
  expect(status).toBe(1);
  expect(stderr).toContain(
    "whether database-1 accepts a password of app cannot be told: ERROR 2003 (HY000): Can't connect",
  );
});

test("no password is an argument of a program", async () => {
  for (const name of ["mysql", "cat", "mv", "sha256sum", "timeout"]) {
    host.standIn(name, name === "mysql" ? "exit 0" : `exec /usr/bin/${name} "$@"`);
  }
  await declaration("live", `${A} next ${B}`, { primary: A });
  expect(host.calls().length).toBeGreaterThan(3);
  expect(host.calls().join("\n")).not.toMatch(new RegExp(`${A}|${B}|${C}`));
});
