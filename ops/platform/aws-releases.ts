import { awsCommandLine } from "./aws-command-line";
import { parseReleases, type ReleaseStore } from "./release-store";

/** The releases of a cluster on EC2: objects in its bucket. */
export function awsReleases(clusterName: string, region: string): ReleaseStore {
  const { patiently } = awsCommandLine(region);

  let bucket: string | undefined;
  async function object(name: string): Promise<string> {
    const parameter = `/${clusterName}/bucket`;
    bucket ??= JSON.parse(
      await patiently(["ssm", "get-parameter", "--name", parameter], { subject: parameter }),
    ).Parameter.Value;
    return `s3://${bucket}/${name}`;
  }

  return {
    async put(name, file) {
      const target = await object(name);
      await patiently(["s3", "cp", "--only-show-errors", file, target], { subject: target });
    },

    async list() {
      const source = await object("release");
      return parseReleases(
        await patiently(["s3", "cp", "--only-show-errors", source, "-"], { subject: source }),
        source,
      );
    },

    async set(releases) {
      const target = await object("release");
      await patiently(["s3", "cp", "--only-show-errors", "-", target], {
        input: `${releases.join(" ")}\n`,
        subject: target,
      });
    },
  };
}
