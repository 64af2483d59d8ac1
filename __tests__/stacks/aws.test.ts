import { gunzipSync } from "node:zlib";
import { renderHosts } from "../../hosts/render";
import { literal } from "../../stacks/aws/literal";
import { ROLES, type Role } from "../../topology/roles";
import { endsOf } from "../../topology/topology";
import { SCRIPTS, topologyOf } from "../hosts/rendered";
import { type Json, RELEASE, synthesizedAws } from "./synthesized";

const synthesize = synthesizedAws;
const { text, json } = synthesize();
const resources = (type: string, from: Json = json): Array<[name: string, config: Json]> =>
  Object.entries(from.resource[type] ?? {});
const group = (role: string) => `\${aws_security_group.${role}.id}`;

describe("security groups", () => {
  const ANYWHERE = "0.0.0.0/0";

  /** Every rule of the stack, in the words of the flows. */
  const rules = (direction: "ingress" | "egress") =>
    resources(`aws_vpc_security_group_${direction}_rule`).map(([, rule]) => {
      const far = rule.cidr_ipv4 ?? rule.referenced_security_group_id;
      const [from, to] =
        direction === "ingress" ? [far, rule.security_group_id] : [rule.security_group_id, far];
      expect(rule.from_port).toBe(rule.to_port);
      return `${from} > ${to} ${rule.ip_protocol} ${rule.from_port}`;
    });

  const flows = topologyOf({}, "aws").flows.map(({ from, to, protocol, port }) => {
    const end = (name: string) => (name === "internet" ? ANYWHERE : group(name));
    return { from, to, rule: `${end(from)} > ${end(to)} ${protocol} ${port}` };
  });

  test("let in exactly the flows that end at a host", () => {
    const expected = flows.filter(({ to }) => to !== "internet").map(({ rule }) => rule);
    expect(rules("ingress").sort()).toEqual(expected.sort());
  });

  test("let out exactly the flows that begin at a host", () => {
    const expected = flows.filter(({ from }) => from !== "internet").map(({ rule }) => rule);
    expect(rules("egress").sort()).toEqual(expected.sort());
  });

  test("let only visitors in from any address", () => {
    const open = resources("aws_vpc_security_group_ingress_rule").filter(
      ([, rule]) => rule.cidr_ipv4 !== undefined,
    );
    expect(open.map(([name]) => name)).toEqual(["visitors-in"]);
  });

  test("let visitors in over TLS where that is on, and an output tells the address", () => {
    const stack = synthesize({ tls: { mode: "self-signed" } }).json;
    const rules = stack.resource.aws_vpc_security_group_ingress_rule;
    for (const [name, protocol] of [
      ["visitors-tls-in", "tcp"],
      ["visitors-http3-in", "udp"],
    ] as const) {
      expect(rules[name]).toMatchObject({
        cidr_ipv4: ANYWHERE,
        ip_protocol: protocol,
        from_port: 443,
        to_port: 443,
        security_group_id: group("load-balancer"),
      });
    }
    expect(stack.output.tls_url.value).toBe(`https://\${aws_eip.visitor-address.public_ip}`);
    expect(json.output.tls_url).toBeUndefined();
  });

  test("of voters are attached only to voters, and open etcd's ports", () => {
    const manual = synthesize({ database: { failover: "manual" } }).json;
    const inGroup = Object.entries<Json>(json.resource.aws_network_interface)
      .filter(([, { security_groups }]) => security_groups.includes(group("voters")))
      .map(([name]) => name);
    expect(inGroup.sort()).toEqual([
      "database-1-interface",
      "database-2-interface",
      "load-balancer-1-interface",
    ]);
    const open = resources("aws_vpc_security_group_ingress_rule")
      .filter(([, { security_group_id }]) => security_group_id === group("voters"))
      .map(([, { from_port, referenced_security_group_id: from }]) => `${from} ${from_port}`);
    expect(open.sort()).toEqual([
      `${group("database")} 2379`,
      `${group("voters")} 2379`,
      `${group("voters")} 2380`,
    ]);
    expect(manual.resource.aws_security_group).not.toHaveProperty("voters");
  });

  test("have no inline rules, and the VPC's default group has none at all", () => {
    for (const [, config] of [
      ...resources("aws_security_group"),
      ...resources("aws_default_security_group"),
    ]) {
      expect(config).not.toHaveProperty("ingress");
      expect(config).not.toHaveProperty("egress");
    }
    expect(resources("aws_default_security_group")).toHaveLength(1);
  });
});

describe("network", () => {
  test("hosts have the addresses, subnets and security groups of the topology", () => {
    const topology = topologyOf({}, "aws");
    for (const host of topology.hosts) {
      const networkInterface = json.resource.aws_network_interface[`${host.name}-interface`];
      expect(networkInterface.private_ips).toEqual([host.address]);
      expect(networkInterface.subnet_id).toBe(`\${aws_subnet.${host.subnet}.id}`);
      expect(networkInterface.security_groups).toEqual(endsOf(topology, host).map(group));
    }
  });

  test("no subnet assigns public addresses, and no private one routes to the internet gateway", () => {
    for (const [, subnet] of resources("aws_subnet")) {
      expect(subnet.map_public_ip_on_launch).toBe(false);
    }
    const toInternet = resources("aws_route").filter(([, route]) => route.gateway_id);
    expect(toInternet.map(([, route]) => route.route_table_id)).toEqual([
      `\${aws_route_table.public-route-table.id}`,
    ]);
  });

  test.each([
    ["one", 1],
    ["per-zone", 2],
  ] as const)("NAT gateways: %s", (natGateways, count) => {
    const stack = synthesize({ natGateways }).json;
    expect(resources("aws_nat_gateway", stack)).toHaveLength(count);
    const used = resources("aws_route", stack).flatMap(([, route]) => route.nat_gateway_id ?? []);
    expect(used).toHaveLength(2);
    expect(new Set(used).size).toBe(count);
  });

  test.each([
    {},
    { network: { cidr: "10.90.0.0/26" } },
    { network: { cidr: "10.64.0.0/16" }, availabilityZones: ["a", "b", "c", "d"] },
  ])("a NAT gateway has a private address that no host gets: %j", (changes) => {
    const topology = topologyOf(
      {
        ...changes,
        ...("availabilityZones" in changes
          ? { availabilityZones: changes.availabilityZones?.map((zone) => `eu-central-1${zone}`) }
          : {}),
        natGateways: "per-zone",
      },
      "aws",
    );
    const stack = synthesize(topology.settings).json;
    const kept = topology.network.subnets.filter(({ isPublic }) => isPublic);
    expect(
      resources("aws_nat_gateway", stack).map(([, { subnet_id, private_ip }]) => [
        subnet_id,
        private_ip,
      ]),
    ).toEqual(kept.map(({ name, natAddress }) => [`\${aws_subnet.${name}.id}`, natAddress]));
    for (const { address } of topology.hosts) {
      expect(kept.map(({ natAddress }) => natAddress)).not.toContain(address);
    }
  });

  test("the public address belongs to the load balancer's interface", () => {
    expect(resources("aws_eip_association").map(([, config]) => config)).toEqual([
      expect.objectContaining({
        allocation_id: `\${aws_eip.visitor-address.id}`,
        network_interface_id: `\${aws_network_interface.load-balancer-1-interface.id}`,
      }),
    ]);
  });

  test("releases are fetched through a gateway endpoint, without NAT", () => {
    const [[, endpoint] = []] = resources("aws_vpc_endpoint");
    expect(endpoint.vpc_endpoint_type).toBe("Gateway");
    expect(endpoint.route_table_ids).toHaveLength(resources("aws_route_table").length);
  });
});

describe("hosts", () => {
  test.each(resources("aws_instance"))(
    "%s requires IMDSv2, has an encrypted volume and no SSH key",
    (_, instance) => {
      expect(instance.metadata_options).toEqual({
        http_endpoint: "enabled",
        http_tokens: "required",
        http_put_response_hop_limit: 1,
      });
      expect(instance.root_block_device).toMatchObject({ encrypted: true, volume_type: "gp3" });
      expect(instance.root_block_device.volume_size).toBeGreaterThanOrEqual(8);
      expect(instance.ebs_optimized).toBe(true);
      expect(instance).not.toHaveProperty("key_name");
      expect(instance.iam_instance_profile).toMatch(/^\$\{aws_iam_instance_profile\./);
    },
  );

  test.each(resources("aws_instance"))(
    "%s is not replaced for a new image or user-data",
    (_, host) => {
      expect(host.lifecycle.ignore_changes).toEqual([
        "ami",
        "user_data_base64",
        "ebs_optimized",
        "root_block_device[0].kms_key_id",
      ]);
      expect(host).not.toHaveProperty("user_data_replace_on_change");
    },
  );

  test("boot from the rendered user-data, which is also in the bucket", () => {
    for (const { name, userData } of renderHosts(topologyOf({}, "aws"), {
      platform: "aws",
      scripts: SCRIPTS,
    })) {
      const instance = json.resource.aws_instance[name];
      const packed = Buffer.from(instance.user_data_base64, "base64");
      expect(gunzipSync(packed).toString("utf8") === userData).toBe(true);
      expect(packed.length).toBeLessThanOrEqual(16384);
      const object = json.resource.aws_s3_object[`${name}-user-data`];
      expect(object.key).toBe(`hosts/${name}/user-data`);
      expect(object.content === literal(userData)).toBe(true);
    }
  });

  test("literal() escapes Terraform's template markers", () => {
    expect(literal(`\${a} %{b} $c %d $$ 100% {}`)).toBe(`$\${a} %%{b} $c %d $$ 100% {}`);
  });

  test("the image is Canonical's newest Ubuntu 26.04 LTS", () => {
    expect(json.data.aws_ami.ubuntu).toMatchObject({
      most_recent: true,
      owners: ["099720109477"],
      filter: expect.arrayContaining([
        {
          name: "name",
          values: ["ubuntu/images/hvm-ssd-gp3/ubuntu-*-26.04-amd64-server-*"],
        },
      ]),
    });
  });

  test.each([
    ["eu-central-1", "099720109477", "ec2.amazonaws.com"],
    ["us-gov-west-1", "513442679011", "ec2.amazonaws.com"],
    ["cn-north-1", "837727238323", "ec2.amazonaws.com.cn"],
  ])(
    "in %s the stack uses the partition's Canonical account and EC2 service name",
    (region, owner, principal) => {
      const availabilityZones = [`${region}a`, `${region}b`];
      const stack = synthesize({ monitor: true, region, availabilityZones });
      expect(stack.json.data.aws_ami.ubuntu.owners).toEqual([owner]);
      for (const role of ROLES) {
        const { assume_role_policy } = stack.json.resource.aws_iam_role[`${role}-role`];
        expect(JSON.parse(assume_role_policy).Statement).toEqual([
          expect.objectContaining({ Principal: { Service: principal } }),
        ]);
      }
      // ARNs come from AWS, so that they are of the right partition.
      expect(stack.text).not.toMatch(/arn:aws/);
    },
  );

  test("instances have the types and volume sizes of the settings", () => {
    const stack = synthesize({
      loadBalancer: { instanceType: "c7i.large", rootVolumeSize: 9 },
      webServers: { instanceType: "m7i.large", rootVolumeSize: 10 },
      database: { instanceType: "r7i.large", rootVolumeSize: 11, dataVolumeSize: 100 },
    }).json;
    const sizeOf = (name: string) => {
      const { instance_type, root_block_device } = stack.resource.aws_instance[name];
      return [instance_type, root_block_device.volume_size];
    };
    expect(sizeOf("load-balancer-1")).toEqual(["c7i.large", 9]);
    expect(sizeOf("web-2")).toEqual(["m7i.large", 10]);
    expect(sizeOf("database-2")).toEqual(["r7i.large", 11]);
    expect(stack.resource.aws_ebs_volume["database-1-data"].size).toBe(100);
  });

  test("50 web servers make 53 instances", () => {
    const stack = synthesize({ webServers: { count: 50 } }).json;
    expect(resources("aws_instance", stack)).toHaveLength(53);
  });
});

describe("databases", () => {
  const kept = (stack: Json) => ({
    terminate: stack.resource.aws_instance["database-1"].disable_api_termination,
    host: stack.resource.aws_instance["database-1"].lifecycle.prevent_destroy,
    address: stack.resource.aws_network_interface["database-1-interface"].lifecycle.prevent_destroy,
    data: stack.resource.aws_ebs_volume["database-1-data"].lifecycle.prevent_destroy,
    snapshot: stack.resource.aws_ebs_volume["database-1-data"].final_snapshot,
  });

  test("are protected by default", () => {
    expect(kept(json)).toEqual({
      terminate: true,
      host: true,
      address: true,
      data: true,
      snapshot: true,
    });
  });

  test("lose each protection on its own if the settings say so", () => {
    expect(kept(synthesize({ database: { terminationProtection: false } }).json)).toMatchObject({
      terminate: false,
      host: false,
      address: false,
      data: true,
    });
    expect(kept(synthesize({ database: { preventDestroy: false } }).json)).toMatchObject({
      terminate: true,
      host: true,
      data: false,
      snapshot: false,
    });
  });

  test("each have an encrypted volume in their zone that is never detached from a running host", () => {
    const databases = topologyOf({}, "aws").hosts.filter(({ role }) => role === "database");
    expect(resources("aws_ebs_volume")).toHaveLength(databases.length);
    for (const { name, availabilityZone } of databases) {
      expect(json.resource.aws_ebs_volume[`${name}-data`]).toMatchObject({
        availability_zone: availabilityZone,
        encrypted: true,
        type: "gp3",
      });
      expect(json.resource.aws_volume_attachment[`${name}-data-attachment`].skip_destroy).toBe(
        true,
      );
      expect(json.resource.aws_instance[name].depends_on).toContain(`aws_ebs_volume.${name}-data`);
    }
  });
});

describe("access", () => {
  // With hosts of every role.
  const watched = { monitor: true, monitoring: { webhook: true } };
  const { json } = synthesize(watched);
  const policyOf = (role: Role) =>
    JSON.parse(json.resource.aws_iam_role_policy[`${role}-policy`].policy);
  const list = (value: string | string[]) => [value].flat();

  /** The resources on which a role may do something; `*` is any. */
  const allowed = (role: Role, action: string): string[] =>
    policyOf(role)
      .Statement.filter(
        ({ Effect, Action }: Json) =>
          Effect === "Allow" &&
          list(Action).some((pattern) =>
            new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(action),
          ),
      )
      .flatMap(({ Resource }: Json) => list(Resource));

  test.each(ROLES)("role %s can read only its own secrets", (role) => {
    const own = topologyOf(watched, "aws").secrets.filter(({ readers }) => readers.includes(role));
    expect(allowed(role, "ssm:GetParameter").sort()).toEqual(
      [
        "store-bucket",
        ...(role === "database" ? ["backups-bucket"] : []),
        ...own.map(({ name }) => name),
      ]
        .map((name) => `\${aws_ssm_parameter.${name}.arn}`)
        .sort(),
    );
    for (const action of ["ssm:GetParameters", "ssm:GetParametersByPath", "ssm:PutParameter"]) {
      expect(allowed(role, action)).toEqual([]);
    }
  });

  test.each(ROLES)(
    "role %s can read its own user-data and the scripts, and releases only if it runs the app",
    (role) => {
      const bucket = `\${aws_s3_bucket.store.arn}`;
      expect(allowed(role, "s3:GetObject")).toEqual([
        `${bucket}/hosts/${role}-*/user-data`,
        `${bucket}/scripts/*`,
        ...(role === "web" ? [`${bucket}/release`, `${bucket}/releases/*`] : []),
        ...(role === "database" ? [`\${aws_s3_bucket.backups.arn}/*`] : []),
      ]);
    },
  );

  test("only database hosts can access the backups, and no host can delete an object version", () => {
    const backups = `\${aws_s3_bucket.backups.arn}`;
    for (const role of ROLES) {
      const own = role === "database";
      expect(allowed(role, "s3:PutObject")).toEqual(own ? [`${backups}/*`] : []);
      expect(allowed(role, "s3:DeleteObject")).toEqual(own ? [`${backups}/*`] : []);
      expect(allowed(role, "s3:ListBucket")).toEqual(own ? [backups] : []);
      expect(allowed(role, "s3:DeleteObjectVersion")).toEqual([]);
    }
  });

  test.each(ROLES)("role %s has no other permissions than those of the SSM agent", (role) => {
    const actions: string[] = policyOf(role).Statement.flatMap(({ Action }: Json) => list(Action));
    const others = new Set(
      actions.filter((action) => !/^(ssmmessages|ec2messages):[A-Za-z]+$/.test(action)),
    );
    expect([...others].sort()).toEqual([
      ...(role === "database" ? ["s3:DeleteObject", "s3:GetBucketLocation"] : []),
      "s3:GetObject",
      ...(role === "database" ? ["s3:ListBucket", "s3:PutObject"] : []),
      "ssm:GetParameter",
      "ssm:UpdateInstanceInformation",
    ]);
    expect(resources("aws_iam_role_policy_attachment")).toEqual([]);
    expect(json.resource.aws_iam_role[`${role}-role`]).not.toHaveProperty("managed_policy_arns");
  });
});

describe("secrets", () => {
  test("come from an ephemeral block through a write-only argument", () => {
    for (const { name } of topologyOf({}, "aws").secrets) {
      expect(json.ephemeral.aws_secretsmanager_random_password[name]).toMatchObject({
        password_length: 48,
        exclude_punctuation: true,
      });
      const parameter = json.resource.aws_ssm_parameter[name];
      expect(parameter).toMatchObject({
        name: `/demo/secrets/${name}`,
        type: "SecureString",
        value_wo: `\${ephemeral.aws_secretsmanager_random_password.${name}.random_password}`,
        value_wo_version: 1,
      });
      expect(parameter).not.toHaveProperty("value");
      expect(parameter).not.toHaveProperty("insecure_value");
    }
  });

  test("are referenced only once each, by their parameter, and by no output", () => {
    expect(text.match(/\$\{ephemeral\./g)).toHaveLength(topologyOf({}, "aws").secrets.length);
    expect(Object.values(json.output).every((output: Json) => !output.sensitive)).toBe(true);
  });
});

describe("the buckets", () => {
  test.each(["store", "backups"])(
    "%s is private, encrypted, versioned and accessible only over TLS",
    (id) => {
      expect(json.resource.aws_s3_bucket_public_access_block[`${id}-public-access`]).toMatchObject({
        bucket: `\${aws_s3_bucket.${id}.id}`,
        block_public_acls: true,
        block_public_policy: true,
        ignore_public_acls: true,
        restrict_public_buckets: true,
      });
      expect(json.resource.aws_s3_bucket_server_side_encryption_configuration).toHaveProperty(
        `${id}-encryption`,
      );
      expect(
        json.resource.aws_s3_bucket_versioning[`${id}-versioning`].versioning_configuration,
      ).toEqual({ status: "Enabled" });
      const { policy } = json.resource.aws_s3_bucket_policy[`${id}-policy`];
      expect(JSON.parse(policy).Statement).toEqual([
        expect.objectContaining({
          Effect: "Deny",
          Principal: "*",
          Action: "s3:*",
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        }),
      ]);
    },
  );

  test.each(["store", "backups"])(
    "%s expires old versions after 30 days, and then their delete markers",
    (id) => {
      const [rule] = json.resource.aws_s3_bucket_lifecycle_configuration[`${id}-lifecycle`].rule;
      expect(rule).toMatchObject({
        status: "Enabled",
        filter: [{ prefix: "" }],
        noncurrent_version_expiration: [{ noncurrent_days: 30 }],
        expiration: [{ expired_object_delete_marker: true }],
      });
      // S3 refuses a rule about marks that has an age for objects as well.
      expect(Object.keys(rule.expiration[0])).toEqual(["expired_object_delete_marker"]);
    },
  );

  test("a monitor asks no voter where there is none", () => {
    const stack = synthesize({ monitor: true, database: { failover: "manual" } }).json;
    expect(Object.keys(stack.resource.aws_instance)).toContain("monitor-1");
    expect(Object.keys(stack.resource.aws_security_group)).not.toContain("voters");
  });

  test("a monitor's data outlives its host, and goes with the setting", () => {
    const stack = synthesize({ monitor: true, monitoring: { dataVolumeSize: 30 } }).json;
    const volume = stack.resource.aws_ebs_volume["monitor-1-data"];
    expect(volume).toMatchObject({ size: 30, encrypted: true, final_snapshot: false });
    expect(volume.lifecycle.prevent_destroy).not.toBe(true);
    expect(stack.resource.aws_volume_attachment["monitor-1-data-attachment"].skip_destroy).toBe(
      true,
    );
    expect(stack.resource.aws_instance["monitor-1"].disable_api_termination).toBe(false);
  });

  test("backups are protected from destruction like the data volumes", () => {
    const kept = { lifecycle: { prevent_destroy: true } };
    expect(json.resource.aws_s3_bucket.backups).toMatchObject({ ...kept, force_destroy: false });
    expect(json.resource.aws_ssm_parameter["backup-password"]).toMatchObject(kept);
    expect(json.resource.aws_s3_bucket.store).not.toHaveProperty("lifecycle");
  });

  test("new scripts are uploaded before any host's user-data names them, and old ones are deleted last", () => {
    expect(json.resource.aws_s3_object.scripts).toMatchObject({
      key: `scripts/${SCRIPTS}.tar.gz`,
      lifecycle: { create_before_destroy: true },
    });
    for (const { name } of topologyOf({}, "aws").hosts) {
      expect(json.resource.aws_s3_object[`${name}-user-data`].depends_on).toContain(
        "aws_s3_object.scripts",
      );
    }
  });

  test("Terraform uploads the first release, and ignores later ones", () => {
    expect(json.resource.aws_s3_object["first-release"]).toMatchObject({
      key: `releases/${RELEASE}.tar.gz`,
      lifecycle: { ignore_changes: "all" },
    });
    expect(json.resource.aws_s3_object.release).toMatchObject({
      key: "release",
      content: `${RELEASE}\n`,
      lifecycle: { ignore_changes: "all" },
    });
  });

  test("objects have no tags: S3 allows 10 on an object, the settings 40", () => {
    for (const [, object] of resources("aws_s3_object")) {
      expect(object.override_provider).toEqual({ default_tags: { tags: {} } });
    }
  });
});

describe("the stack", () => {
  test("requires the versions of Terraform and the provider that it needs", () => {
    expect(json.terraform.required_version).toBe(">= 1.11.0");
    expect(json.terraform.required_providers.aws).toEqual({ source: "aws", version: "~> 5.100" });
  });

  test("tags its resources, and the settings cannot replace the cluster's own tags", () => {
    const stack = synthesize({ tags: { Team: "web", Cluster: "other" } }).json;
    expect(stack.provider.aws[0].default_tags).toEqual([
      { tags: { Team: "web", Cluster: "demo", ManagedBy: "cdktf" } },
    ]);
  });

  test("keeps its state locally, or in S3 with S3's own lock", () => {
    expect(Object.keys(json.terraform.backend)).toEqual(["local"]);
    const stack = synthesize({
      backend: { type: "s3", bucket: "states", region: "eu-west-1" },
    }).json;
    expect(stack.terraform.backend).toEqual({
      s3: {
        bucket: "states",
        region: "eu-west-1",
        key: "demo/aws.tfstate",
        encrypt: true,
        use_lockfile: true,
      },
    });
  });

  test("outputs the cluster's URL and a session command for each host", () => {
    expect(json.output.url.value).toBe(`http://\${aws_eip.visitor-address.public_ip}`);
    const names = topologyOf({}, "aws").hosts.map(({ name }) => name);
    expect(Object.keys(json.output.instances.value)).toEqual(names.sort());
    expect(json.output.sessions.value["database-1"]).toBe(
      `aws ssm start-session --region eu-central-1 --target \${aws_instance.database-1.id}`,
    );
  });

  test("two clusters share no name", () => {
    /** Every name that AWS wants to be unique, or that a person tells clusters apart by. */
    const names = (stack: Json): string[] =>
      Object.values(stack.resource).flatMap((instances: Json) =>
        Object.values(instances).flatMap((config: Json) =>
          [config.name, config.bucket_prefix, config.tags?.Name].filter(
            (name) => name !== undefined && name !== "least",
          ),
        ),
      );
    const own = new Set(names(json));
    const other = names(synthesize({ name: "other", network: { cidr: "10.91.0.0/22" } }).json);
    expect(other.length).toBeGreaterThan(50);
    expect(other.filter((name) => own.has(name))).toEqual([]);
    for (const name of own) {
      expect(name).toMatch(/^\/?demo([-/]|$)/);
    }
  });
});

describe("with two load balancers", () => {
  const two = synthesize({ loadBalancer: { count: 2 } }).json;
  const statements = (role: string): Json[] =>
    JSON.parse(two.resource.aws_iam_role_policy[`${role}-policy`].policy).Statement;

  test("each has its own address first and its floating address second, in its own zone", () => {
    const interfaces = ["load-balancer-1", "load-balancer-2"].map(
      (name) => two.resource.aws_network_interface[`${name}-interface`],
    );
    expect(interfaces.map((one) => one.private_ip_list)).toEqual([
      ["10.90.0.4", "10.90.0.5"],
      ["10.90.1.4", "10.90.1.5"],
    ]);
    for (const one of interfaces) {
      expect(one).toMatchObject({ private_ip_list_enabled: true });
      expect(one).not.toHaveProperty("private_ips");
    }
    expect(interfaces.map((one) => one.subnet_id)).toEqual([
      `\${aws_subnet.public-a.id}`,
      `\${aws_subnet.public-b.id}`,
    ]);
  });

  test("each has a public address of its own, and Terraform never moves the visitors' address", () => {
    expect(
      resources("aws_eip_association", two).map(([, { allocation_id, private_ip_address }]) => [
        allocation_id,
        private_ip_address,
      ]),
    ).toEqual([
      [`\${aws_eip.load-balancer-1-address.id}`, "10.90.0.4"],
      [`\${aws_eip.load-balancer-2-address.id}`, "10.90.1.4"],
    ]);
  });

  test("they may move only the visitors' address, and only to their own interfaces", () => {
    const claims = statements("load-balancer").filter(({ Action }) => /Address/.test(Action));
    expect(claims.map(({ Action, Resource, Condition }) => [Action, Resource, Condition])).toEqual([
      ["ec2:DescribeAddresses", "*", undefined],
      [
        "ec2:AssociateAddress",
        "arn:aws:ec2:eu-central-1:*:elastic-ip/*",
        {
          StringEquals: {
            "aws:ResourceTag/Cluster": "demo",
            "aws:ResourceTag/Name": [two.resource.aws_eip["visitor-address"].tags.Name],
          },
        },
      ],
      [
        "ec2:AssociateAddress",
        "arn:aws:ec2:eu-central-1:*:network-interface/*",
        {
          StringEquals: {
            "aws:ResourceTag/Cluster": "demo",
            "aws:ResourceTag/Name": ["load-balancer-1", "load-balancer-2"].map(
              (name) => two.resource.aws_network_interface[`${name}-interface`].tags.Name,
            ),
          },
        },
      ],
    ]);
    for (const role of ["web", "database"]) {
      expect(JSON.stringify(statements(role))).not.toContain("ec2:AssociateAddress");
    }
    const names = Object.values<Json>(two.resource.aws_eip).map(({ tags }) => tags.Name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("the rules between them allow VRRP, a protocol without ports", () => {
    for (const direction of ["ingress", "egress"]) {
      const rule = two.resource[`aws_vpc_security_group_${direction}_rule`];
      const name = `visitors-address-${direction === "ingress" ? "in" : "out"}`;
      expect(rule[name]).toMatchObject({
        ip_protocol: "112",
        security_group_id: group("load-balancer"),
        referenced_security_group_id: group("load-balancer"),
      });
      expect(rule[name]).not.toHaveProperty("from_port");
      expect(rule[name]).not.toHaveProperty("to_port");
    }
  });

  test("the address is destroyed after them, so that neither claims it meanwhile", () => {
    expect(two.resource.aws_instance["load-balancer-2"].depends_on).toContain(
      "aws_eip.visitor-address",
    );
  });
});
