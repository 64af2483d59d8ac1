import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { PROJECT } from "../../../hosts/project";
import { attemptSync, runSync } from "../../../ops/run";
import { UNREACHABLE, ubuntuImageFacts } from "../../ubuntu-image";

/** Programs that run on this machine, in addition to those that local hosts need. */
const PROGRAMS = ["terraform", "moto_server", "aws", "openssl", "dpkg-deb", "losetup", "nft", "ip"];

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

/** The name of the image of Ubuntu's hosts, which is built if it does not exist; or why it is not available. */
export function ubuntuImage(): { readonly image: string } | { readonly reason: string } {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return { reason: "its hosts are Linux containers, which only root can create" };
  }
  const missing = PROGRAMS.filter((program) => !has(program));
  if (missing.length > 0) {
    return { reason: `not installed: ${missing.join(", ")}` };
  }
  const setup = ["npm", "run", "--silent", "setup", "--", "ubuntu"];
  if (attemptSync(setup, { directory: PROJECT, seconds: 600 }).status !== 0) {
    return { reason: "what Ubuntu hosts need cannot be installed from this machine's sources" };
  }
  const env = { ...ubuntuImageFacts(), DWI_PROJECT: "dwi-aws-hosts" };
  const scripts = join(PROJECT, "scripts", "local");
  const made = attemptSync(["bash", join(scripts, "image.sh")], { env, seconds: 600 });
  if (made.status === UNREACHABLE) {
    return { reason: "Ubuntu's packages are not available here" };
  }
  if (made.status !== 0) {
    throw new Error(`the image of Ubuntu's hosts could not be made:\n${made.stdout}${made.stderr}`);
  }
  return {
    image: runSync(["bash", "-c", `source ${join(scripts, "lib.sh")}; image_alias`], { env }),
  };
}
