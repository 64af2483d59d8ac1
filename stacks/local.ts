import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DataResource } from "cdktf/lib/terraform-data-resource";
import { TerraformIterator } from "cdktf/lib/terraform-iterator";
import { TerraformOutput } from "cdktf/lib/terraform-output";
import type { LocalExecProvisioner } from "cdktf/lib/terraform-provisioner";
import { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Construct } from "constructs";
import type { Archive } from "../archives/archive";
import { imageFacts, packagesOf } from "../hosts/image";
import { renderHosts } from "../hosts/render";
import { SCRIPTS } from "../hosts/scripts";
import { PORTS } from "../topology/flows";
import { backupDirectory, localNames } from "../topology/names";
import { machineOf, ROLES } from "../topology/roles";
import { hostsOf, type Topology } from "../topology/topology";
import { type FileSource, StackFiles } from "./local/files";
import type { FoundationFacts } from "./local/foundation";
import { keepStateInFile } from "./state";
import { requireTerraform } from "./terraform-version";

export interface LocalStackProps {
  readonly topology: Topology;
  /** The archive of scripts that hosts run. */
  readonly scripts: Archive;
  /** The cluster's first release. Later ones are the operator's matter. */
  readonly release: Archive;
}

/** What the image's recipe runs, besides the scripts of this machine. */
const EMPTY_SERVER = "database/initialise.sh";

function sha256(...texts: string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) {
    hash.update(text).update("\0");
  }
  return hash.digest("hex");
}

/** An expression that Terraform evaluates. */
function terraform(expression: string): string {
  return `\${${expression}}`;
}

/** What scripts do, as a word that changes with them. */
function recipe(...scripts: string[]): string {
  return sha256(...scripts.map((name) => readFileSync(join(SCRIPTS, name), "utf8")));
}

function onCreate(script: string, facts: Record<string, string>): LocalExecProvisioner {
  return {
    type: "local-exec",
    when: "create",
    command: `bash scripts/local/${script}.sh`,
    environment: facts,
  };
}

/** A destroy provisioner may read nothing but the resource itself: the names are in its input. */
function onDestroy(part: string): LocalExecProvisioner {
  return {
    type: "local-exec",
    when: "destroy",
    command: `bash scripts/local/remove.sh ${part}`,
    environment: {
      DWI_PROJECT: terraform("self.input.project"),
      DWI_NAME: terraform("self.input.name"),
    },
  };
}

/**
 * A cluster as Incus containers of this machine, with nothing but Terraform's built-in
 * `terraform_data`.
 *
 * Each part is two resources. One stands for what will have to be removed (`project`, `network`,
 * `volume`, `host`): it does nothing when created, so Terraform has it in its state before
 * anything is made, and its destroy provisioner removes the part. The other makes things
 * (`image`, `foundation`, `configuration`) and does nothing when destroyed: when
 * making fails, Terraform destroys and creates that resource again, and neither a volume nor a
 * host is lost to a passing fault.
 *
 * Terraform records a resource as created before its provisioner has run. A provisioner that was
 * killed would never run again, were it not for `unfinished` among the triggers: see
 * scripts/local/lib.sh.
 *
 * Volumes and hosts are instances of one resource each, not resources of their own: a destroy
 * provisioner runs for an instance that left, but not for a block that is no longer declared.
 */
export class LocalStack extends TerraformStack {
  private readonly project: string;

  constructor(scope: Construct, id: string, { topology, scripts, release }: LocalStackProps) {
    super(scope, id);
    const { clusterName, network, settings } = topology;
    const hosts = renderHosts(topology, { platform: "local", scripts: scripts.sha256 });
    const { project, bridge } = localNames(clusterName);
    this.project = project;
    const imageOfHosts = imageFacts(packagesOf(hosts), settings.local);
    const gateway = `${network.gateway}/${network.prefixLength}`;
    const ownScripts = readdirSync(join(SCRIPTS, "local"))
      .filter((name) => name.endsWith(".sh"))
      .map((name) => `local/${name}`);

    keepStateInFile(this);
    requireTerraform(this);
    const fileEntries: Array<[string, FileSource]> = [
      ...[...ownScripts, EMPTY_SERVER].map((name): [string, FileSource] => [
        `scripts/${name}`,
        { copyOf: join(SCRIPTS, name) },
      ]),
      ...hosts.map(({ name, userData }): [string, FileSource] => [
        `user-data/${name}`,
        { content: userData },
      ]),
      ...[scripts, release].map(({ name, file }): [string, FileSource] => [
        `archives/${name}`,
        { copyOf: file },
      ]),
    ];
    new StackFiles(this, "files", Object.fromEntries(fileEntries));

    const projectResource = this.removable("project", { project });
    const networkResource = this.removable(
      "network",
      {
        project: projectResource.id,
        bridge,
        cidr: network.cidr,
      },
      bridge,
    );
    const volumeResource = new DataResource(this, "volume", {
      forEach: TerraformIterator.fromMap(
        Object.fromEntries(hostsOf(topology, "database").map(({ name }) => [name, {}])),
      ),
      input: { project, name: terraform("each.key") },
      triggersReplace: { project: projectResource.id },
      provisioners: [onDestroy("volume")],
    });
    const hostResource = new DataResource(this, "host", {
      forEach: TerraformIterator.fromMap(
        Object.fromEntries(hosts.map(({ name, role, address }) => [name, { role, address }])),
      ),
      dependsOn: [networkResource],
      input: { project, name: terraform("each.key") },
      triggersReplace: {
        project: projectResource.id,
        role: terraform("each.value.role"),
        address: terraform("each.value.address"),
        // A volume goes only when its host is gone.
        volume: terraform(`try(${volumeResource.fqn}[each.key].id, "")`),
      },
      provisioners: [onDestroy("host")],
    });

    const image = new DataResource(this, "image", {
      triggersReplace: {
        recipe: sha256(
          recipe(
            "local/image.sh",
            "local/image-sources.sh",
            "local/image-customize.sh",
            EMPTY_SERVER,
          ),
          ...Object.values(imageOfHosts),
        ),
        unfinished: this.unfinished("image"),
      },
      provisioners: [onCreate("image", this.facts(imageOfHosts))],
    });
    const secrets = topology.secrets.map(({ name, readers }) => `${name}=${readers.join(",")}`);
    const backups = backupDirectory(settings);
    const foundation = new DataResource(this, "foundation", {
      dependsOn: [projectResource, networkResource],
      triggersReplace: {
        network: networkResource.id,
        recipe: recipe("local/foundation.sh"),
        gateway,
        secrets: secrets.join(" "),
        backups,
        scripts: scripts.sha256,
        unfinished: this.unfinished("foundation"),
      },
      provisioners: [
        onCreate(
          "foundation",
          this.facts({
            DWI_BRIDGE: bridge,
            DWI_GATEWAY: gateway,
            DWI_ROLES: ROLES.join(" "),
            DWI_SECRETS: secrets.join(" "),
            DWI_KEPT_SECRETS: topology.secrets
              .filter(({ outlivesCluster }) => outlivesCluster)
              .map(({ name }) => name)
              .join(" "),
            DWI_BACKUPS: backups,
            DWI_SCRIPTS: scripts.name,
            DWI_RELEASE: release.name,
          } satisfies FoundationFacts),
        ),
      ],
    });
    const [entrance] = hostsOf(topology, "load-balancer");
    new DataResource(this, "configuration", {
      forEach: TerraformIterator.fromMap(
        Object.fromEntries(
          hosts.map(({ name, role, address, userData }) => [
            name,
            {
              role,
              address: `${address}/${network.prefixLength}`,
              memory: String(machineOf(settings, role).memory),
              user_data: sha256(userData),
              volume: role === "database" ? name : "",
              local_port: name === entrance?.name ? String(settings.localPort) : "",
            },
          ]),
        ),
      ),
      dependsOn: [image, foundation],
      triggersReplace: {
        host: terraform(`${hostResource.fqn}[each.key].id`),
        memory: terraform("each.value.memory"),
        user_data: terraform("each.value.user_data"),
        local_port: terraform("each.value.local_port"),
        unfinished: this.unfinished(terraform("each.key")),
      },
      provisioners: [
        onCreate(
          "host",
          this.facts({
            DWI_HOST: terraform("each.key"),
            DWI_ROLE: terraform("each.value.role"),
            DWI_ADDRESS: terraform("each.value.address"),
            DWI_GATEWAY: network.gateway,
            DWI_MEMORY: terraform("each.value.memory"),
            ...imageOfHosts,
            DWI_USER_DATA: `user-data/${terraform("each.key")}`,
            DWI_VOLUME: terraform("each.value.volume"),
            DWI_LOCAL_PORT: terraform("each.value.local_port"),
            DWI_PORT: String(PORTS.http),
          }),
        ),
      ],
    });

    new TerraformOutput(this, "url", { value: `http://127.0.0.1:${settings.localPort}/` });
    new TerraformOutput(this, "hosts", {
      value: Object.fromEntries(hosts.map(({ name, address }) => [name, address])),
    });
  }

  /** A part that is only removed here; what it is replaced for is all that identifies it. */
  private removable(part: string, identity: Record<string, string>, name = ""): DataResource {
    return new DataResource(this, part, {
      input: { project: this.project, name },
      triggersReplace: identity,
      provisioners: [onDestroy(part)],
    });
  }

  /** The note of a part, which changes when its provisioner was killed. */
  private unfinished(part: string): string {
    const note = `/var/lib/dwi/unfinished/${this.project}/${part}`;
    return terraform(`fileexists("${note}") ? file("${note}") : ""`);
  }

  private facts(facts: Record<string, string>): Record<string, string> {
    return {
      DWI_PROJECT: this.project,
      DWI_UNFINISHED: terraform("self.triggers_replace.unfinished"),
      ...facts,
    };
  }
}
