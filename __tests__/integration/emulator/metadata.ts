import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What an instance's metadata service gives for its role. */
export interface RoleCredentials {
  readonly AccessKeyId?: string;
  readonly SecretAccessKey?: string;
  readonly Token?: string;
}

const CREDENTIALS = "/latest/meta-data/iam/security-credentials/";

/**
 * An instance metadata service that takes version 2 only, as the hosts' does: without a token it
 * answers nothing.
 */
export class MetadataService {
  private readonly server: Server;
  endpoint = "";

  constructor(role: string, credentials: RoleCredentials) {
    const token = "a-token";
    this.server = createServer((request, response) => {
      const answer = (status: number, body = "") => response.writeHead(status).end(body);
      if (request.method === "PUT" && request.url === "/latest/api/token") {
        const lifetime = request.headers["x-aws-ec2-metadata-token-ttl-seconds"];
        return lifetime === undefined ? answer(400) : answer(200, token);
      }
      if (request.headers["x-aws-ec2-metadata-token"] !== token) {
        return answer(401);
      }
      switch (request.url) {
        case CREDENTIALS:
          return answer(200, role);
        case `${CREDENTIALS}${role}`:
          return answer(200, JSON.stringify({ Code: "Success", ...credentials }));
        default:
          return answer(404);
      }
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.endpoint = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
