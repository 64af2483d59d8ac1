import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alertRules, alertsOf } from "../../hosts/alerts";
import { describeWithPromtool, PROMTOOL } from "../promtool";
import { ALERT_CASES, NOT_SHOWN, promtoolTests } from "./alert-cases";
import { topologyOf } from "./rendered";

/** A cluster with everything that there can be an alert about. */
const topology = topologyOf({ monitor: true, loadBalancer: { count: 2 } });
const alerts = alertsOf(topology);

test("every alert has a name of its own, and says what it means and what to do", () => {
  expect(new Set(alerts.map(({ name }) => name)).size).toBe(alerts.length);
  for (const alert of alerts) {
    expect([alert.name, alert.summary, alert.means, alert.visitors, alert.action]).toEqual(
      Array(5).fill(expect.stringMatching(/\S/)),
    );
  }
});

test("every alert is shown by a fault, or is always raised", () => {
  expect([...ALERT_CASES.map(({ alert }) => alert), ...NOT_SHOWN, "Watchdog"].sort()).toEqual(
    alerts.map(({ name }) => name).sort(),
  );
});

test("a cluster has no alert about what it does not have", () => {
  const names = alertsOf(
    topologyOf({ monitor: true, tls: { mode: "off" }, database: { replicas: 0 } }),
  ).map(({ name }) => name);
  expect(names).toContain("NoPrimary");
  for (const name of [
    "ReplicaStopped",
    "NoReplicaAcknowledges",
    "EtcdMemberMissing",
    "VisitorsAddressNotHeld",
    "CertificateExpired",
  ]) {
    expect(names).not.toContain(name);
  }
});

describeWithPromtool("the rules", () => {
  test("raise each alert by its fault, and none in a healthy cluster", () => {
    const folder = mkdtempSync(join(tmpdir(), "alert-rules-"));
    try {
      writeFileSync(join(folder, "rules.yml"), alertRules(topology));
      writeFileSync(join(folder, "tests.json"), promtoolTests(topology, "rules.yml"));
      execFileSync(PROMTOOL as string, ["test", "rules", "tests.json"], {
        cwd: folder,
        stdio: "pipe",
        encoding: "utf8",
      });
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      throw new Error(`${stdout ?? ""}${stderr ?? ""}${stdout === undefined ? String(error) : ""}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
