import { LYNIS_ANSWERS } from "../../../docs/generate/lynis-answers";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { kernelSettings } from "./hardening";

/** The index, in per cent, below which Lynis sees room for additional hardening. */
const LEAST_INDEX = 80;

/** What does not belong to a container, in Lynis' own form. */
const profile = () =>
  [
    "USB-3000",
    ...kernelSettings().flatMap(({ name, isOfMachine }) =>
      isOfMachine ? [`KRNL-6000:${name}`] : [],
    ),
  ]
    .map((test) => `skip-test=${test}\n`)
    .join("");

/** An examination of every host by Lynis, of the distribution's packages (https://cisofy.com/lynis/). */
export function lynis(cluster: ScratchCluster): void {
  test(`Lynis gives each host an index of ${LEAST_INDEX} or more, and suggests nothing that is not answered`, async () => {
    const reports = await Promise.all(
      cluster.topology.hosts.map(async ({ name }) => {
        await cluster.printedOn(
          name,
          `export DEBIAN_FRONTEND=noninteractive
           apt-get -qq update && apt-get -qq install --no-install-recommends lynis >/dev/null
           printf '%s' '${profile()}' >/etc/lynis/custom.prf
           lynis audit system --quick --quiet --no-colors >/dev/null 2>&1 || true`,
        );
        return { name, report: cluster.on(name, "cat /var/log/lynis-report.dat") };
      }),
    );
    const answered = LYNIS_ANSWERS.flatMap(({ tests }) => tests);
    for (const { name, report } of reports) {
      const found = [...report.matchAll(/^(?:suggestion|warning)\[\]=([A-Z]+-\d+)/gm)].map(
        ([, id = ""]) => id,
      );
      expect(found.length).toBeGreaterThan(5);
      expect([name, found.filter((id) => !answered.includes(id))]).toEqual([name, []]);
      const index = Number(/^hardening_index=(\d+)$/m.exec(report)?.[1]);
      expect({ name, isHardened: index >= LEAST_INDEX, index }).toMatchObject({ isHardened: true });
    }
  }, 600_000);
}
