import { METRICS } from "./metrics";
import { PORTS } from "./ports";
import { type Group, ROLES, type Role } from "./roles";

/** Where a flow may come from or go to, besides the cluster's own hosts. */
export type Outside = "internet";

/**
 * Permitted traffic in one direction. Everything that is not listed is denied: security groups and each host's nftables
 * ruleset are generated from the same list.
 */
export interface Flow {
  /** Unique, kebab-case; names the rule on every platform. */
  readonly name: string;
  readonly from: Role | Group | Outside;
  readonly to: Role | Group | Outside;
  /** `vrrp` is IP protocol 112: load balancers tell each other that they hold the visitors' address. */
  readonly protocol: "tcp" | "udp" | "vrrp";
  /** `undefined` for protocols that have no ports. */
  readonly port: number | undefined;
  /** Description of the rule, one sentence; EC2 permits no apostrophe, and at most 255 characters. */
  readonly purpose: string;
}

/** The number of the protocol VRRP in IP headers (RFC 9568, section 5.1.1.4). */
export const VRRP_NUMBER = 112;

/** The flows of visitors' TLS. */
const TLS_FLOWS: readonly Flow[] = [
  {
    name: "visitors-tls",
    from: "internet",
    to: "load-balancer",
    protocol: "tcp",
    port: PORTS.https,
    purpose: "Visitors reach the site over TLS",
  },
  {
    name: "visitors-http3",
    from: "internet",
    to: "load-balancer",
    protocol: "udp",
    port: PORTS.https,
    purpose: "Visitors reach the site over HTTP/3, which is over QUIC",
  },
];

/** The flows of etcd, which is there only where there are voters. */
const ETCD_FLOWS: readonly Flow[] = [
  {
    name: "etcd-clients",
    from: "database",
    to: "voters",
    protocol: "tcp",
    port: PORTS.etcdClients,
    purpose: "Database hosts read and write the record of who is primary",
  },
  {
    name: "etcd-joining",
    from: "voters",
    to: "voters",
    protocol: "tcp",
    port: PORTS.etcdClients,
    purpose: "A voter asks the others to let it join",
  },
  {
    name: "etcd-peers",
    from: "voters",
    to: "voters",
    protocol: "tcp",
    port: PORTS.etcdPeers,
    purpose: "Voters agree on the record",
  },
];

/** The flows between two load balancers. */
const PAIR_FLOWS: readonly Flow[] = [
  {
    name: "visitors-address",
    from: "load-balancer",
    to: "load-balancer",
    protocol: "vrrp",
    port: undefined,
    purpose: "The load balancer that holds the address of visitors says so to the other one",
  },
  {
    name: "load-balancer-peers",
    from: "load-balancer",
    to: "load-balancer",
    protocol: "tcp",
    port: PORTS.loadBalancerPeer,
    purpose:
      "A load balancer asks the other one which web servers are drained, and whether it can take over",
  },
];

/** The flows of a monitor: what it asks hosts for, and the mail server that it may send alerts to. */
function monitorFlows(mailPort: number | undefined, hasVoters: boolean): Flow[] {
  const asked = METRICS.flatMap(({ job, of, port, what }) =>
    of
      .filter((to) => to !== "voters" || hasVoters)
      .map(
        (to): Flow => ({
          name: `${job}-metrics-of-${to}`,
          from: "monitor",
          to,
          protocol: "tcp",
          port,
          purpose: `The monitor asks for ${what}`,
        }),
      ),
  );
  // Ports 80 and 443 are open to every host anyway, see below.
  const hasOwnPort = mailPort !== undefined && mailPort !== 80 && mailPort !== 443;
  const mail: Flow[] = hasOwnPort
    ? [
        {
          name: "alerts-by-mail",
          from: "monitor",
          to: "internet",
          protocol: "tcp",
          port: mailPort,
          purpose: "The monitor sends alerts by e-mail",
        },
      ]
    : [];
  return [...asked, ...mail];
}

/**
 * Every flow of a cluster.
 *
 * @param has.voters whether any of its hosts run etcd
 * @param has.pair whether it has two load balancers
 * @param has.tls whether visitors can reach it over TLS
 * @param has.monitor whether it has a monitor, and the port of the mail server that this sends alerts to, if there is one
 * @param has.directoryPort the port of the ACME directory that load balancers get certificates from, if there is one
 */
export function flowsOf(has: {
  readonly voters: boolean;
  readonly pair: boolean;
  readonly tls: boolean;
  readonly monitor: { readonly mailPort: number | undefined } | undefined;
  readonly directoryPort: number | undefined;
}): Flow[] {
  const flows: Flow[] = [
    {
      name: "visitors",
      from: "internet",
      to: "load-balancer",
      protocol: "tcp",
      port: PORTS.http,
      purpose: "Visitors reach the site",
    },
    ...(has.tls ? TLS_FLOWS : []),
    {
      name: "requests",
      from: "load-balancer",
      to: "web",
      protocol: "tcp",
      port: PORTS.http,
      purpose: "The load balancer forwards requests and checks health through Nginx",
    },
    {
      name: "queries",
      from: "web",
      to: "database",
      protocol: "tcp",
      port: PORTS.mysql,
      purpose: "The app reads and writes",
    },
    {
      name: "database-roles",
      from: "web",
      to: "database",
      protocol: "tcp",
      port: PORTS.databaseHealth,
      purpose: "Web servers follow who is primary and which replicas are fresh",
    },
    {
      name: "replication",
      from: "database",
      to: "database",
      protocol: "tcp",
      port: PORTS.mysql,
      purpose: "Replicas clone and replicate",
    },
    {
      name: "database-peers",
      from: "database",
      to: "database",
      protocol: "tcp",
      port: PORTS.databaseHealth,
      purpose: "Database hosts look for their peers before they decide anything",
    },
    ...(has.voters ? ETCD_FLOWS : []),
    ...(has.pair ? PAIR_FLOWS : []),
    ...(has.monitor ? monitorFlows(has.monitor.mailPort, has.voters) : []),
    // Port 443 is open to every host anyway, see below.
    ...(has.directoryPort === undefined || has.directoryPort === 443
      ? []
      : [
          {
            name: "certificates",
            from: "load-balancer",
            to: "internet",
            protocol: "tcp",
            port: has.directoryPort,
            purpose: "Load balancers get their certificates from an authority",
          } satisfies Flow,
        ]),
  ];
  for (const role of ROLES.filter((role) => role !== "monitor" || has.monitor)) {
    flows.push(
      {
        name: `${role}-packages`,
        from: role,
        to: "internet",
        protocol: "tcp",
        port: 80,
        purpose: "Packages over signed repositories",
      },
      {
        name: `${role}-apis`,
        from: role,
        to: "internet",
        protocol: "tcp",
        port: 443,
        purpose: "Packages, secrets, releases and sessions",
      },
    );
  }
  return flows;
}
