/**
 * Lines of a unit that comes before all else on a busy host: where the agent or etcd is late, others take this host for
 * one that is gone. Nice and OOMScoreAdjust have no effect in a container without privileges, where systemd passes over
 * them. systemd.resource-control(5), systemd.exec(5)
 */
export const HIGHEST_PRIORITY = `Slice=cluster.slice
CPUWeight=1000
Nice=-10
IOSchedulingClass=best-effort
IOSchedulingPriority=0
OOMScoreAdjust=-900`;
