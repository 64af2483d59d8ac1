/** The app of these tests, with limits short enough to wait for. */
export const app = {
  directory: "__tests__/fixtures/echo-app",
  command: "/usr/bin/node main.js",
  port: 8081,
  healthPath: "/up",
  responseTimeout: 3,
  tunnelTimeout: 35,
  maxBodySize: 2,
};

/** What the fixture's app reports about a request that reached it. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly bytes: number;
  readonly connection: number;
}
