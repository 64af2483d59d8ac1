import { PORTS } from "../topology/ports";
import type { TopologyHost } from "../topology/topology";

/** The frontend at which a monitor asks a host's HAProxy for its metrics, and gets nothing else. */
export function metricsFrontend({ address }: TopologyHost): string {
  return `# For a monitor.
frontend metrics
  mode http
  bind ${address}:${PORTS.proxyMetrics}
  timeout client 10s
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 404 content-type text/plain string "not found\\n"
`;
}
