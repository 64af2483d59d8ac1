import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** The credentials that an instance's metadata service returns for its role. */
export interface RoleCredentials {
  readonly AccessKeyId?: string;
  readonly SecretAccessKey?: string;
  readonly Token?: string;
}

/** What the service tells an instance about itself. */
export interface InstanceIdentity {
  readonly id: string;
  readonly role: string;
  readonly credentials: RoleCredentials;
  /** Its network interface, if the service reports it. */
  readonly interfaceId?: string;
}

const TTL = "x-aws-ec2-metadata-token-ttl-seconds";
const ROLE = "iam/security-credentials/";
const MAC = "02:00:00:00:00:01";
/** How long credentials are valid. */
const CREDENTIALS_MS = 6 * 60 * 60 * 1000;

/**
 * An instance metadata service that supports version 2 only, like the hosts': without a token it returns nothing. A
 * token is valid for the instance that requested it, and for as long as it requested.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 */
export class MetadataService {
  private readonly server: Server;
  private readonly tokens = new Map<string, { readonly from: string; readonly until: number }>();
  endpoint = "";

  /** @param instanceAt the instance at an address; requests from others get no response */
  constructor(instanceAt: (address: string) => InstanceIdentity | undefined) {
    this.server = createServer((request, response) => {
      const answer = (status: number, body = "") => response.writeHead(status).end(body);
      const from = request.socket.remoteAddress ?? "";
      const instance = instanceAt(from);
      if (instance === undefined) {
        return request.socket.destroy();
      }
      if (request.url === "/latest/api/token") {
        return request.method === "PUT"
          ? this.give(from, request.headers, answer)
          : answer(request.method === "GET" ? 405 : 403);
      }
      const token = this.tokens.get(String(request.headers["x-aws-ec2-metadata-token"]));
      if (token?.from !== from || token.until < Date.now()) {
        return answer(401);
      }
      const path = /^\/(?:latest|\d{4}-\d\d-\d\d)\/meta-data\/(.*)$/.exec(request.url ?? "")?.[1];
      return path === undefined ? answer(404) : this.tell(instance, path, answer);
    });
  }

  private give(
    from: string,
    headers: NodeJS.Dict<string | string[]>,
    answer: (status: number, body?: string) => unknown,
  ): void {
    const seconds = Number(headers[TTL]);
    if (headers["x-forwarded-for"] !== undefined) {
      answer(403);
    } else if (!Number.isInteger(seconds) || seconds < 1 || seconds > 21_600) {
      answer(400);
    } else {
      const token = `token-${from}-${this.tokens.size}`;
      this.tokens.set(token, { from, until: Date.now() + seconds * 1000 });
      answer(200, token);
    }
  }

  private tell(
    { id, role, credentials, interfaceId }: InstanceIdentity,
    path: string,
    answer: (status: number, body?: string) => unknown,
  ): void {
    switch (path) {
      case "instance-id":
        answer(200, id);
        break;
      case "mac":
        answer(200, MAC);
        break;
      case `network/interfaces/macs/${MAC}/interface-id`:
        answer(interfaceId === undefined ? 404 : 200, interfaceId);
        break;
      case ROLE:
        answer(200, role);
        break;
      case `${ROLE}${role}`:
        answer(
          200,
          JSON.stringify({
            Code: "Success",
            Type: "AWS-HMAC",
            LastUpdated: new Date().toISOString(),
            Expiration: new Date(Date.now() + CREDENTIALS_MS).toISOString(),
            ...credentials,
          }),
        );
        break;
      default:
        answer(404);
    }
  }

  /** @param port a free one by default */
  async start(address = "127.0.0.1", port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(port, address, resolve));
    this.endpoint = `http://${address}:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
