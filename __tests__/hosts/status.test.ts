import { HostFolder } from "../scripts/host-folder";

// A host's own status, by its scripts, where the server has much to tell.

const host = new HostFolder(
  "HOST_NAME=database-1 HOST_ROLE=database HOST_ADDRESS=10.0.0.4 SCRIPTS=x",
);
afterAll(() => host.remove());

test("a database host can report 200,000 characters of GTIDs", async () => {
  const script = host.bring("host/status.sh", "host/lib.sh", "database/status.sh");
  const scripts = host.at("opt/cluster/scripts");
  const transactions = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2:".repeat(2500);
  host.put(
    "state",
    JSON.stringify({
      state: "member",
      gtidExecuted: transactions,
      gtidPurged: transactions,
      answers: { primary: 200, replica: 503, readable: 200 },
      versions: { mysql: "9.7.0" },
    }),
  );
  host.standIn(
    "opt/cluster/scripts/database/agent.sh",
    `[[ $1 == status ]] && cat ${host.at("state")}`,
  );
  host.put(
    "opt/cluster/scripts/database/common.sh",
    `source ${scripts}/host/lib.sh
    HERE=${scripts}/database DATABASE_VOLUME=/ SET_ASIDE=/nowhere BACKUP_STAMPS=/nowhere DATABASE_DURABILITY=available`,
  );
  host.put("opt/cluster/scripts/database/repository.sh", "");
  host.standIn("opt/cluster/scripts/host/updates.sh", "echo null");
  host.standIn("systemctl", "[[ $1 == list-units ]] || echo active");
  host.standIn("dpkg-query", "echo 3.2");
  const { status, stdout, stderr } = await host.run(script);
  expect([status, stderr]).toEqual([0, ""]);
  const facts = JSON.parse(stdout);
  expect(facts).toMatchObject({
    host: "database-1",
    converged: true,
    state: "member",
    answers: { primary: 200, replica: 503, readable: 200 },
    versions: { haproxy: "3.2", mysql: "9.7.0" },
  });
  expect(facts.gtidExecuted === transactions && facts.gtidPurged === transactions).toBe(true);
});
