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
import { machineOf, type Role } from "../../topology/roles";
import { endsOf, type Topology } from "../../topology/topology";
import type { RoleAccess } from "./access";
import { literal } from "./literal";
import type { AwsNetwork } from "./network";
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

/** Images of Ubuntu's LTS; what stands for the stars is its code name and the day it was built. */
const IMAGE_NAME = `ubuntu/images/hvm-ssd-gp3/ubuntu-*-${UBUNTU.version}-amd64-server-*`;

/** The name EC2 is told; on the Nitro system the host sees an NVMe disk of another name. */
const DATA_DEVICE = "/dev/sdf";

interface Surroundings {
  readonly hosts: readonly Host[];
  readonly network: AwsNetwork;
  readonly securityGroups: SecurityGroups;
  readonly store: Store;
  readonly access: ReadonlyMap<Role, RoleAccess>;
}

/**
 * Every host: a network interface that keeps its address, the instance, and for a database a data
 * volume that outlives it.
 *
 * Neither a newer image nor other user-data touches an instance that stands. User-data is in S3 as
 * well, where each host looks for its own every minute: a change of settings is an in-place change
 * of an object. A host made anew may boot from user-data of the day its predecessor was made, and
 * follows from there.
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

  const loadBalancer = placed.find(({ host }) => host.role === "load-balancer");
  new EipAssociation(stack, "visitor-address-association", {
    allocationId: surroundings.network.visitorAddress.id,
    // The interface, not the instance: the address stays when the host is made anew.
    networkInterfaceId: loadBalancer?.networkInterface.id,
  });
  return placed;
}

function placeHost(
  stack: TerraformStack,
  topology: Topology,
  { network, securityGroups, store, access }: Surroundings,
  image: DataAwsAmi,
  host: Host,
): PlacedHost & { networkInterface: NetworkInterface } {
  const { clusterName, settings } = topology;
  const machine = machineOf(settings, host.role);
  const roleAccess = access.get(host.role) as RoleAccess;
  const name = { Name: `${clusterName}-${host.name}` };
  const isDatabase = host.role === "database";
  // What EC2 would refuse halfway through an apply, Terraform refuses before it starts: a change of
  // address, subnet or zone would replace the interface and with it the host.
  const isProtected = isDatabase && settings.database.terminationProtection;

  const userData = new S3Object(stack, `${host.name}-user-data`, {
    bucket: store.bucket.id,
    key: `hosts/${host.name}/user-data`,
    content: literal(host.userData),
    contentType: "text/cloud-config",
    overrideProvider: UNTAGGED,
    // It names the scripts, which are therefore uploaded first.
    dependsOn: [...store.objects],
  });

  const networkInterface = new NetworkInterface(stack, `${host.name}-interface`, {
    subnetId: network.subnets.get(host.subnet)?.id as string,
    privateIps: [host.address],
    securityGroups: endsOf(topology, host).map((end) => securityGroups.get(end)?.id as string),
    description: `${clusterName} ${host.name}`,
    tags: name,
    lifecycle: { preventDestroy: isProtected },
  });

  const volume = isDatabase
    ? new EbsVolume(stack, `${host.name}-data`, {
        availabilityZone: host.availabilityZone,
        size: settings.database.dataVolumeSize,
        type: "gp3",
        // What EC2 gives without being told, MiB/s. The provider repeats it with every change of a volume: to
        // EC2 a change of final_snapshot alone is none, and a request without a value is refused.
        throughput: 125,
        encrypted: true,
        // prevent_destroy goes with the block it stands in: when the settings ask for fewer
        // replicas, this is what is left to bring a volume back from.
        finalSnapshot: settings.database.preventDestroy,
        tags: { Name: `${clusterName}-${host.name}-data` },
        // A volume that was made faster by hand stays so.
        lifecycle: {
          preventDestroy: settings.database.preventDestroy,
          ignoreChanges: ["throughput"],
        },
      })
    : undefined;

  const instance = new Instance(stack, host.name, {
    ami: image.id,
    instanceType: machine.instanceType,
    iamInstanceProfile: roleAccess.profile.name,
    networkInterface: [{ deviceIndex: 0, networkInterfaceId: networkInterface.id }],
    userDataBase64: compressUserData(host.userData).toString("base64"),
    // Types of the Nitro system are so in any case; said here, EC2 reports it so.
    ebsOptimized: true,
    metadataOptions: {
      httpEndpoint: "enabled",
      httpTokens: "required",
      httpPutResponseHopLimit: 1,
    },
    rootBlockDevice: {
      volumeType: "gp3",
      volumeSize: machine.rootVolumeSize,
      encrypted: true,
      deleteOnTermination: true,
      tags: name,
    },
    disableApiTermination: isProtected,
    tags: { ...name, Role: host.role },
    lifecycle: {
      // The provider would replace the instance for any of them.
      ignoreChanges: ["ami", "user_data_base64", "ebs_optimized"],
      preventDestroy: isProtected,
    },
    dependsOn: [
      ...network.egress,
      roleAccess.policy,
      userData,
      // The volume falls after its host: where EC2 refuses to terminate that, the data stays.
      ...(volume ? [volume] : []),
    ],
  });

  if (volume) {
    new VolumeAttachment(stack, `${host.name}-data-attachment`, {
      deviceName: DATA_DEVICE,
      instanceId: instance.id,
      volumeId: volume.id,
      // Taken from under a running MySQL it would be torn; an instance that is terminated stops
      // MySQL, unmounts, and gives the volume back itself.
      skipDestroy: true,
    });
  }
  return { host, instance, networkInterface };
}
