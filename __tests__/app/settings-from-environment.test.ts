import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SettingsError, settingsFromEnvironment } from "../../app/settings-from-environment";

let folder: string;
let good: NodeJS.ProcessEnv;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "app-settings-"));
  writeFileSync(join(folder, "password"), "from-a-test\n");
  writeFileSync(join(folder, "ca.pem"), "-----BEGIN CERTIFICATE-----\n");
  writeFileSync(join(folder, "empty"), "\n");
  good = {
    HOST_NAME: "web-1",
    DATABASE_NAME: "guestbook",
    DATABASE_USER: "app",
    DATABASE_PASSWORD_FILE: join(folder, "password"),
    DATABASE_CA_FILE: join(folder, "ca.pem"),
  };
});

afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(environment: NodeJS.ProcessEnv): readonly string[] {
  try {
    settingsFromEnvironment(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test("what is not set has its documented default", () => {
  expect(settingsFromEnvironment(good)).toMatchObject({
    host: "127.0.0.1",
    port: 3000,
    hostName: "web-1",
    drainSeconds: 2,
    database: {
      writeAddress: { host: "127.0.0.1", port: 3306 },
      readAddress: { host: "127.0.0.1", port: 3307 },
      name: "guestbook",
      user: "app",
    },
  });
});

test("a variable that is set but empty counts as not set", () => {
  expect(settingsFromEnvironment({ ...good, PORT: "", HOST: " " })).toMatchObject({
    host: "127.0.0.1",
    port: 3000,
  });
});

test("an account that reads is one with a password, or else there is none", () => {
  const reader = (file: string) =>
    settingsFromEnvironment({
      ...good,
      DATABASE_READ_USER: "reader",
      DATABASE_READ_PASSWORD_FILE: join(folder, file),
    }).database.reader;
  expect(reader("password")).toEqual({ user: "reader", passwordFile: join(folder, "password") });
  expect(reader("empty")).toBeUndefined();
  expect(reader("nothing")).toBeUndefined();
  expect(settingsFromEnvironment(good).database.reader).toBeUndefined();
});

test("an IPv6 address is written in brackets and used without them", () => {
  const { database } = settingsFromEnvironment({ ...good, DATABASE_READ_ADDRESS: "[::1]:3307" });
  expect(database.readAddress).toEqual({ host: "::1", port: 3307 });
});

test("every problem is named at once, each with its variable", () => {
  const problems = problemsOf({
    HOST_NAME: "web 1\r\nx: y",
    PORT: "70000",
    DRAIN_SECONDS: "1.5",
    DATABASE_WRITE_ADDRESS: "db-1",
    DATABASE_READ_ADDRESS: "127.0.0.1:0",
    DATABASE_PASSWORD_FILE: join(folder, "absent"),
    DATABASE_CA_FILE: join(folder, "password"),
  });
  expect(problems.map((problem) => problem.split(/[ :]/)[0])).toEqual([
    "HOST_NAME",
    "PORT",
    "DRAIN_SECONDS",
    "DATABASE_WRITE_ADDRESS",
    "DATABASE_READ_ADDRESS",
    "DATABASE_NAME",
    "DATABASE_USER",
    "DATABASE_PASSWORD_FILE",
    "DATABASE_CA_FILE",
  ]);
});

test("an empty password file is refused", () => {
  expect(problemsOf({ ...good, DATABASE_PASSWORD_FILE: join(folder, "empty") })).toEqual([
    expect.stringContaining("is empty"),
  ]);
});

test("no problem quotes what is in a file", () => {
  const swapped = { ...good, DATABASE_CA_FILE: good.DATABASE_PASSWORD_FILE };
  expect(problemsOf(swapped).join()).not.toContain("from-a-test");
});
