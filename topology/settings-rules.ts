import { addressesPerSubnet, firstAddress, overlap } from "./network";
import { addressesNeeded } from "./placement";
import { publishedPorts, tlsPortOf } from "./publication";
import { partitionOf } from "./regions";
import { COUNTING_SETTINGS, hostCounts } from "./roles";
import { type ClusterSettings, clusterSchema } from "./settings-schema";
import { hasTls, isTrusted, tlsOn } from "./tls";

/** A problem: where in the settings it is, and what would be right. */
export interface Finding {
  /** Index of the cluster, then the keys that lead to the setting. */
  readonly keys: readonly PropertyKey[];
  readonly wanted: string;
}

/** A rule over several settings. It is only evaluated if the settings it needs are valid. */
interface Rule {
  readonly needs: readonly (keyof ClusterSettings)[];
  /** Keys are relative to the cluster. */
  readonly findings: (settings: ClusterSettings) => Finding[];
}

const PRIVATE_NETWORKS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/** The keys of the tags that the cluster itself sets on its resources. */
const OWN_TAGS = ["Cluster", "ManagedBy", "Name", "Role"];

/** What hosts that run etcd need, MiB: what they need without it, and etcd's share (hosts/etcd.ts). */
const LEAST_MEMORY_OF_VOTERS = { database: 768 + 96, loadBalancer: 256 } as const;

/**
 * What a load balancer needs: MiB for its programs, etcd included, and KiB for each connection, as measured: 26 for TLS, 5 in
 * the kernel, and half of 40 for the buffers of a request, since half of the connections may have one in progress.
 */
const LOAD_BALANCER_MEMORY = { programs: 150, connection: 51 } as const;

const RULES: readonly Rule[] = [
  {
    needs: ["network"],
    findings: ({ network: { cidr } }) => {
      const keys = ["network", "cidr"];
      const prefixLength = Number(cidr.split("/")[1]);
      const found: Finding[] = [];
      // A VPC may be /16 to /28 (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html). The four subnets
      // of a network smaller than /26 are too small even for the smallest cluster.
      if (prefixLength < 16 || prefixLength > 26) {
        found.push({ keys, wanted: "a network from /16 to /26" });
      }
      if (!PRIVATE_NETWORKS.some((wide) => overlap(wide, cidr) && prefixLength >= 12)) {
        found.push({ keys, wanted: `a private network, inside ${PRIVATE_NETWORKS.join(", ")}` });
      }
      const start = firstAddress(cidr);
      if (start !== cidr.split("/")[0]) {
        found.push({ keys, wanted: `the network's own first address: ${start}/${prefixLength}` });
      }
      return found;
    },
  },
  {
    needs: ["network", "availabilityZones", ...COUNTING_SETTINGS],
    findings: ({ network: { cidr }, availabilityZones, ...counting }) => {
      const zones = availabilityZones.length;
      const needed = addressesNeeded(hostCounts(counting), zones);
      const available = addressesPerSubnet(cidr, zones);
      if (needed <= available) {
        return [];
      }
      const prefixLength = Number(cidr.split("/")[1]);
      const wider = prefixLength - Math.ceil(Math.log2(needed / available));
      return [
        {
          keys: ["network", "cidr"],
          wanted: `a network of /${wider} or larger: each of the ${2 * zones} subnets has ${available} addresses, and the fullest one needs ${needed}`,
        },
      ];
    },
  },
  {
    needs: ["region", "availabilityZones"],
    findings: ({ region, availabilityZones }) => [
      ...availabilityZones.flatMap((zone, index) =>
        zone.slice(0, -1) === region
          ? []
          : [{ keys: ["availabilityZones", index], wanted: `a zone of the region ${region}` }],
      ),
      ...(new Set(availabilityZones).size < availabilityZones.length
        ? [{ keys: ["availabilityZones"], wanted: "each zone once" }]
        : []),
    ],
  },
  {
    // S3 copies from a bucket of one partition to none of another.
    needs: ["region", "backup"],
    findings: ({ region, backup: { copyRegion } }) =>
      copyRegion !== undefined &&
      (copyRegion === region || partitionOf(copyRegion) !== partitionOf(region))
        ? [
            {
              keys: ["backup", "copyRegion"],
              wanted: `another region than ${region}, in the same partition (${partitionOf(region)})`,
            },
          ]
        : [],
  },
  {
    needs: ["database"],
    findings: ({ database }) =>
      database.durability === "lossless" && database.replicas === 0
        ? [
            {
              keys: ["database", "durability"],
              wanted:
                '"available", or at least one replica: without one, lossless writes would wait forever',
            },
          ]
        : [],
  },
  {
    needs: ["database"],
    findings: ({ database }) =>
      database.failover === "automatic" && database.replicas === 0
        ? [
            {
              keys: ["database", "failover"],
              wanted: '"manual", or at least one replica: without one, no host could take over',
            },
          ]
        : [],
  },
  {
    needs: ["database", "loadBalancer"],
    findings: ({ database, loadBalancer }) =>
      database.failover === "manual"
        ? []
        : [
            ...(database.memory < LEAST_MEMORY_OF_VOTERS.database
              ? [
                  {
                    keys: ["database", "memory"],
                    wanted: `at least ${LEAST_MEMORY_OF_VOTERS.database} (MiB) with automatic failover, for which database hosts run etcd`,
                  },
                ]
              : []),
            ...(database.replicas === 1 && loadBalancer.memory < LEAST_MEMORY_OF_VOTERS.loadBalancer
              ? [
                  {
                    keys: ["loadBalancer", "memory"],
                    wanted: `at least ${LEAST_MEMORY_OF_VOTERS.loadBalancer} (MiB) with automatic failover and one replica: the load balancer then runs etcd`,
                  },
                ]
              : []),
          ],
  },
  {
    needs: ["loadBalancer"],
    findings: ({ loadBalancer: { memory, connections } }) => {
      const { programs, connection } = LOAD_BALANCER_MEMORY;
      const needed = programs + Math.ceil((connections * connection) / 1024);
      const most = Math.floor(((memory - programs) * 1024) / connection);
      return memory < needed
        ? [
            {
              keys: ["loadBalancer", "memory"],
              wanted: `at least ${needed} (MiB) with ${connections} connections; or set loadBalancer.connections to ${most} or less`,
            },
          ]
        : [];
    },
  },
  {
    needs: ["webServers"],
    findings: ({ webServers }) =>
      webServers.mode === "active-passive" && webServers.count < 2
        ? [
            {
              keys: ["webServers", "count"],
              wanted: "at least 2 web servers in mode active-passive",
            },
          ]
        : [],
  },
  {
    needs: ["app"],
    findings: ({ app }) => {
      const own = [
        "HOST",
        "PORT",
        "HOST_NAME",
        "DATABASE_WRITE_ADDRESS",
        "DATABASE_READ_ADDRESS",
        "DATABASE_NAME",
        "DATABASE_USER",
        "DATABASE_PASSWORD_FILE",
        "DATABASE_READ_USER",
        "DATABASE_READ_PASSWORD_FILE",
        "DATABASE_CA_FILE",
        "DATABASE_SERVER_NAME",
      ];
      return Object.keys(app.environment)
        .filter((name) => own.includes(name))
        .map((name) => ({
          keys: ["app", "environment", name],
          wanted: "another name: the host sets this variable itself",
        }));
    },
  },
  {
    needs: ["domain", "tls"],
    findings: ({ domain, tls }) => {
      if (tls === undefined || !isTrusted(tls)) {
        return [];
      }
      if (domain === undefined) {
        return [{ keys: ["domain"], wanted: `the site's host name: tls.mode is ${tls.mode}` }];
      }
      return tls.alsoFor.flatMap((name, index, names) =>
        name === domain || names.indexOf(name) < index
          ? [
              {
                keys: ["tls", "alsoFor", index],
                wanted: "a host name that is neither the domain nor listed before",
              },
            ]
          : [],
      );
    },
  },
  {
    needs: ["localPort", "localTlsPort", "tls", "domain"],
    findings: ({ localPort, localTlsPort, tls, domain }) => {
      const port = tlsPortOf({ localPort, localTlsPort });
      if (!hasTls({ tls: tlsOn("local", { tls, domain }) })) {
        return [];
      }
      return port > 65535 || port === localPort
        ? [
            {
              keys: ["localTlsPort"],
              wanted:
                port === localPort
                  ? "another port than localPort"
                  : `a whole number from 1024 to 65535: the default, localPort + ${port - localPort}, would be ${port}`,
            },
          ]
        : [];
    },
  },
  {
    needs: ["tags"],
    findings: ({ tags }) =>
      Object.keys(tags).length > 40 ? [{ keys: ["tags"], wanted: "at most 40 tags" }] : [],
  },
  {
    // IAM treats two keys that differ only in case as duplicates.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
    needs: ["tags"],
    findings: ({ tags }) =>
      Object.keys(tags).flatMap((key, index, keys) => {
        const other = [...OWN_TAGS, ...keys.slice(0, index)].find(
          (earlier) => earlier !== key && earlier.toLowerCase() === key.toLowerCase(),
        );
        return other === undefined
          ? []
          : [
              {
                keys: ["tags", key],
                wanted: `a key that differs from ${other} in more than case: IAM treats them as the same key`,
              },
            ];
      }),
  },
];

/** Evaluates every rule whose settings are valid, even if other settings are not. */
export function findingsOfRules(raw: unknown, index: number): Finding[] {
  if (typeof raw !== "object" || raw === null) {
    return [];
  }
  const sound: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(clusterSchema.shape)) {
    const result = schema.safeParse((raw as Record<string, unknown>)[key]);
    if (result.success) {
      sound[key] = result.data;
    }
  }
  return RULES.filter((rule) => rule.needs.every((key) => key in sound)).flatMap((rule) =>
    rule
      .findings(sound as ClusterSettings)
      .map(({ keys, wanted }) => ({ keys: [index, ...keys], wanted })),
  );
}

/** Finds settings that must differ between clusters, and do not. */
export function findingsBetween(clusters: readonly unknown[]): Finding[] {
  const { name, network, localPort, localTlsPort, tls, domain } = clusterSchema.shape;
  const soundly = clusters.map((raw) => {
    const settings = (raw ?? {}) as Record<string, unknown>;
    const ports = {
      localPort: localPort.safeParse(settings.localPort).data,
      localTlsPort: localTlsPort.safeParse(settings.localTlsPort).data,
    };
    return {
      name: name.safeParse(settings.name).data,
      cidr: network.safeParse(settings.network).data?.cidr,
      published:
        ports.localPort === undefined
          ? []
          : publishedPorts(
              { ...ports, localPort: ports.localPort },
              tlsOn("local", {
                tls: tls.safeParse(settings.tls).data,
                domain: domain.safeParse(settings.domain).data,
              }),
            ),
    };
  });
  return soundly.flatMap((cluster, index) =>
    soundly.slice(0, index).flatMap((other, earlier): Finding[] => {
      const found: Finding[] = [];
      if (cluster.name !== undefined && cluster.name === other.name) {
        found.push({
          keys: [index, "name"],
          wanted: `a unique name: clusters[${earlier}] already has this one`,
        });
      }
      if (cluster.cidr && other.cidr && overlap(cluster.cidr, other.cidr)) {
        found.push({
          keys: [index, "network", "cidr"],
          wanted: `a network that does not overlap ${other.cidr} of clusters[${earlier}]`,
        });
      }
      const taken = other.published.map((one) => one.localPort);
      for (const one of cluster.published) {
        // A default follows localPort, so what is wrong with both is said once.
        const isSaid = one.isDefault && found.some(({ keys }) => keys[1] === "localPort");
        if (taken.includes(one.localPort) && !isSaid) {
          found.push({
            keys: [index, one.setting],
            wanted: `a unique port: clusters[${earlier}] already has ${one.localPort}`,
          });
        }
      }
      return found;
    }),
  );
}
