import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** How S3 refuses a request. */
interface Refusal {
  readonly status: number;
  readonly code: string;
}

/**
 * Why S3 rejects a body; undefined if it accepts it. The emulator checks what was signed, which includes the body's
 * digest if there is one, but not that the body matches it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
 */
export function refusalOf(headers: IncomingHttpHeaders, body: Buffer): Refusal | undefined {
  const digest = (algorithm: string, encoding: "hex" | "base64") =>
    createHash(algorithm).update(body).digest(encoding);
  const signed = headers["x-amz-content-sha256"];
  const md5 = headers["content-md5"];
  if (signed?.includes("STREAMING-AWS4-")) {
    // Each chunk has a signature of its own, which nothing here checks. Over TLS no client sends such chunks.
    return { status: 501, code: "NotImplemented" };
  }
  if (/^[0-9a-f]{64}$/.test(String(signed)) && signed !== digest("sha256", "hex")) {
    return { status: 400, code: "XAmzContentSHA256Mismatch" };
  }
  // restic's header: over TLS it signs the digest in this one, and the word UNSIGNED-PAYLOAD in the other.
  if (md5 !== undefined && md5 !== digest("md5", "base64")) {
    return { status: 400, code: "BadDigest" };
  }
  return undefined;
}
