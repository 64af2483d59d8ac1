import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A host's own status, by its scripts, where the server has much to tell.

const directory = mkdtempSync(join(tmpdir(), "status-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function put(name: string, text: string, mode = 0o644): void {
  mkdirSync(join(directory, name, ".."), { recursive: true });
  writeFileSync(join(directory, name), text);
  chmodSync(join(directory, name), mode);
}

/** A script of the repository, which finds the others and its facts in the folder. */
function bring(name: string): void {
  cpSync(join("scripts", name), join(directory, name), { recursive: true });
  const text = readFileSync(join(directory, name), "utf8")
    .replaceAll("/opt/cluster/scripts", directory)
    .replaceAll("/etc/cluster/host.env", join(directory, "host.env"));
  put(name, text, 0o755);
}

test("a database host tells of 200,000 characters of transactions", () => {
  bring("host/lib.sh");
  bring("host/status.sh");
  bring("database/status.sh");
  put("host.env", "HOST_NAME=database-1 HOST_ROLE=database HOST_ADDRESS=10.0.0.4 SCRIPTS=x\n");
  const transactions = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2:".repeat(2500);
  put(
    "state",
    JSON.stringify({
      state: "member",
      gtidExecuted: transactions,
      gtidPurged: transactions,
      answers: { primary: 200, replica: 503, readable: 200 },
      versions: { mysql: "9.7.0" },
    }),
  );
  put("database/agent.sh", `#!/bin/sh\n[ $1 = status ] && cat ${directory}/state\n`, 0o755);
  put(
    "database/common.sh",
    `source ${directory}/host/lib.sh
    HERE=${directory}/database DATA_VOLUME=/ SET_ASIDE=/nowhere BACKUP_STAMPS=/nowhere DATABASE_DURABILITY=available`,
  );
  put("database/repository.sh", "");
  put("host/updates.sh", "#!/bin/sh\necho null\n", 0o755);
  put("bin/systemctl", "#!/bin/sh\n[ $1 = list-units ] || echo active\n", 0o755);
  put("bin/dpkg-query", "#!/bin/sh\necho 3.2\n", 0o755);
  const { status, stdout, stderr } = spawnSync("bash", [join(directory, "host/status.sh")], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${directory}/bin:${process.env.PATH}` },
  });
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
