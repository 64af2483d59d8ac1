import { spawnSync } from "node:child_process";
import { packScripts } from "../../archives/pack-scripts";
import { PROJECT } from "../../hosts/project";

const entries = () =>
  spawnSync("tar", ["--list", "--verbose", "--file", packScripts(PROJECT).file], {
    encoding: "utf8",
  })
    .stdout.split("\n")
    .map((line) => `${line.slice(0, 10)} ${line.split(" ").at(-1)}`);

test("scripts are executable, and the files that come with them are not", () => {
  const found = entries();
  expect(found).toContain("-rwxr-xr-x ./host/converge.sh");
  expect(found).toContain("-rw-r--r-- ./files/etc/sysctl.d/60-cluster.conf");
});
