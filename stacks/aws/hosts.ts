import { DataAwsAmi } from "@cdktf/provider-aws/lib/data-aws-ami";
import { EbsVolume } from "@cdktf/provider-aws/lib/ebs-volume";
import { EipAssociation } from "@cdktf/provider-aws/lib/eip-association";
import { Instance } from "@cdktf/provider-aws/lib/instance";
import { NetworkInterface } from "@cdktf/provider-aws/lib/network-interface";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import { VolumeAttachment } from "@cdktf/provider-aws/lib/volume-attachment";
import type { TerraformStack } from "cdktf";
import { UBUNTU } from "../../hosts/distributions";
import type { Host } from "../../hosts/host";
import { compressUserData } from "../../hosts/user-data";
import { type Partition, partitionOf } from "../../topology/regions";
import { machineOf, type Role, volumeOf } from "../../topology/roles";
import { endsOf, type Topology } from "../../topology/topology";
import type { RoleAccess } from "./access";
import type { EncryptionKey } from "./encryption-key";
import { literal } from "./literal";
import type { AwsNetwork } from "./network";
import { declareWayOut } from "./pair";
import type { SecurityGroups } from "./security-groups";
import { type Store, UNTAGGED } from "./store";

/** A host on EC2. */
export interface PlacedHost {
  readonly host: Host;
  readonly instance: Instance;
}

/**
 * Canonical's account in each partition.
 * https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/
 */
const CANONICAL: Readonly<Record<Partition, string>> = {
  aws: "099720109477",
  "aws-cn": "837727238323",
  "aws-us-gov": "513442679011",
};

/** Ubuntu LTS images; the wildcards stand for the code name and the build date. */
const IMAGE_NAME = `ubuntu/images/hvm-ssd-gp3/ubuntu-*-${UBUNTU.version}-amd64-server-*`;

/** The device name for EC2; on the Nitro system, the host sees an NVMe disk with a different name. */
const DATA_DEVICE = "/dev/sdf";

interface Surroundings {
  readonly hosts: readonly Host[];
  readonly network: AwsNetwork;
  readonly securityGroups: SecurityGroups;
  readonly store: Store;
  readonly access: ReadonlyMap<Role, RoleAccess>;
  /** Encrypts new volumes. */
  readonly key: EncryptionKey | undefined;
}

/**
 * Declares every host: a network interface that keeps its address, the instance, and a data volume that outlives it for
 * a host with data.
 *
 * Neither a newer image nor changed user-data affects an existing instance. User-data is also in S3, where each host checks
 * for its own every minute, so a change of settings is an in-place update of an object. A replaced host may boot with
 * outdated user-data, and then updates itself.
 */
export function declareHosts(
  stack: TerraformStack,
  topology: Topology,
  surroundings: Surroundings,
): PlacedHost[] {
  const image = new DataAwsAmi(stack, "ubuntu", {
    owners: [CANONICAL[partitionOf(topology.settings.region)]],
    mostRecent: true,
    filter: [
      { name: "name", values: [IMAGE_NAME] },
      { name: "architecture", values: ["x86_64"] },
      { name: "virtualization-type", values: ["hvm"] },
      { name: "state", values: ["available"] },
    ],
  });
  const placed = surroundings.hosts.map((host) =>
    placeHost(stack, topology, surroundings, image, host),
  );

  // Of two load balancers, the one that holds the address claims it by itself.
  if (topology.floatingAddresses.size === 0) {
    const loadBalancer = placed.find(({ host }) => host.role === "load-balancer");
    new EipAssociation(stack, "visitor-address-association", {
      allocationId: surroundings.network.visitorAddress.id,
      // The interface, not the instance, so that the address stays when the host is replaced.
      networkInterfaceId: loadBalancer?.networkInterface.id,
    });
  }
  return placed;
}

function placeHost(
  stack: TerraformStack,
  topology: Topology,
  { network, securityGroups, store, access, key }: Surroundings,
  image: DataAwsAmi,
  host: Host,
): PlacedHost & { networkInterface: NetworkInterface } {
  const { clusterName, settings } = topology;
  const machine = machineOf(settings, host.role);
  const roleAccess = access.get(host.role) as RoleAccess;
  const name = { Name: `${clusterName}-${host.name}` };
  const data = volumeOf(settings, host.role);
  const isKept = data?.isProtected === true;
  const encrypted = { encrypted: true, ...(key === undefined ? {} : { kmsKeyId: key.arn }) };
  // EC2's termination protection would fail in the middle of an apply; prevent_destroy fails before it starts. A change of
  // address, subnet or zone would replace the interface, and so the host.
  const isProtected = isKept && settings.database.terminationProtection;

  const userData = new S3Object(stack, `${host.name}-user-data`, {
    bucket: store.bucket.id,
    key: `hosts/${host.name}/user-data`,
    content: literal(host.userData),
    contentType: "text/cloud-config",
    overrideProvider: UNTAGGED,
    // It refers to the scripts, which must be uploaded first.
    dependsOn: [...store.objects],
  });

  const floating = topology.floatingAddresses.get(host.name);
  const networkInterface = new NetworkInterface(stack, `${host.name}-interface`, {
    subnetId: network.subnets.get(host.subnet)?.id as string,
    // In a list the first one is the primary address; the other attribute is a set.
    ...(floating === undefined
      ? { privateIps: [host.address] }
      : { privateIpListEnabled: true, privateIpList: [host.address, floating] }),
    securityGroups: endsOf(topology, host).map((end) => securityGroups.get(end)?.id as string),
    description: `${clusterName} ${host.name}`,
    tags: name,
    lifecycle: { preventDestroy: isProtected },
  });

  const wayOut =
    floating === undefined
      ? undefined
      : declareWayOut(stack, topology, host, networkInterface, network.egress);

  const volume = data
    ? new EbsVolume(stack, `${host.name}-data`, {
        availabilityZone: host.availabilityZone,
        size: data.size,
        type: "gp3",
        // EC2's default, MiB/s. Must be set, because the provider sends a modification request even if only final_snapshot
        // changes, and EC2 rejects a request without any value.
        throughput: 125,
        ...encrypted,
        // If a replica is removed from the settings, prevent_destroy is removed with its block. Then the volume can be
        // restored from this snapshot.
        finalSnapshot: isKept && settings.database.preventDestroy,
        tags: { Name: `${clusterName}-${host.name}-data` },
        // Keeps a throughput that was changed manually, and the key, whose change would replace the volume.
        lifecycle: {
          preventDestroy: isKept && settings.database.preventDestroy,
          ignoreChanges: ["throughput", "kms_key_id"],
        },
      })
    : undefined;

  const instance = new Instance(stack, host.name, {
    ami: image.id,
    instanceType: machine.instanceType,
    iamInstanceProfile: roleAccess.profile.name,
    networkInterface: [{ deviceIndex: 0, networkInterfaceId: networkInterface.id }],
    userDataBase64: compressUserData(host.userData).toString("base64"),
    // Always true on the Nitro system; set explicitly, so that EC2 reports it as such.
    ebsOptimized: true,
    metadataOptions: {
      httpEndpoint: "enabled",
      httpTokens: "required",
      httpPutResponseHopLimit: 1,
    },
    rootBlockDevice: {
      volumeType: "gp3",
      volumeSize: machine.rootVolumeSize,
      ...encrypted,
      deleteOnTermination: true,
      tags: name,
    },
    disableApiTermination: isProtected,
    tags: { ...name, Role: host.role },
    lifecycle: {
      // The provider would replace the instance if any of these changed.
      ignoreChanges: [
        "ami",
        "user_data_base64",
        "ebs_optimized",
        "root_block_device[0].kms_key_id",
      ],
      preventDestroy: isProtected,
    },
    dependsOn: [
      ...network.egress,
      roleAccess.policy,
      userData,
      // So that the volume is destroyed after its host: if EC2 refuses to terminate the host, the data is kept.
      ...(volume ? [volume] : []),
      // So that no load balancer claims the visitors' address while that is destroyed.
      ...(wayOut ? [wayOut, network.visitorAddress] : []),
    ],
  });

  if (volume) {
    new VolumeAttachment(stack, `${host.name}-data-attachment`, {
      deviceName: DATA_DEVICE,
      instanceId: instance.id,
      volumeId: volume.id,
      // Detaching it from a running MySQL would corrupt data; a terminating instance stops MySQL, unmounts the volume and
      // detaches it by itself.
      skipDestroy: true,
    });
  }
  return { host, instance, networkInterface };
}
