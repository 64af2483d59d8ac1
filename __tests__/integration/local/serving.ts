import { networkInterfaces } from "node:os";
import { ask, type ScratchCluster, tally } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";

interface Whoami {
  webServer: string;
}

async function post(cluster: ScratchCluster, key: string, message: string) {
  const answer = await ask(`${cluster.url}/api/entries`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify({ name: "integration", message }),
  });
  return { ...answer, entry: JSON.parse(answer.body) };
}

const countOf = (cluster: ScratchCluster, host: string, message: string) =>
  cluster.query(host, `SELECT COUNT(*) FROM app.guestbook_entries WHERE message = '${message}'`)[0];

/** The site as visitors see it. */
export function serving(cluster: ScratchCluster): void {
  test("1,000 requests are split 500 to 500", async () => {
    await cluster.inTurn();
    expect(await tally(`${cluster.url}/api/whoami`, 1000)).toEqual({ "web-1": 500, "web-2": 500 });
  });

  test("the page shows which web server answered, and Nginx serves its static files compressed", async () => {
    const page = await ask(`${cluster.url}/`);
    expect(page.status).toBe(200);
    expect(page.body).toMatch(/web-[12]/);
    const style = /href="(\/static\/[^"]+\.css)/.exec(page.body)?.[1];
    const { status, headers } = await ask(`${cluster.url}${style}`, {
      headers: { "accept-encoding": "gzip" },
    });
    expect(status).toBe(200);
    expect(headers["content-encoding"]).toBe("gzip");
    expect(headers["content-type"]).toBe("text/css; charset=utf-8");
    const picture = await ask(`${cluster.url}/static/guestbook.svg`);
    expect(picture.headers["content-type"]).toBe("image/svg+xml");
    expect(headers["cache-control"]).toContain("max-age=3600");
  });

  test("a write goes to the primary, and reads come from the replica", async () => {
    const primary = await cluster.inSync();
    const [replica = ""] = cluster.databases.filter((name) => name !== primary);
    const message = `replicated-${Date.now()}`;
    const { status, headers } = await post(cluster, `key-${message}`, message);
    expect(status).toBe(201);
    expect(headers.location ?? headers["x-read-after"]).toBeDefined();
    expect(countOf(cluster, primary, message)).toBe("1");
    await eventually(
      "the replica has the entry",
      () => countOf(cluster, replica, message) === "1" || undefined,
      10,
    );
    // The app's connections from before there was a replica live for another half a minute.
    await eventually("both web servers read from the replica", async () => {
      const read = async () =>
        JSON.parse((await ask(`${cluster.url}/api/whoami`)).body).database.read;
      return (await read()) === replica && (await read()) === replica ? true : undefined;
    });
  });

  test("every visitor reads their own write at once, through either web server", async () => {
    for (let round = 0; round < 30; round++) {
      const message = `own-${Date.now()}-${round}`;
      const { headers } = await post(cluster, `key-${message}`, message);
      const cookie = [headers["set-cookie"] ?? []].flat().map((line) => line.split(";")[0]);
      const { body } = await ask(`${cluster.url}/api/entries`, {
        headers: { cookie: cookie.join("; ") },
      });
      expect(body).toContain(message);
    }
  });

  test("a repeated write is stored once", async () => {
    const primary = await cluster.inSync();
    const message = `once-${Date.now()}`;
    const first = await post(cluster, `key-${message}`, message);
    const second = await post(cluster, `key-${message}`, message);
    expect([first.status, second.status < 300]).toEqual([201, true]);
    expect(countOf(cluster, primary, message)).toBe("1");
  });

  test("a visitor's message comes back escaped", async () => {
    const message = `<script>alert(${Date.now()})</script> & 🎉`;
    const { headers } = await post(cluster, `key-${Date.now()}`, message);
    const cookie = [headers["set-cookie"] ?? []].flat().map((line) => line.split(";")[0]);
    const { body } = await ask(`${cluster.url}/`, { headers: { cookie: cookie.join("; ") } });
    expect(body).not.toContain(message);
    expect(body).toContain("&lt;script&gt;");
    expect(body).toContain("🎉");
  });

  test("a web server logs the visitor's real address, whatever the headers claim", async () => {
    const bridge = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.address === cluster.topology.network.gateway);
    expect(bridge).toBeDefined();
    const mark = `/marked-${Date.now()}`;
    await ask(`http://${cluster.address("load-balancer-1")}${mark}`, {
      headers: { "x-forwarded-for": "192.0.2.66", "x-real-ip": "192.0.2.66" },
    });
    const line = await eventually(
      "a web server has logged the request",
      () =>
        ["web-1", "web-2"]
          .map((web) => cluster.attemptOn(web, `grep ${mark} /var/log/nginx/access.log`).stdout)
          .find((found) => found !== ""),
      10,
    );
    expect(line.split(" ")[0]).toBe(cluster.topology.network.gateway);
  });

  test("the load balancer answers health checks, and gives metrics to its own network", async () => {
    expect((await ask(`${cluster.url}/load-balancer-health`)).status).toBe(200);
    const metrics = cluster.on(
      "load-balancer-1",
      `curl -fs http://${cluster.address("load-balancer-1")}:8406/metrics`,
    );
    expect(metrics).toMatch(/haproxy_server_status\{proxy="web",server="web-1",state="UP"\} 1/);
  });

  test("an app that is killed comes back, and no request fails", async () => {
    cluster.on("web-1", "systemctl kill --signal=KILL app.service");
    const counts = await tally(`${cluster.url}/api/whoami`, 40);
    expect(Object.keys(counts).filter((name) => name.startsWith("status"))).toEqual([]);
    await cluster.serving();
    const { webServer } = JSON.parse((await ask(`${cluster.url}/api/whoami`)).body) as Whoami;
    expect(webServer).toMatch(/^web-[12]$/);
  });
}
