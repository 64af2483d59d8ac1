import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { envFile } from "../../hosts/env-file";
import type { Host } from "../../hosts/host";
import { oversizedUserData, renderHosts } from "../../hosts/render";
import { cloudConfig, compressUserData, USER_DATA_LIMIT } from "../../hosts/user-data";
import { fileOf, hostOf, SCRIPTS, topologyOf } from "./rendered";

const both = (settings: Parameters<typeof topologyOf>[0] = {}) => {
  const topology = topologyOf(settings);
  return {
    aws: renderHosts(topology, { platform: "aws", scripts: SCRIPTS }),
    local: renderHosts(topology, { platform: "local", scripts: SCRIPTS }),
  };
};

describe("cloud-config", () => {
  test("contains every file with its content and permissions", () => {
    for (const host of both().local) {
      const document = parse(host.userData, { version: "1.1" });
      expect(document.write_files).toEqual(
        host.files.map(({ path, permissions, content }) => ({ path, permissions, content })),
      );
    }
  });

  test("preserves text that YAML or Terraform would interpret", () => {
    const content = `yes\n\${name} %{if} $\n\ttab: 'quote' "double" \\ # end\n0755\n`;
    const text = cloudConfig("no", [{ path: "/yes", permissions: "0644", content }]);
    const document = parse(text, { version: "1.1" });
    expect(document.hostname).toBe("no");
    expect(document.write_files[0]).toEqual({ path: "/yes", permissions: "0644", content });
  });

  test("starts with the line #cloud-config", () => {
    expect(hostOf("web-1").userData.split("\n")[0]).toBe("#cloud-config");
  });
});

describe("user-data of both platforms", () => {
  test("differs only in the platform script and the region", () => {
    const { aws, local } = both();
    aws.forEach((host, index) => {
      const other = local[index];
      expect(host.files.map((file) => file.path)).toEqual(other?.files.map((file) => file.path));
      const differing = host.files.filter(
        (file, position) => file.content !== other?.files[position]?.content,
      );
      expect(differing.map((file) => file.path)).toEqual([
        "/etc/cluster/host.env",
        "/opt/cluster/platform.sh",
      ]);
      const { PLATFORM_REGION, ...shared } = host.facts;
      expect(PLATFORM_REGION).toBe("eu-central-1");
      expect(shared).toEqual(other?.facts);
    });
  });

  test("has the same bytes each time it is rendered", () => {
    expect(both().aws).toEqual(both().aws);
    const [host] = both().aws;
    expect(compressUserData(host?.userData ?? "")).toEqual(compressUserData(host?.userData ?? ""));
  });
});

describe("size", () => {
  test("user-data of every host of the largest cluster fits the limit", () => {
    const { aws } = both({
      name: "d".repeat(20),
      network: { cidr: "172.16.128.0/17" },
      availabilityZones: ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"],
      region: "ap-southeast-1",
      webServers: { count: 100 },
      database: { name: "d".repeat(32), replicas: 5 },
    });
    expect(oversizedUserData(aws)).toEqual([]);
    for (const host of aws) {
      const compressed = compressUserData(host.userData);
      expect(compressed.length).toBeLessThan(USER_DATA_LIMIT);
      expect(gunzipSync(compressed).toString()).toBe(host.userData);
    }
  });

  test("user-data over the limit is reported with its host and size", () => {
    const noise = Array.from({ length: 700 }, (_, index) =>
      createHash("sha256").update(String(index)).digest("base64url"),
    ).join("");
    const [host] = both().aws;
    const large = { ...(host as Host), name: "large", userData: noise };
    expect(oversizedUserData([host as Host, large])).toEqual([
      { host: "large", bytes: expect.any(Number) },
    ]);
  });
});

describe("facts", () => {
  test("contain no secret", () => {
    for (const host of both().aws) {
      expect(
        Object.keys(host.facts).filter((name) => /PASSWORD|SECRET|SEED|KEY/.test(name)),
      ).toEqual([]);
    }
  });

  test("name the archive of the host's scripts", () => {
    expect(fileOf(hostOf("web-1"), "/etc/cluster/host.env")).toContain(`SCRIPTS='${SCRIPTS}'`);
  });

  test.each([["it's"], ["back\\slash"], ["two\nlines"]])("an env file refuses %j", (value) => {
    expect(() => envFile({ NAME: value })).toThrow("NAME");
  });

  test("an env file refuses an invalid name", () => {
    expect(() => envFile({ "a b": "" })).toThrow('"a b"');
  });
});
