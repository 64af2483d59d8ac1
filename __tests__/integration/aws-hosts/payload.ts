import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** What S3 refuses a request with. */
interface Refusal {
  readonly status: number;
  readonly code: string;
}

/**
 * Why S3 does not take a body; undefined when it does. The emulator checks what was signed, which is a digest of the
 * body where there is one, but not that the body has it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
 */
export function refusalOf(headers: IncomingHttpHeaders, body: Buffer): Refusal | undefined {
  const digest = (algorithm: string, encoding: "hex" | "base64") =>
    createHash(algorithm).update(body).digest(encoding);
  const signed = headers["x-amz-content-sha256"];
  const md5 = headers["content-md5"];
  if (signed?.includes("STREAMING-AWS4-")) {
    // Each chunk has a signature of its own, which nothing here checks. Over TLS nobody sends such.
    return { status: 501, code: "NotImplemented" };
  }
  if (/^[0-9a-f]{64}$/.test(String(signed)) && signed !== digest("sha256", "hex")) {
    return { status: 400, code: "XAmzContentSHA256Mismatch" };
  }
  // restic's: over TLS it signs the digest in this header, and the word UNSIGNED-PAYLOAD in the other.
  if (md5 !== undefined && md5 !== digest("md5", "base64")) {
    return { status: 400, code: "BadDigest" };
  }
  return undefined;
}
