import { randomInt } from "node:crypto";
import { OperatorError } from "../operator-error";
import { awsCommandLine } from "./aws-command-line";
import { PHASES, type Phase, phaseAfter, type SecretStore } from "./secret-store";

const CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** As many as stacks/aws/secrets.ts asks AWS for. */
const LENGTH = 48;

/** A secret as scripts/host/lib.sh reads it: `VALUE`, or `VALUE PHASE OTHER` while it is being rotated. */
interface Content {
  readonly phase: Phase;
  readonly value: string;
  readonly other: string;
}

/** @throws OperatorError, without quoting it, if it is something else */
function parseContent(text: string, parameter: string): Content {
  const [value = "", phase = "steady", other = "", ...rest] = text.split(" ");
  const known = PHASES.find((one) => one === phase);
  const isWord = (word: string) => /^[A-Za-z0-9]{20,128}$/.test(word);
  const isValid =
    known !== undefined &&
    rest.length === 0 &&
    isWord(value) &&
    (text === value || (known !== "steady" && isWord(other)));
  if (!isValid) {
    throw new OperatorError(
      `The parameter ${parameter} holds ${text.length} characters that are no secret; wanted 20 to 128 letters and digits, or two such words with next, previous or former between them. Nothing was changed.`,
    );
  }
  return { phase: known, value, other };
}

const generate = () =>
  Array.from({ length: LENGTH }, () => CHARACTERS[randomInt(CHARACTERS.length)]).join("");

/** The text to store for the phase after that of `content`. */
function advanced({ phase, value, other }: Content): string {
  switch (phase) {
    case "steady":
      return `${value} next ${generate()}`;
    case "next":
      return `${other} previous ${value}`;
    case "previous":
      return `${value} former ${other}`;
    case "former":
      return value;
  }
}

/** Where a copy of a secret is, that follows each rotation: the password of the backups that S3 copies elsewhere. */
export interface SecretCopy {
  readonly name: string;
  readonly region: string;
}

/** The key that encrypts a parameter. A new value has AWS's own, unless it is written with this one. */
async function keyOf(parameter: string, region: string): Promise<string> {
  const filter = `Key=Name,Values=${parameter}`;
  const answer = await awsCommandLine(region).patiently(
    ["ssm", "describe-parameters", "--parameter-filters", filter],
    { subject: parameter },
  );
  return JSON.parse(answer).Parameters[0].KeyId;
}

/**
 * The secrets of a cluster on EC2: SSM parameters, which Terraform creates and never writes again
 * (stacks/aws/secrets.ts). Values are in this process and on its children's standard input only.
 *
 * @param copies secrets of which stacks/aws/backup-copies.ts keeps a copy in another region; default none
 */
export function awsSecrets(
  clusterName: string,
  region: string,
  copies: readonly SecretCopy[] = [],
): SecretStore {
  const parameterOf = (name: string) => `/${clusterName}/secrets/${name}`;

  async function read(name: string): Promise<Content> {
    const parameter = parameterOf(name);
    const answer = await awsCommandLine(region).patiently(
      ["ssm", "get-parameter", "--name", parameter, "--with-decryption"],
      { subject: parameter },
    );
    return parseContent(JSON.parse(answer).Parameter.Value, parameter);
  }

  async function write(parameter: string, where: string, value: string): Promise<void> {
    await awsCommandLine(where).patiently(
      [
        ...["ssm", "put-parameter", "--name", parameter, "--overwrite"],
        ...["--type", "SecureString", "--key-id", await keyOf(parameter, where)],
        // The advanced tier, which costs money, only for what exceeds 4 KB.
        ...["--tier", "Intelligent-Tiering"],
        // The CLI reads --cli-input-json twice, which standard input does not allow.
        ...["--value", "file:///dev/stdin"],
      ],
      { argument: value, subject: parameter },
    );
  }

  return {
    async phase(name) {
      return (await read(name)).phase;
    },

    async advance(name, from) {
      const content = await read(name);
      if (content.phase !== from) {
        throw new OperatorError(
          `${name} is in phase ${content.phase}, not ${from}, which would be followed by ${phaseAfter(from)}: is it being rotated by somebody else? Nothing was changed.`,
        );
      }
      const next = advanced(content);
      // Before the secret itself: a rotation that is interrupted in between writes the copy again when it goes on.
      for (const copy of copies.filter((one) => one.name === name)) {
        await write(`/${clusterName}/copies/${name}`, copy.region, next);
      }
      await write(parameterOf(name), region, next);
    },

    put(name, content) {
      return write(parameterOf(name), region, content);
    },
  };
}
