import { setTimeout as pause } from "node:timers/promises";
import { ScratchCluster } from "../drill/scratch/scratch-cluster";
import { VISITORS_CERTIFICATE } from "../hosts/agreed";
import { TLS_GUIDE } from "../hosts/visitors-tls";
import { attemptSync, runSync } from "../ops/run";
import { PORTS } from "../topology/ports";
import { hostsOf } from "../topology/topology";
import { type Bound, median, report } from "./measure";

// Measures the load balancer: HAProxy as it is here, against Nginx as a balancer with the same duties, the same certificate and
// the same TLS, on the same host and in front of the same web servers. The two alternate, so that both run under the same
// conditions; the load is from this machine, and shares its processors with everything else.

const ROUNDS = 5;
/** Seconds of one load. */
const SECONDS = 4;
/** Seconds to wait between two loads. */
const SETTLE = 0.5;
/** Connections that are open at a time. */
const CONNECTIONS = 32;
/** Programs that do one handshake after the other. */
const CLIENTS = 4;

/** A static file: web servers are not to be what is measured. */
const PATH = "/static/guestbook.css";

const HOST = "load-balancer-1";

const cluster = new ScratchCluster({
  name: "bench",
  network: { cidr: "10.95.0.0/22" },
  localPort: 18099,
  // All of the load comes from this machine's address in the cluster's network.
  loadBalancer: { unlimitedClients: ["10.95.0.1/32"] },
});

/** Something that balances, on the load balancer's host. */
interface Balancer {
  readonly name: "HAProxy" | "Nginx";
  readonly unit: string;
  readonly ports: { readonly plain: number; readonly tls: number };
}

const HAPROXY: Balancer = {
  name: "HAProxy",
  unit: "haproxy.service",
  ports: { plain: PORTS.http, tls: PORTS.https },
};

const NGINX: Balancer = {
  name: "Nginx",
  unit: "bench-nginx.service",
  ports: { plain: 8080, tls: 8443 },
};

/** Nginx as a balancer. Without a paid licence, it checks no web server but by the requests that it sends there. */
function nginxConfiguration(): string {
  const servers = hostsOf(cluster.topology, "web").map(
    ({ address }) => `    server ${address}:${PORTS.http};`,
  );
  return `daemon off;
user www-data;
worker_processes auto;
worker_rlimit_nofile 16384;
pid /run/bench-nginx.pid;
error_log /var/log/nginx/bench-error.log;
events {
  worker_connections 4096;
}
http {
  access_log /var/log/nginx/bench-access.log;
  upstream web {
${servers.join("\n")}
    keepalive ${CONNECTIONS};
  }
  server {
    listen ${NGINX.ports.plain};
    listen ${NGINX.ports.tls} ssl;
    http2 on;
    ssl_certificate ${VISITORS_CERTIFICATE};
    ssl_certificate_key ${VISITORS_CERTIFICATE};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ${TLS_GUIDE.ciphers.join(":")};
    ssl_ecdh_curve ${TLS_GUIDE.curves.join(":")};
    ssl_session_tickets off;
    ssl_session_cache shared:visitors:10m;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      proxy_next_upstream error timeout http_502;
    }
  }
}
`;
}

/** Starts Nginx as a balancer, and lets this machine reach it. */
function startNginx(): void {
  cluster.on(
    HOST,
    `cat >/etc/nginx/bench.conf <<'CONFIGURATION'
${nginxConfiguration()}CONFIGURATION
sed --in-place 's/tcp dport ${PORTS.http} accept/tcp dport { ${[PORTS.http, ...Object.values(NGINX.ports)].join(", ")} } accept/' /etc/nftables.conf
nft --file /etc/nftables.conf
systemd-run --quiet --collect --unit ${NGINX.unit} nginx -c /etc/nginx/bench.conf`,
  );
}

/** What a load measured. */
interface Measured {
  readonly perSecond: number;
  /** Microseconds of processor time that the balancer used for each. */
  readonly processor: number;
  /** Milliseconds within which half of the answers came, and 99 of 100; of requests only. */
  readonly p50?: number;
  readonly p99?: number;
}

const address = () => cluster.address(HOST);

/** Microseconds of processor time that a balancer has used. */
function used({ unit }: Balancer): number {
  return (
    Number(cluster.readOn(HOST, `systemctl show --property CPUUsageNSec --value ${unit}`)) / 1000
  );
}

/** Milliseconds from wrk's `1.23ms`, `456.00us` or `1.20s`. */
function milliseconds(printed: string, percentile: string): number {
  const [, value, unit] =
    new RegExp(`^ +${percentile}% +([0-9.]+)(us|ms|s)$`, "m").exec(printed) ?? [];
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
}

/** Requests over connections that stay open. */
function requests(scheme: "plain" | "tls", balancer: Balancer): Measured {
  const url = `${scheme === "tls" ? "https" : "http"}://${address()}:${balancer.ports[scheme]}${PATH}`;
  const before = used(balancer);
  const printed = runSync([
    ...["wrk", "--threads", "2", "--connections", String(CONNECTIONS)],
    ...["--duration", `${SECONDS}s`, "--latency", url],
  ]);
  if (/Non-2xx|Socket errors/.test(printed)) {
    throw new Error(`${balancer.name} did not answer every request of ${url}:\n${printed}`);
  }
  const count = Number(/(\d+) requests in/.exec(printed)?.[1]);
  return {
    perSecond: Number(/Requests\/sec: +([0-9.]+)/.exec(printed)?.[1]),
    processor: (used(balancer) - before) / count,
    p50: milliseconds(printed, "50"),
    p99: milliseconds(printed, "99"),
  };
}

/**
 * Whole handshakes, each for a connection of its own. By the hosts' OpenSSL, which can do the hybrid exchange of keys as browsers
 * do, in this machine's network.
 */
function handshakes(balancer: Balancer): Measured {
  const [{ state }] = JSON.parse(cluster.incus(["list", HOST, "--format", "json"]));
  const client = `openssl s_time -new -time ${SECONDS} -connect ${address()}:${balancer.ports.tls}`;
  const before = used(balancer);
  const started = process.hrtime.bigint();
  const printed = runSync([
    ...["nsenter", `--mount=/proc/${state.pid}/ns/mnt`, "sh", "-c"],
    `for client in ${Array.from({ length: CLIENTS }, (_, index) => index).join(" ")}; do ${client} & done; wait`,
  ]);
  // It tells whole seconds only.
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const counts = [...printed.matchAll(/^(\d+) connections in \d+ real seconds/gm)];
  if (counts.length !== CLIENTS) {
    throw new Error(`${balancer.name} refused handshakes:\n${printed}`);
  }
  const count = counts.reduce((sum, [, one]) => sum + Number(one), 0);
  return { perSecond: count / seconds, processor: (used(balancer) - before) / count };
}

const LOADS = {
  "requests, plain HTTP": (balancer: Balancer) => requests("plain", balancer),
  "requests, TLS": (balancer: Balancer) => requests("tls", balancer),
  "TLS handshakes": handshakes,
} as const;

type Load = keyof typeof LOADS;

const runs = new Map<string, Measured[]>();
const runsOf = (load: Load, { name }: Balancer) => runs.get(`${load} ${name}`) as Measured[];

function middle(load: Load, balancer: Balancer, key: keyof Measured): number | undefined {
  const values = runsOf(load, balancer).map((one) => one[key]);
  return values.some((value) => value === undefined) ? undefined : median(values as number[]);
}

async function measure(): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    for (const load of Object.keys(LOADS) as Load[]) {
      for (const balancer of round % 2 === 0 ? [HAPROXY, NGINX] : [NGINX, HAPROXY]) {
        await pause(SETTLE * 1000);
        const result = LOADS[load](balancer);
        // The first round warms everything up and does not count.
        const key = `${load} ${balancer.name}`;
        runs.set(key, round === 0 ? [] : [...(runs.get(key) ?? []), result]);
        console.log(
          `round ${round} ${balancer.name}, ${load}: ${result.perSecond.toFixed(0)} a second, ${result.processor.toFixed(0)} µs`,
        );
      }
    }
  }
}

/** The medians, as a table for docs/security.md. */
function print(): void {
  const cells = (load: Load, balancer: Balancer) =>
    [
      `${load}: ${balancer.name}`,
      middle(load, balancer, "perSecond")?.toFixed(0),
      `${middle(load, balancer, "processor")?.toFixed(0)} µs`,
      ...(["p50", "p99"] as const).map((key) => {
        const value = middle(load, balancer, key);
        return value === undefined ? "" : `${value.toFixed(1)} ms`;
      }),
    ].join(" | ");
  console.log(
    "\n| | A second | Processor time for each | p50 | p99 |\n| --- | --- | --- | --- | --- |",
  );
  for (const load of Object.keys(LOADS) as Load[]) {
    for (const balancer of [HAPROXY, NGINX]) {
      console.log(`| ${cells(load, balancer)} |`);
    }
  }
  console.log();
}

function bound(load: Load): Bound {
  const perSecond = (balancer: Balancer) => middle(load, balancer, "perSecond") as number;
  // Of each round: what disturbs a round disturbs both.
  const ratio = median(
    runsOf(load, HAPROXY).map(
      (one, index) => one.perSecond / (runsOf(load, NGINX)[index] as Measured).perSecond,
    ),
  );
  return {
    what: `${load} a second, against Nginx`,
    measured: `${perSecond(HAPROXY).toFixed(0)} / ${perSecond(NGINX).toFixed(0)}; ${ratio.toFixed(2)} in the median round`,
    bound: "at least 1",
    holds: ratio >= 1,
  };
}

async function main(): Promise<void> {
  if (attemptSync(["sh", "-c", "command -v wrk"]).status !== 0) {
    throw new Error('wrk is missing; install the package "wrk"');
  }
  try {
    cluster.deploy();
    await cluster.inSync();
    await cluster.serving();
    startNginx();
    await measure();
  } finally {
    cluster.remove();
  }
  print();
  report((Object.keys(LOADS) as Load[]).map(bound));
}

void main();
